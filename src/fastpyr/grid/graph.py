"""Which level each level of a pyramid is made from."""

from __future__ import annotations

from typing import Literal

from ..frozen import frozen
from .levels import level_range
from .matrix import TileMatrixSet

__all__ = ["Derivation", "derivations"]


@frozen
class Derivation:
    """How one level is made.

    ``method``: "source" (warped or resampled from the source rasters), "mean" (of 2x2 pixels of level ``source``), or
    "decimate" (pixel ``ratio * p + offset`` of level ``source`` for pixel ``p``, absolute pixel indices in both
    matrices, (x, y)).
    """

    level: str
    source: str | None
    ratio: int
    offset: tuple[int, int]
    method: Literal["source", "mean", "decimate"]


def derivations(tms: TileMatrixSet, bottom: str, top: str) -> tuple[Derivation, ...]:
    """The making of every level from ``bottom`` (finest) to ``top``, finest first.

    A level whose finer sources all lie below ``bottom``, or that has none, is made from the source rasters.
    Raises GridError for unknown levels or a wrong order.
    """
    levels = level_range(tms, bottom, top)
    first = tms.index(bottom)
    result = [Derivation(bottom, None, 1, (0, 0), "source")]
    for rank in range(first + 1, first + len(levels)):
        id = tms.matrices[rank].id
        if tms.kind == "QTREE":
            result.append(Derivation(id, tms.matrices[rank - 1].id, 2, (0, 0), "mean"))
            continue
        source = tms.pickable_source(rank, first)
        if source is None:
            result.append(Derivation(id, None, 1, (0, 0), "source"))
        else:
            result.append(Derivation(id, tms.matrices[source[0]].id, source[1], (0, 0), "decimate"))
    return tuple(result)
