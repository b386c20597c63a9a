"""What the platform offers: checks, processings and their parameters, endpoints. Ids are those of the production
platform, so that scripts written for it work here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, GridError, RequestError
from ..grid import level_range, load_tms, tms_names
from ..planning.options import as_bool

__all__ = [
    "CHECKS",
    "CHECK_RASTER",
    "CHECK_STANDARD",
    "CREATION",
    "DATASTORE",
    "ENDPOINTS",
    "FUSION",
    "PROCESSINGS",
    "USER",
    "Parameter",
    "Processing",
]

CREATION = "2025-01-01T00:00:00.000000Z"
DATASTORE = "11111111-1111-4111-8111-111111111111"
COMMUNITY = "33333333-3333-4333-8333-333333333333"
USER = "22222222-2222-4222-8222-222222222222"

CHECK_STANDARD = "ecb00ba0-eb42-427e-8418-f5d8a30e84ec"
CHECK_RASTER = "a4060831-9c6f-42e2-9435-e07a4e8ef535"
CHECKS: dict[str, tuple[str, str]] = {
    CHECK_STANDARD: (
        "Vérification standard",
        "La vérification standard contrôle les signatures MD5 fournies",
    ),
    CHECK_RASTER: (
        "Vérification raster",
        "La vérification raster contrôle que les fichiers sont bien lisibles et en extraie le géoréférencement",
    ),
}
"""Name and description by id."""

ENDPOINTS: dict[str, tuple[str, str, str]] = {
    "ae032611-13eb-4a18-8d04-9b7604a031cc": ("wmts", "gpf-rok4-server-wmts-tms", "WMTS-TMS"),
    "ae032611-13eb-4a18-8d04-9b7604a031cd": ("wms-r", "gpf-rok4-server-wms-r", "WMS-RASTER"),
}
"""Name, technical name and type by id."""

PYRAMID_TYPE = "ROK4-PYRAMID-RASTER"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a processing. ``read`` turns a given value into the one to use, or raises ValueError with what
    was expected; ``constraints`` is a fragment of JSON Schema, for readers."""

    name: str
    description: str
    read: Callable[[Any], Any]
    mandatory: bool = False
    default: Any = None
    constraints: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"name": self.name, "description": self.description, "mandatory": self.mandatory}
        if self.default is not None:
            value["default_value"] = self.default
        if self.constraints is not None:
            value["constraints"] = dict(self.constraints)
        return value


@dataclass(frozen=True, slots=True)
class Processing:
    """``unavailable``: why this version cannot execute it, None when it can. ``aliases``: other names it answers to."""

    id: str
    name: str
    description: str
    uploads: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    checks: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    unavailable: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"_id": self.id, "name": self.name, "description": self.description}

    def to_json(self) -> dict[str, Any]:
        return self.summary() | {
            "creation": CREATION,
            "update": CREATION,
            "priority": "STANDARD",
            "input_types": {"upload": list(self.uploads), "stored_data": [PYRAMID_TYPE]},
            "output_type": {"stored_data": PYRAMID_TYPE, "storage": ["FILESYSTEM"]},
            "parameters": [parameter.to_json() for parameter in self.parameters],
            "required_checks": [
                {"_id": check, "name": CHECKS[check][0], "description": CHECKS[check][1]} for check in self.checks
            ],
        }

    def read(self, given: Mapping[str, Any], *, tms: str | None = None, update: bool = False) -> dict[str, Any]:
        """The parameters to use: the given ones, checked, and the defaults of all others.

        ``tms``: the tile matrix set of the levels where it is no parameter; ``update``: all parameters that shape a
        pyramid are those of the one that is updated. Raises RequestError naming the parameter.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise RequestError(f"parameters: unknown parameter {name[:50]!r}; known are {', '.join(known)}")
            if update and name not in _OF_UPDATES and given[name] is not None:
                raise RequestError(f"parameters: {name}: an update has that of the pyramid it changes: leave it out")
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if update and parameter.name not in _OF_UPDATES:
                continue
            value = given.get(parameter.name)
            if value is None:
                if parameter.mandatory:
                    raise RequestError(f"parameters: {parameter.name} is missing")
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
                continue
            try:
                values[parameter.name] = parameter.read(value)
            except ValueError as error:
                raise RequestError(f"parameters: {parameter.name}: {error}, got {_shown(value)}") from error
        _check_levels(values, values.get("tms", tms))
        return values


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _one_of(*known: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return value

    return read


def _between(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return value

    return read


def _level(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= 64:
        raise ValueError("expected the id of a level")
    return str(value)


def _boolean(value: Any) -> bool:
    """``true`` and ``"true"``: clients send both."""
    if not isinstance(value, bool | str):
        raise ValueError("expected true or false")
    try:
        return as_bool("mask", value)
    except ConfigError:
        raise ValueError("expected true or false") from None


def _tms(value: Any) -> str:
    if not isinstance(value, str) or value not in tms_names():
        raise ValueError("expected the name of a tile matrix set, such as PM")
    return value


def _box(value: Any) -> list[float] | dict[str, float]:
    """Four numbers, as a list or a text, or an object with a side each."""
    sides = value
    if isinstance(value, str):
        sides = value.split(",")
    elif isinstance(value, dict) and set(value) == set(_SIDES):
        sides = [value[side] for side in _SIDES]
    if not isinstance(sides, list) or len(sides) != 4 or any(isinstance(side, bool) for side in sides):
        raise ValueError("expected [left, bottom, right, top] or {west, south, east, north}")
    try:
        left, bottom, right, top = (float(side) for side in sides)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("expected four numbers") from None
    if not all(map(math.isfinite, (left, bottom, right, top))) or not (left < right and bottom < top):
        raise ValueError("expected a box that is not empty")
    if not isinstance(value, dict):
        return [left, bottom, right, top]
    if max(-left, right) > 180 or max(-bottom, top) > 90:
        raise ValueError("expected degrees")
    return dict(zip(_SIDES, (left, bottom, right, top), strict=True))


def _check_levels(values: Mapping[str, Any], tms_name: str | None) -> None:
    """``bottom`` and ``top`` are levels of the tile matrix set, in this order."""
    if tms_name is None:
        return
    tms = load_tms(tms_name)
    for name in ("bottom", "top"):
        if name in values and values[name] not in tms.ids:
            known = ", ".join(reversed(tms.ids))
            raise RequestError(f"parameters: {name}: {tms.name} has no level {values[name]!r}; its levels are {known}")
    if "bottom" in values and "top" in values:
        try:
            level_range(tms, values["bottom"], values["top"])
        except GridError as error:
            raise RequestError(f"parameters: top: {error}") from error


def _choice(name: str, description: str, *known: str) -> Parameter:
    return Parameter(name, description, _one_of(*known), constraints={"type": "string", "enum": list(known)})


def _count(name: str, description: str, least: int, most: int, default: int) -> Parameter:
    constraints = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(name, description, _between(least, most), default=default, constraints=constraints)


_BUILD = (
    Parameter(
        "bottom",
        "Niveau du bas de la pyramide. Attention à ne pas sur-échantillonner les données utilisées. En ne précisant "
        "pas de niveau, le traitement prendra le niveau de la grille dont la résolution est la plus proche des images "
        "livrées",
        _level,
    ),
    Parameter(
        "tms",
        "Tile Matrix Set, grille de définition des tuiles. Dans le cas d'une génération initiale, il est obligatoire",
        _tms,
        constraints={"type": "string", "enum": tms_names()},
    ),
    _count("width", "Nombre de tuiles dans une dalle, dans le sens de la largeur", 8, 32, 16),
    _choice(
        "compression", "Compression des données dans les tuiles", "jpg", "png", "zip", "jpg90", "lzw", "pkb", "raw"
    ),
    _choice("interpolation", "Interpolation", "nn", "linear", "bicubic", "lanczos"),
    _count("parallelization", "Nombre de scripts d'écriture des dalles en parallèle", 1, 4, 1),
    Parameter(
        "top",
        "Niveau du haut de la pyramide. Par défaut, on remonte jusqu'au niveau le plus haut de la grille",
        _level,
    ),
    Parameter("mask", "Écriture des masques de données dans la pyramide en sortie", _boolean, default="false"),
    _count("height", "Nombre de tuiles dans une dalle, dans le sens de la hauteur", 8, 32, 16),
)

_OF_UPDATES = ("parallelization",)
_SIDES = ("west", "south", "east", "north")
_FUSION = (
    next(parameter for parameter in _BUILD if parameter.name == "parallelization"),
    Parameter(
        "top",
        "Niveau du haut de la pyramide en sortie : par défaut le plus haut de toutes les pyramides en entrée",
        _level,
    ),
    Parameter(
        "bottom",
        "Niveau du bas de la pyramide en sortie : par défaut le plus bas de toutes les pyramides en entrée",
        _level,
    ),
    Parameter(
        "bbox",
        "Étendue géographique sur laquelle sera générée la pyramide, par défaut l'union des étendues de toutes les "
        "pyramides en entrée : [gauche, bas, droite, haut] en coordonnées de la grille, ou "
        "{west, south, east, north} en degrés. Les dalles qui la touchent sont prises entières",
        _box,
        constraints={
            "oneOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                {
                    "type": "object",
                    "properties": {side: {"type": "number"} for side in _SIDES},
                    "required": list(_SIDES),
                    "additionalProperties": False,
                },
            ]
        },
    ),
)

FUSION = "7cdca031-9e86-4804-8764-9b1d783b087d"
RASTER_TO_PYRAMID = "2ae50661-986c-4f47-a3f0-e380417b522c"
PROCESSINGS: dict[str, Processing] = {
    processing.id: processing
    for processing in (
        Processing(
            RASTER_TO_PYRAMID,
            "Calcul ou mise à jour de pyramide raster",
            "Génération ou mise à jour d'une pyramide de tuiles raster à partir d'une livraison d'images "
            "géo-référencées",
            ("RASTER",),
            _BUILD,
            (CHECK_RASTER, CHECK_STANDARD),
            aliases=("Calcul de pyramide raster", "raster-to-pyramid"),
        ),
        Processing(
            FUSION,
            "Fusion de pyramides raster",
            "Composition de plusieurs pyramides raster indépendantes. Seules les dalles présentes dans plusieurs "
            "entrées sont recalculées, la première entrée au-dessus ; celles d'une seule entrée sont référencées",
            (),
            _FUSION,
            (),
            aliases=("merge", "fusion"),
        ),
        Processing(
            "6a54dc92-fc93-4c8e-9f02-046bf889550e",
            "Calcul ou mise à jour de pyramide raster par moissonnage WMS",
            "Génération ou mise à jour d'une pyramide de tuiles raster par moissonnage d'un service WMS",
            (),
            _BUILD,
            (),
            aliases=("harvest",),
            unavailable="harvesting a WMS is not in this version of fastpyr",
        ),
    )
}
