"""What is done to pyramids that exist: copies between stores, merges, and removal."""

from __future__ import annotations

from .copy import CopyResult, copy_pyramid
from .delete import Deletion, delete_pyramid, prepare_deletion
from .inventory import Inventory, open_inventory
from .linkers import Linker, find_linkers
from .merge import MergeGroup, MergeResult, merge_pyramids
from .rebuild import rebuild_top

__all__ = [
    "CopyResult",
    "Deletion",
    "Inventory",
    "Linker",
    "MergeGroup",
    "MergeResult",
    "copy_pyramid",
    "delete_pyramid",
    "find_linkers",
    "merge_pyramids",
    "open_inventory",
    "prepare_deletion",
    "rebuild_top",
]
