"""How a kind of storage calls what belongs to a pyramid: trees of folders, or flat object names in a tray."""

from __future__ import annotations

import os
from enum import StrEnum

from ..formats import SlabKind
from ..frozen import frozen
from .naming import (
    DEFAULT_PATH_DEPTH,
    check_object_pyramid_name,
    check_pyramid_name,
    object_name,
    slab_directory,
    slab_key,
)

__all__ = ["FILE_LAYOUT", "Layout", "StorageType"]


class StorageType(StrEnum):
    """Kind of storage, as descriptors name it."""

    FILE = "FILE"
    S3 = "S3"
    CEPH = "CEPH"
    SWIFT = "SWIFT"

    @property
    def tray_key(self) -> str | None:
        """Descriptor key that names the container of the objects, None for files."""
        return {"S3": "bucket_name", "CEPH": "pool_name", "SWIFT": "container_name"}.get(self.value)


@frozen
class Layout:
    """Names of slabs and roots in one kind of storage.

    ``tray`` is the bucket, container or pool, without the cluster it is in; None for files.
    """

    storage: StorageType = StorageType.FILE
    tray: str | None = None

    @property
    def is_file(self) -> bool:
        return self.storage is StorageType.FILE

    def check_name(self, name: str) -> str:
        """``name`` when a pyramid may have it here: only object names may hold ``/``. Raises ConfigError."""
        return check_pyramid_name(name) if self.is_file else check_object_pyramid_name(name)

    def depth(self, path_depth: int) -> int:
        """The path depth a descriptor records: 0 where names are flat."""
        return path_depth if self.is_file else 0

    def slab(self, kind: SlabKind, level: str, col: int, row: int, depth: int = DEFAULT_PATH_DEPTH) -> str:
        """Key of a slab below its pyramid: ``DATA/18/3E/42/01.tif``, or ``DATA_18_4032_18217`` for objects."""
        if self.is_file:
            return slab_key(f"{kind.value}/{level}", col, row, depth)
        return object_name(kind, level, col, row)

    def level(self, pyramid: str, kind: SlabKind, level: str) -> str:
        """What a descriptor says of a level's slabs: a folder, or the prefix of the objects' names."""
        return slab_directory(pyramid, kind, level) if self.is_file else f"{pyramid}/{kind.value}_{level}"

    def root(self, pyramid: str, location: str) -> str:
        """The data root as lists record it; ``location`` is how the store calls the pyramid's tree.

        Absolute for files, because a list is read from other folders too; ``<tray>/<pyramid>`` for objects.
        """
        if not self.is_file:
            return f"{self.tray}/{pyramid}"
        return location if "://" in location else os.path.abspath(location)


FILE_LAYOUT = Layout()
"""Slabs in folders."""
