"""Where pyramids live: folders, memory, object storage; how slabs and objects are called."""

from .base import Chunk, Staging, Store, StoreNotFound, TrayStore
from .file import FileStore
from .layout import FILE_LAYOUT, Layout, StorageType
from .location import open_location
from .memory import MemoryStore

__all__ = [
    "FILE_LAYOUT",
    "Chunk",
    "FileStore",
    "Layout",
    "MemoryStore",
    "Staging",
    "StorageType",
    "Store",
    "StoreNotFound",
    "TrayStore",
    "open_location",
]
