"""OSGeo Tile Map Service 1.0.0: rows are counted from the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import NotFoundError, RequestError
from ..grid.matrix import TileMatrix
from .answer import Answer, Asked, NotNow
from .payload import MEDIA_TYPES, stored_kind
from .wmts import escape

if TYPE_CHECKING:
    from .layer import Layer
    from .service import TileService

__all__ = ["answer", "bottom_row", "error_answer", "row_from_bottom"]

_VERSION = "1.0.0"


def error_answer(status: int, code: str, text: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<TileMapServerError><Message>{escape(text)}</Message>'
    return Answer(status, (body + "</TileMapServerError>\n").encode(), "application/xml")


def answer(service: TileService, parts: list[str], asked: Asked) -> Answer:
    """The answer to a request below ``/tms``. Raises NotFoundError, RequestError."""
    from .service import kind_of, number

    if not parts:
        text = f'<Services><TileMapService title="fastpyr" version="{_VERSION}" href="{_root(asked)}"/></Services>'
        return _xml(text)
    if parts[0] != _VERSION:
        raise NotFoundError(f"version {parts[0][:20]!r} is not {_VERSION}")
    if asked.now and len(parts) < 3:
        raise NotNow
    if len(parts) == 1:
        return _xml(_service(service.catalogue.layers(service.catalogue.published()), asked))
    layer = service.catalogue.layer(parts[1], asked.now)
    if len(parts) == 2:
        return _xml(_tile_map(layer, asked))
    if len(parts) == 5:
        text, _, extension = parts[4].partition(".")
        level, col, row = parts[2], number("column", parts[3]), number("row", text)
        served = layer.levels.get(level)
        if served is None:
            raise RequestError(f"{layer.id} has no level {level[:40]!r}: its levels are {', '.join(layer.levels)}")
        row = row_from_bottom(layer, served.level.matrix, row)
        return service.tile(layer, level, col, row, kind_of(layer, extension), asked)
    raise NotFoundError(f"no such resource: tiles are at {_root(asked)}/{{id}}/{{level}}/{{column}}/{{row}}")


def bottom_row(layer: Layer, matrix: TileMatrix) -> int:
    """The row (from the top) of a level that is its row 0 here.

    In a quadtree the bottoms of all levels lie on that of the coarsest one; in other sets each level has its own.
    """
    if layer.tms.kind == "QTREE":
        coarsest = layer.tms.matrices[-1]
        return round(coarsest.matrix_height * coarsest.tile_span[1] / matrix.tile_span[1]) - 1
    return matrix.matrix_height - 1


def row_from_bottom(layer: Layer, matrix: TileMatrix, row: int) -> int:
    """A row counted from the bottom, counted from the top; and the other way round."""
    return bottom_row(layer, matrix) - row


def _root(asked: Asked) -> str:
    return escape(f"{asked.base}/tms/{_VERSION}")


def _xml(text: str) -> Answer:
    return Answer(200, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode(), "application/xml")


def _service(layers: list[Layer], asked: Asked) -> str:
    maps = "".join(
        f'<TileMap title="{escape(layer.title)}" srs="{escape(layer.tms.crs)}" profile="{_profile(layer)}" '
        f'href="{_root(asked)}/{quote(layer.id)}"/>'
        for layer in layers
    )
    return (
        f'<TileMapService version="{_VERSION}" services="{escape(asked.base)}/tms"><Title>fastpyr</Title>'
        f"<Abstract/><TileMaps>{maps}</TileMaps></TileMapService>"
    )


def _profile(layer: Layer) -> str:
    return "global-mercator" if layer.tms.name == "PM" else "local"


def _tile_map(layer: Layer, asked: Asked) -> str:
    """The description of a layer.

    In a quadtree the box is that of the whole grid, and all levels from the coarsest one on are named: clients (GDAL)
    take the box for that of the grid, and count levels from 0.
    """
    is_tree = layer.tms.kind == "QTREE"
    finest, coarsest = layer.bottom.matrix, list(layer.levels.values())[-1].level.matrix
    named = [served.level.matrix for served in layer.levels.values()]
    if is_tree:
        named = list(layer.tms.matrices[layer.tms.index(finest.id) :])
        coarsest = layer.tms.matrices[-1]
    box = coarsest.bounds if is_tree else layer.extent
    kind = stored_kind(layer.format)
    origin_y = coarsest.origin_y - (bottom_row(layer, coarsest) + 1) * coarsest.tile_span[1]
    sets = "".join(
        f'<TileSet href="{_root(asked)}/{quote(layer.id)}/{quote(matrix.id)}" '
        f'units-per-pixel="{matrix.cell_size!r}" order="{order}"/>'
        for order, matrix in enumerate(reversed(named))
    )
    return (
        f'<TileMap version="{_VERSION}" tilemapservice="{_root(asked)}"><Title>{escape(layer.title)}</Title><Abstract/>'
        f"<SRS>{escape(layer.tms.crs)}</SRS>"
        f'<BoundingBox minx="{box.left!r}" miny="{box.bottom!r}" maxx="{box.right!r}" maxy="{box.top!r}"/>'
        f'<Origin x="{coarsest.origin_x!r}" y="{origin_y!r}"/>'
        f'<TileFormat width="{finest.tile_width}" height="{finest.tile_height}" mime-type="{MEDIA_TYPES[kind]}" '
        f'extension="{kind}"/><TileSets profile="{_profile(layer)}">{sets}</TileSets></TileMap>'
    )
