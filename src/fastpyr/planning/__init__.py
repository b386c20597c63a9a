"""What a build will do, decided before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
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

# Few builds are told what to do by a BE4 configuration.
_MODULES = {
    "be4": (
        "Be4Config",
        "Be4Group",
        "read_be4",
    ),
    "coverage": (
        "AxisLinks",
        "Coverage",
        "block_side",
        "morton_order",
    ),
    "decide": (
        "SourceGroup",
        "make_plan",
    ),
    "options": ("BuildOptions",),
    "plan": (
        "LevelPlan",
        "Link",
        "Plan",
    ),
}
__getattr__ = lazy_names(__name__, _MODULES)
