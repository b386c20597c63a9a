"""What describes layers in JSON: the list of pyramids, TileJSON, the tile matrix set, facts of a tile."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..grid.crs import parse_crs
from ..grid.matrix import TileMatrixSet
from .layer import Layer
from .payload import kinds_of, stored_kind

__all__ = ["layer_facts", "layers_json", "matrix_set_json", "tilejson"]

Json = dict[str, Any]


def _levels(layer: Layer) -> list[Json]:
    """Levels finest first, with their limits and slabs."""
    return [
        {
            "id": id,
            "cell_size": served.level.matrix.cell_size,
            "tile_limits": served.level.limits._asdict(),
            "tiles_per_width": served.level.tiles_per_width,
            "tiles_per_height": served.level.tiles_per_height,
        }
        for id, served in layer.levels.items()
    ]


def layer_facts(layer: Layer) -> Json:
    """What a client must know of a layer."""
    return {
        "id": layer.id,
        "name": layer.title,
        "format": layer.format.format.name,
        "channels": layer.format.channels,
        "nodata": list(layer.format.nodata),
        "tms": layer.tms.name,
        "crs": layer.tms.crs,
        "kind": str(layer.tms.kind),
        "masks": layer.has_masks,
        "levels": list(layer.levels),
        "extent": list(layer.geographic_extent),
        "kinds": list(kinds_of(layer.format)),
    }


def layers_json(layers: Sequence[Layer], base: str) -> list[Json]:
    return [layer_facts(layer) | {"tilejson": f"{base}/tiles/{quote(layer.id)}/tilejson.json"} for layer in layers]


def tilejson(layer: Layer, base: str) -> Json:
    """TileJSON 3.0, rows counted from the top. Zooms are there when the ids of levels are numbers.

    All that is not of the Web Mercator grid, which the form takes for granted, is under ``fastpyr``.
    """
    root = f"{base}/tiles/{quote(layer.id)}"
    kind = stored_kind(layer.format)
    west, south, east, north = layer.geographic_extent
    document: Json = {
        "tilejson": "3.0.0",
        "name": layer.title,
        "scheme": "xyz",
        "tiles": [f"{root}/{{z}}/{{x}}/{{y}}.{kind}"],
        "bounds": [west, south, east, north],
        "tile_size": layer.bottom.matrix.tile_width,
    }
    if all(id.isdigit() and int(id) <= 30 for id in layer.levels):
        zooms = [int(id) for id in layer.levels]
        document |= {"minzoom": min(zooms), "maxzoom": max(zooms)}
        document["center"] = [(west + east) / 2, (south + north) / 2, min(zooms)]
    facts = layer_facts(layer)
    document["fastpyr"] = facts | {
        "levels": _levels(layer),
        "bounds": list(layer.extent),
        "view": f"{root}/view/{{z}}/{{x}}/{{y}}.png",
        "mask": f"{root}/mask/{{z}}/{{x}}/{{y}}.png" if layer.has_masks else None,
        "facts": f"{root}/facts/{{z}}/{{x}}/{{y}}",
        "tile_matrix_set": f"{root}/tms.json",
    }
    return document


def matrix_set_json(tms: TileMatrixSet) -> Json:
    """The tile matrix set (OGC, version 2) with its reference system in PROJ's terms for the browser."""
    return tms.to_json() | {"proj4": proj_text(tms.crs)}


def proj_text(crs: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is less than WKT is known
        return str(parse_crs(crs).to_proj4())
