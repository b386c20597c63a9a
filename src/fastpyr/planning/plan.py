"""The plan of a build: levels, how each is made, the blocks and slabs that take part. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..formats import Compression, PixelFormat, SampleType
from ..frozen import frozen
from ..grid import Derivation, TileLimits, TileMatrix, TileMatrixSet
from ..slab import HEADER_SIZE
from ..source import Mosaic
from .coverage import AxisLinks, Coverage
from .options import BuildOptions

__all__ = ["LevelPlan", "Link", "Plan"]

_BITS_PER_PIXEL = {
    Compression.JPG: 2.0,
    Compression.JPG90: 3.5,
    Compression.PNG: 6.0,
    Compression.ZIP: 8.0,
    Compression.LZW: 12.0,
}
"""Typical size of stored pixels (3 channels uint8; aerial for JPEG, maps for the lossless ones), for estimates only."""


@frozen
class Link:
    """A level derived from another one: index of the target level and the block arithmetic of both axes."""

    target: int
    columns: AxisLinks
    rows: AxisLinks
    tile_columns: AxisLinks
    tile_rows: AxisLinks
    mean: bool


@frozen
class LevelPlan:
    """One level of the pyramid to be.

    Attributes:
        matrix: its tile matrix.
        derivation: how it is made (from the sources, by 2x2 mean, by decimation).
        mosaic: index of its mosaic in the plan, for levels made from the sources; else None.
        blocks: the blocks that take part (columns and rows in blocks).
        slabs: the slabs that may hold data.
        limits: the tiles that the footprint of the sources covers.
        ratio: resolution of the sources over this level's, both in units of the tile matrix set (made levels only).
        stored: the level is there already: its tiles are read, and no slab of it is written.
    """

    matrix: TileMatrix
    derivation: Derivation
    mosaic: int | None
    blocks: Coverage
    slabs: Coverage
    limits: TileLimits
    ratio: float | None = None
    stored: bool = False

    @property
    def id(self) -> str:
        return self.matrix.id


@frozen
class Plan:
    """A complete build, decided: levels finest first, every parent after its children."""

    options: BuildOptions
    pixel: PixelFormat
    tms: TileMatrixSet
    levels: tuple[LevelPlan, ...]
    mosaics: tuple[Mosaic, ...]
    block: int
    bottom_rule: str

    def links_of(self, index: int) -> tuple[Link, ...]:
        """The levels derived from level ``index``."""
        source = self.levels[index]
        found = []
        for target, level in enumerate(self.levels):
            derivation = level.derivation
            if derivation.source != source.id:
                continue
            mean, ratio = derivation.method == "mean", derivation.ratio
            tw, th = level.matrix.tile_width, level.matrix.tile_height
            found.append(
                Link(
                    target,
                    AxisLinks(ratio, derivation.offset[0], tw * self.block, mean),
                    AxisLinks(ratio, derivation.offset[1], th * self.block, mean),
                    AxisLinks(ratio, derivation.offset[0], tw, mean),
                    AxisLinks(ratio, derivation.offset[1], th, mean),
                    mean,
                )
            )
        return tuple(found)

    def source_blocks(self) -> Iterator[tuple[int, int, int]]:
        """(level index, column, row) of every block made from the sources or read, in the order of work.

        Slab after slab along the Z curve. Sources decoded in wide bands, which that order would decode many times, are
        read by rows of slabs, or by rows of blocks where the bands under two slabs do not fit in the cache.
        """
        across, down = self.options.width // self.block, self.options.height // self.block
        for index, level in enumerate(self.levels):
            if level.stored:
                for column, row in level.blocks.in_order(across, down):
                    yield index, column, row
            if level.mosaic is None:
                continue
            mosaic = self.mosaics[level.mosaic]
            band = mosaic.band_row_bytes
            slab_rows = self.options.height * level.matrix.tile_height
            fits = 2 * slab_rows * band <= mosaic.cache.max_bytes
            group = (across, down) if fits else (1, 1)
            for column, row in level.blocks.in_order(*group, by_rows=band > 0):
                yield index, column, row

    def tile_pixels(self, level: LevelPlan) -> int:
        return level.matrix.tile_width * level.matrix.tile_height

    def estimated_bytes(self, level: LevelPlan) -> int:
        """Rough size of a level's slabs: tiles of the footprint by experience, all others as nodata tiles."""
        from ..encode import encoder

        sample = self.pixel.format.sample
        raw = self.tile_pixels(level) * self.pixel.channels * sample.size
        stored = len(level.slabs) * self.options.width * self.options.height
        header = len(level.slabs) * HEADER_SIZE + 8 * stored
        compression = self.pixel.format.compression
        if compression in (Compression.RAW, Compression.PKB):
            return header + stored * raw
        share = 0.6 if sample is SampleType.FLOAT32 else _BITS_PER_PIXEL[compression] / 24
        empty = len(encoder(self.pixel, level.matrix.tile_width, level.matrix.tile_height).nodata_tile)
        return header + int(level.limits.count * raw * share) + max(0, stored - level.limits.count) * empty

    def summary(self) -> dict[str, Any]:
        """The plan as plain values, for JSON and for tables."""
        levels: list[dict[str, Any]] = [
            {
                "level": level.id,
                "method": level.derivation.method,
                "from": level.derivation.source,
                "resolution": level.matrix.cell_size,
                "tile_limits": list(level.limits),
                "tiles": level.limits.count,
                "slabs": len(level.slabs),
                "pixels": level.limits.count * self.tile_pixels(level),
                "estimated_bytes": self.estimated_bytes(level),
            }
            for level in self.levels
        ]
        return {
            "tile_matrix_set": self.tms.name,
            "tile_matrix_set_kind": self.tms.kind,
            "format": self.pixel.format.name,
            "channels": self.pixel.channels,
            "nodata": list(self.pixel.nodata),
            "interpolation": self.options.interpolation.value,
            "mask": self.options.mask,
            "tiles_per_slab": [self.options.width, self.options.height],
            "sources": sum(len(pack.infos) for mosaic in self.mosaics for pack in mosaic.packs),
            "bottom": self.levels[0].id,
            "top": self.levels[-1].id,
            "bottom_rule": self.bottom_rule,
            "levels": levels,
            "tiles": sum(level["tiles"] for level in levels),
            "slabs": sum(level["slabs"] for level in levels) * (2 if self.options.mask else 1),
            "pixels": sum(level["pixels"] for level in levels),
            "estimated_bytes": sum(level["estimated_bytes"] for level in levels),
        }
