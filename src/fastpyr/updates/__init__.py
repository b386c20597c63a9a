"""What is done to pyramids that exist: copies between stores."""

from __future__ import annotations

from .copy import CopyResult, copy_pyramid
from .inventory import Inventory, open_inventory
from .linkers import Linker, find_linkers

__all__ = [
    "CopyResult",
    "Inventory",
    "Linker",
    "copy_pyramid",
    "find_linkers",
    "open_inventory",
]
