"""Where pyramids live: folders, memory; how slabs and objects are called."""

from .base import Chunk, Staging, Store, StoreNotFound
from .file import FileStore
from .location import open_location
from .memory import MemoryStore

__all__ = ["Chunk", "FileStore", "MemoryStore", "Staging", "Store", "StoreNotFound", "open_location"]
