"""The tile services: from a path and a query to an answer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import FastpyrError, NotFoundError, RequestError, StoreError
from ..formats import SampleType, SlabKind
from . import tms, wmts
from .answer import Answer, Asked, NotNow, Origin, json_answer
from .catalogue import Catalogue
from .documents import layers_json, matrix_set_json, tilejson
from .layer import Layer, ServedLevel
from .payload import (
    MEDIA_TYPES,
    Kind,
    decoded,
    mask_png,
    payload,
    stored_kind,
    value_range,
    view_png,
)
from .slabs import Slabs

__all__ = ["ROOTS", "TileService", "kind_of", "matches", "number"]

ROOTS = ("tiles", "wmts", "tms", "xyz")
"""First parts of the paths that are answered here."""

_KINDS = {"jpg": "jpg", "jpeg": "jpg", "png": "png", "tif": "tif", "tiff": "tif", "bil": "bil"}
_STATISTICS_TILES = 16
_MAX_INDEX = 10


class TileService:
    """Tiles of the layers of a catalogue, and all that describes them. Callable from many threads.

    Inside the limits of a level a tile that is not stored is answered with nodata; outside there is none.
    """

    def __init__(self, catalogue: Catalogue, slabs: Slabs | None = None) -> None:
        self.catalogue = catalogue
        self.slabs = Slabs() if slabs is None else slabs
        self._ranges: dict[int, tuple[float, float]] = {}

    def answer(self, asked: Asked) -> Answer:
        """The answer to a request for one of ROOTS. Errors are answers too, in the form of the service.

        Raises NotNow when the request says so.
        """
        parts = asked.path.split("/")[1:]
        errors: Callable[[int, str, str], Answer] = _problem
        if parts[0] == "wmts":
            errors = wmts.exception_answer
        elif parts[0] == "tms":
            errors = tms.error_answer
        try:
            found = self._routed(parts, asked)
        except wmts.OwsError as error:
            return wmts.exception_answer(error.status, error.code, str(error), error.locator)
        except RequestError as error:
            return errors(400, "InvalidParameterValue", str(error))
        except NotFoundError as error:
            return errors(404, "NotFound", str(error))
        except StoreError:
            return errors(503, "NoApplicableCode", "the storage does not give the tile; the server's log says why")
        except FastpyrError as error:
            return errors(500, "NoApplicableCode", " ".join(str(error).split()))
        if found.etag is not None and matches(asked.if_none_match, found.etag):
            return replace(found, status=304, body=b"")
        return found

    def _routed(self, parts: list[str], asked: Asked) -> Answer:
        if parts[-1] == "" and len(parts) > 1:
            parts = parts[:-1]
        if parts[0] == "tiles":
            if asked.now and len(parts) != 5:
                raise NotNow
            return self._tiles(parts[1:], asked)
        if parts[0] == "xyz" and len(parts) == 5:
            return self._plain_tile(parts[1:], asked)
        if parts[0] == "wmts":
            return wmts.answer(self, parts[1:], asked)
        if parts[0] == "tms":
            return tms.answer(self, parts[1:], asked)
        raise NotFoundError("no such resource: tiles are at /xyz/{id}/{z}/{x}/{y}")

    def _tiles(self, parts: list[str], asked: Asked) -> Answer:
        if not parts:
            return json_answer(layers_json(self.catalogue.layers(self.catalogue.ids()), asked.base))
        if len(parts) == 4:
            return self._plain_tile(parts, asked)
        if len(parts) == 2 and parts[1] in ("tilejson.json", "tms.json"):
            layer = self.catalogue.layer(parts[0])
            if parts[1] == "tms.json":
                return json_answer(matrix_set_json(layer.tms))
            return json_answer(tilejson(layer, asked.base))
        special: dict[str, Callable[[Layer, str, int, int, Asked], Answer]] = {
            "mask": self._mask,
            "view": self._view,
            "facts": self._facts,
        }
        if len(parts) == 5 and parts[1] in special:
            row, _, extension = parts[4].partition(".")
            if extension not in (("",) if parts[1] == "facts" else ("", "png")):
                raise RequestError(f"{parts[1]} comes as {'JSON' if parts[1] == 'facts' else 'PNG'} only")
            layer = self.catalogue.layer(parts[0])
            return special[parts[1]](layer, parts[2], number("column", parts[3]), number("row", row), asked)
        raise NotFoundError("no such resource: tiles are at /tiles/{id}/{level}/{column}/{row}")

    def _plain_tile(self, parts: list[str], asked: Asked) -> Answer:
        layer = self.catalogue.layer(parts[0], asked.now)
        row, _, extension = parts[3].partition(".")
        kind = kind_of(layer, extension)
        return self.tile(layer, parts[1], number("column", parts[2]), number("row", row), kind, asked)

    def tile(self, layer: Layer, level: str, col: int, row: int, kind: Kind, asked: Asked) -> Answer:
        """A tile as ``kind``. Raises NotFoundError outside the limits, RequestError for a kind that cannot be had."""
        spot = layer.spot(level, col, row)
        if spot is None:
            raise NotFoundError(_outside(layer, level, col, row))
        served = spot.served
        as_stored = kind == stored_kind(layer.format)
        if asked.now and not as_stored:
            raise NotNow
        found = self.slabs.read(served.pyramid, spot.key, spot.number, asked.now)
        version, origin = "", None
        if found is None or not found[2]:
            data: bytes | bytearray = layer.nodata_tile(served.level)
        else:
            slab, offset, size, data = found
            version = f"{slab.version}-{offset:x}-{size:x}" if slab.version else ""
        made = payload(layer.format, served.level, data, kind, asked.takes_deflate)
        if version and as_stored:
            origin = Origin(layer, spot.key, slab.generation, offset, size, made.prefix)
        suffix = "" if as_stored else f"-{kind}{'-z' if made.deflated else ''}"
        etag = f'"{version or hashlib.blake2b(data, digest_size=12).hexdigest()}{suffix}"'
        headers = {"vary": "accept-encoding"} if kind == "bil" else {}
        if made.deflated:
            headers["content-encoding"] = "deflate"
        body = made.prefix if made.converted else made.prefix + data
        return Answer(200, body, MEDIA_TYPES[kind], etag, headers, origin)

    def _mask(self, layer: Layer, level: str, col: int, row: int, _asked: Asked) -> Answer:
        spot = layer.spot(level, col, row, SlabKind.MASK)
        if spot is None:
            raise NotFoundError(_outside(layer, level, col, row))
        if not spot.served.pyramid.has_masks:
            raise NotFoundError(f"{layer.id} has no masks")
        found = self.slabs.read(spot.served.pyramid, spot.key, spot.number)
        matrix = spot.served.level.matrix
        if found is None or not found[3]:  # no mask beside the pixels: all of them are data
            data_spot = layer.spot(level, col, row)
            assert data_spot is not None
            beside = self.slabs.read(data_spot.served.pyramid, data_spot.key, data_spot.number)
            value = 255 if beside is not None and beside[2] else 0
            body = _plain_png(matrix.tile_width, matrix.tile_height, value)
        else:
            body = mask_png(spot.served.level, found[3])
        return Answer(200, body, "image/png", f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')

    def _view(self, layer: Layer, level: str, col: int, row: int, asked: Asked) -> Answer:
        spot = layer.spot(level, col, row)
        if spot is None:
            raise NotFoundError(_outside(layer, level, col, row))
        low, high = self._stretch(layer, asked)
        found = self.slabs.read(spot.served.pyramid, spot.key, spot.number)
        stored = layer.nodata_tile(spot.served.level) if found is None or not found[2] else found[3]
        body = view_png(layer.format, decoded(layer.format, spot.served.level, stored), low, high)
        return Answer(200, body, "image/png", f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')

    def _stretch(self, layer: Layer, asked: Asked) -> tuple[float, float]:
        given = {name: _real(name, asked.query[name]) for name in ("min", "max") if name in asked.query}
        if len(given) == 2:
            return given["min"], given["max"]
        low, high = self._range(layer)
        return given.get("min", low), given.get("max", high)

    def _range(self, layer: Layer) -> tuple[float, float]:
        """Least and greatest value of the coarsest level (0 to 255 for 8-bit pixels)."""
        if layer.format.format.sample is SampleType.UINT8:
            return 0.0, 255.0
        serial = layer.serials[0]
        if serial not in self._ranges:
            ranges = [found for pixels in self._top_tiles(layer) if (found := value_range(layer.format, pixels))]
            low = min((one[0] for one in ranges), default=0.0)
            high = max((one[1] for one in ranges), default=1.0)
            self._ranges = {**self._ranges, serial: (low, high)} if len(self._ranges) < 1000 else {serial: (low, high)}
        return self._ranges[serial]

    def _top_tiles(self, layer: Layer) -> list[Any]:
        id, served = list(layer.levels.items())[-1]
        limits = served.level.limits
        tiles: list[Any] = []
        for col in range(limits.min_col, limits.max_col + 1):
            for row in range(limits.min_row, limits.max_row + 1):
                if len(tiles) == _STATISTICS_TILES:
                    return tiles
                spot = layer.spot(id, col, row)
                found = None if spot is None else self.slabs.read(served.pyramid, spot.key, spot.number)
                if found is not None and found[2]:
                    tiles.append(decoded(layer.format, served.level, found[3]))
        return tiles

    def _facts(self, layer: Layer, level: str, col: int, row: int, _asked: Asked) -> Answer:
        """Where a tile is. ``state``: "data", "nodata" (nothing else is stored), "absent" (no slab), "outside"."""
        value: dict[str, Any] = {"level": level, "column": col, "row": row, "slab": None}
        tile = {"index": None, "offset": None, "bytes": 0, "format": layer.format.format.name, "state": "outside"}
        spot = layer.spot(level, col, row)
        if spot is not None:
            value["slab"] = self._slab_facts(spot.served, spot.key.ref.col, spot.key.ref.row)
            tile |= {"index": spot.number, "state": "absent"}
            found = self.slabs.read(spot.served.pyramid, spot.key, spot.number)
            if found is not None:
                slab, offset, size, data = found
                state = "data" if data and data != layer.nodata_tile(spot.served.level) else "nodata"
                tile |= {"offset": offset, "bytes": size, "state": state}
                value["slab"]["bytes"] = slab.total
        return json_answer(value | {"tile": tile})

    @staticmethod
    def _slab_facts(served: ServedLevel, col: int, row: int) -> dict[str, Any]:
        name = served.level.descriptor.key(SlabKind.DATA, col, row)
        return {"column": col, "row": row, "name": name, "bytes": 0}


def number(what: str, text: str) -> int:
    """A column or row. Raises RequestError."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_INDEX):
        raise RequestError(f"{what} {text[:40]!r} is not a number")
    return int(text)


def kind_of(layer: Layer, extension: str) -> Kind:
    """What a file extension asks for; none: what is stored. Raises RequestError."""
    kind = _KINDS.get(extension.lower()) if extension else stored_kind(layer.format)
    if kind is None:
        raise RequestError(f"extension {extension[:20]!r} is unknown: use .{stored_kind(layer.format)}")
    return kind


def _real(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RequestError(f"{name}: {text[:40]!r} is not a number")
    return value


def _outside(layer: Layer, level: str, col: int, row: int) -> str:
    served = layer.levels.get(level)
    if served is None:
        return f"{layer.id} has no level {level[:40]!r}: its levels are {', '.join(layer.levels)}"
    limits = served.level.limits
    return (
        f"no tile at column {col}, row {row} of level {level}: columns are {limits.min_col} to {limits.max_col}, "
        f"rows {limits.min_row} to {limits.max_row}"
    )


def _plain_png(width: int, height: int, value: int) -> bytes:
    from ..pyramid.tile_file import png_file

    return png_file(np.full((height, width, 1), value, np.uint8))


def matches(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in known or "*" in known


def _problem(status: int, code: str, text: str) -> Answer:
    names = {400: "bad_request", 404: "not_found", 503: "unavailable"}
    return json_answer({"error": names.get(status, "internal_error"), "error_description": [text]}, status)
