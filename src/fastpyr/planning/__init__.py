"""What a build will do, decided before anything is written."""

from .be4 import Be4Config, Be4Group, read_be4
from .coverage import AxisLinks, Coverage, block_side, morton_order
from .decide import SourceGroup, make_plan
from .options import BuildOptions
from .plan import LevelPlan, Link, Plan

__all__ = [
    "AxisLinks",
    "Be4Config",
    "Be4Group",
    "BuildOptions",
    "Coverage",
    "LevelPlan",
    "Link",
    "Plan",
    "SourceGroup",
    "block_side",
    "make_plan",
    "morton_order",
    "read_be4",
]
