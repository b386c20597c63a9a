"""One level of a descriptor: where its slabs are and which tiles they may hold."""

from __future__ import annotations

from ..errors import DescriptorError
from ..formats import SlabKind
from ..frozen import frozen
from ..grid.bounds import TileLimits
from ..store.layout import FILE_LAYOUT, Layout, StorageType
from ..store.naming import DEFAULT_PATH_DEPTH, slab_key

__all__ = ["LevelDescriptor", "StorageType"]


@frozen
class LevelDescriptor:
    """A level as the descriptor has it.

    ``limits`` are inclusive tile indices. ``image_directory`` is relative to the descriptor's folder for files, and
    the prefix of the object names (``ORTHO/DATA_18``) for object storage, where ``tray`` is the container and
    ``path_depth`` is 0; ``mask_directory`` likewise, None without masks.
    """

    id: str
    tiles_per_width: int
    tiles_per_height: int
    limits: TileLimits
    image_directory: str
    mask_directory: str | None = None
    path_depth: int = DEFAULT_PATH_DEPTH
    storage: StorageType = StorageType.FILE
    tray: str | None = None

    @classmethod
    def placed(
        cls,
        pyramid: str,
        id: str,
        tiles_per_width: int,
        tiles_per_height: int,
        limits: TileLimits,
        *,
        mask: bool = False,
        path_depth: int = DEFAULT_PATH_DEPTH,
        layout: Layout = FILE_LAYOUT,
    ) -> LevelDescriptor:
        """Level ``id`` of the pyramid named ``pyramid``, stored where ``layout`` has it: in the usual folders, or as
        objects.
        """
        return cls(
            id,
            tiles_per_width,
            tiles_per_height,
            limits,
            layout.level(pyramid, SlabKind.DATA, id),
            layout.level(pyramid, SlabKind.MASK, id) if mask else None,
            layout.depth(path_depth),
            layout.storage,
            layout.tray,
        )

    @property
    def tiles_per_slab(self) -> int:
        return self.tiles_per_width * self.tiles_per_height

    @property
    def slab_limits(self) -> TileLimits:
        """Inclusive slab indices that the tile limits touch."""
        limits = self.limits
        return TileLimits(
            limits.min_row // self.tiles_per_height,
            limits.max_row // self.tiles_per_height,
            limits.min_col // self.tiles_per_width,
            limits.max_col // self.tiles_per_width,
        )

    def slab_of(self, col: int, row: int) -> tuple[int, int, int]:
        """Slab column, slab row, and number inside that slab (row-major) of the tile (``col``, ``row``)."""
        slab_col, x = divmod(col, self.tiles_per_width)
        slab_row, y = divmod(row, self.tiles_per_height)
        return slab_col, slab_row, y * self.tiles_per_width + x

    def key(self, kind: SlabKind, slab_col: int, slab_row: int) -> str:
        """Key of a slab: relative to the descriptor's folder, or inside the tray for object storage.

        Raises DescriptorError for masks of a level that has none.
        """
        directory = self.image_directory if kind is SlabKind.DATA else self.mask_directory
        if directory is None:
            raise DescriptorError(f"level {self.id} has no masks")
        if self.storage is StorageType.FILE:
            return slab_key(directory, slab_col, slab_row, self.path_depth)
        return f"{directory}_{slab_col}_{slab_row}"
