"""What is done to pyramids that exist: copies between stores, and removal."""

from __future__ import annotations

from .copy import CopyResult, copy_pyramid
from .delete import Deletion, delete_pyramid, prepare_deletion
from .inventory import Inventory, open_inventory
from .linkers import Linker, find_linkers

__all__ = [
    "CopyResult",
    "Deletion",
    "Inventory",
    "Linker",
    "copy_pyramid",
    "delete_pyramid",
    "find_linkers",
    "open_inventory",
    "prepare_deletion",
]
