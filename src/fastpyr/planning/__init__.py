"""What a build will do, decided before anything is written."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported at first use: few builds are told what to do by a BE4 configuration."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
