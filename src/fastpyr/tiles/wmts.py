"""OGC WMTS 1.0.0: key-value pairs and RESTful paths, capabilities, tiles, exceptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape as _escape

from ..errors import NotFoundError
from ..grid.crs import metres_per_unit, parse_crs
from ..grid.matrix import TileMatrix
from .answer import Answer, Asked, NotNow
from .payload import MEDIA_TYPES, kinds_of

if TYPE_CHECKING:
    from .layer import Layer
    from .service import TileService

__all__ = ["STYLE", "OwsError", "answer", "capabilities", "exception_answer", "has_inverted_axes"]

STYLE = "normal"
"""The one style: pixels as they are."""

_PIXEL_IN_METRES = 0.00028
_XML_UNSAFE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DEFAULT_STYLES = ("", STYLE, "default")


class OwsError(Exception):
    """A request that is refused: HTTP status, code of the exception, the parameter at fault."""

    def __init__(self, status: int, code: str, text: str, locator: str | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.locator = status, code, locator


def escape(text: str) -> str:
    """Text or an attribute's value for XML; what XML cannot hold is left out."""
    return _escape(_XML_UNSAFE.sub("", text), {'"': "&quot;"})


def exception_answer(status: int, code: str, text: str, locator: str | None = None) -> Answer:
    """An OWS exception report."""
    code = {"NotFound": "InvalidParameterValue"}.get(code, code)
    where = f' locator="{escape(locator)}"' if locator else ""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows/1.1" version="1.1.0" xml:lang="en">'
        f'<ows:Exception exceptionCode="{escape(code)}"{where}>'
        f"<ows:ExceptionText>{escape(text)}</ows:ExceptionText></ows:Exception></ows:ExceptionReport>\n"
    )
    return Answer(status, body.encode(), "application/xml")


def answer(service: TileService, parts: list[str], asked: Asked) -> Answer:
    """The answer to a request below ``/wmts``; ``parts`` are those of the path behind it. Raises OwsError."""
    if not parts:
        return _by_keys(service, asked)
    if parts[0] != "1.0.0":
        raise OwsError(404, "InvalidParameterValue", f"version {parts[0][:20]!r} is not 1.0.0", "version")
    if parts[1:] == ["WMTSCapabilities.xml"]:
        return _capabilities_answer(service, asked)
    if len(parts) == 7:
        layer, style, matrix_set, matrix, row, last = parts[1:]
        col, _, extension = last.partition(".")
        kinds = {"jpeg": "jpg", "tiff": "tif"}
        kind = kinds.get(extension, extension)
        media_type = MEDIA_TYPES.get(kind, extension) if extension else ""
        return _tile(service, asked, (layer, style, matrix_set, matrix, row, col, media_type))
    raise OwsError(404, "InvalidParameterValue", "no such resource: see /wmts/1.0.0/WMTSCapabilities.xml")


def _by_keys(service: TileService, asked: Asked) -> Answer:
    values = {name.lower(): value for name, value in asked.query.items()}
    name = values.get("service")
    if name is not None and name.upper() != "WMTS":
        raise OwsError(400, "InvalidParameterValue", f"service {name[:40]!r}: this is a WMTS", "service")
    request = values.get("request", "")
    if not request:
        raise OwsError(400, "MissingParameterValue", "request is missing: GetCapabilities or GetTile", "request")
    if request.lower() == "getcapabilities":
        versions = values.get("acceptversions")
        if versions is not None and "1.0.0" not in versions.split(","):
            raise OwsError(400, "VersionNegotiationFailed", "the version here is 1.0.0", "acceptversions")
        return _capabilities_answer(service, asked)
    if request.lower() == "getfeatureinfo":
        raise OwsError(501, "OperationNotSupported", "GetFeatureInfo is not offered", "request")
    if request.lower() != "gettile":
        raise OwsError(400, "OperationNotSupported", f"{request[:40]!r} is not offered", "request")
    if values.get("version", "1.0.0") != "1.0.0":
        raise OwsError(400, "InvalidParameterValue", f"version {values['version'][:20]!r} is not 1.0.0", "version")
    wanted = ("layer", "style", "tilematrixset", "tilematrix", "tilerow", "tilecol", "format")
    for name in wanted:
        if name not in values and name != "style":
            raise OwsError(400, "MissingParameterValue", f"{name} is missing", name)
    given = tuple(values.get(name, "") for name in wanted)
    return _tile(service, asked, given)


def _tile(service: TileService, asked: Asked, given: tuple[str, ...]) -> Answer:
    layer_id, style, matrix_set, matrix, row, col, media_type = given
    try:
        layer = service.catalogue.layer(layer_id, asked.now)
    except NotFoundError:
        raise OwsError(400, "InvalidParameterValue", f"layer {layer_id[:80]!r} is unknown", "layer") from None
    if style not in _DEFAULT_STYLES:
        raise OwsError(400, "InvalidParameterValue", f"style {style[:40]!r}: the one here is {STYLE}", "style")
    if matrix_set not in (layer.tms.name, matrix_set_id(layer)):
        text = f"tile matrix set {matrix_set[:40]!r}: that of {layer.id} is {matrix_set_id(layer)}"
        raise OwsError(400, "InvalidParameterValue", text, "tilematrixset")
    if matrix not in layer.tms.ids:
        raise OwsError(400, "InvalidParameterValue", f"{layer.tms.name} has no level {matrix[:40]!r}", "tilematrix")
    kind = kind_of_media(layer, media_type)
    numbers = {}
    for name, text in (("tilerow", row), ("tilecol", col)):
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise OwsError(400, "InvalidParameterValue", f"{name} {text[:40]!r} is not a number", name)
        numbers[name] = int(text)
    try:
        return service.tile(layer, matrix, numbers["tilecol"], numbers["tilerow"], kind, asked)
    except NotFoundError as error:
        raise OwsError(404, "TileOutOfRange", str(error), "tilerow") from None


def kind_of_media(layer: Layer, media_type: str) -> str:
    """The kind of tile that a media type stands for, none: what is stored. Raises OwsError."""
    kinds = kinds_of(layer.format)
    if not media_type:
        return kinds[0]
    asked = media_type.replace(" ", "").lower()
    for kind in kinds:
        if asked in (MEDIA_TYPES[kind], "image/jpg" if kind == "jpg" else "", kind):
            return kind
    text = f"format {media_type[:60]!r}: {layer.id} has {', '.join(MEDIA_TYPES[kind] for kind in kinds)}"
    raise OwsError(400, "InvalidParameterValue", text, "format")


def _shown_matrices(layer: Layer) -> tuple[TileMatrix, ...]:
    """The matrices between the coarsest and the finest level of a layer, coarsest first."""
    ranks = [layer.tms.index(id) for id in layer.levels]
    return layer.tms.matrices[min(ranks) : max(ranks) + 1][::-1]


def matrix_set_id(layer: Layer) -> str:
    """Name of the set of a layer's matrices: ``PM``, or ``PM_6_18`` for levels 6 to 18 of it.

    Clients take the finest matrix of a set for that of the layer, whatever the limits say.
    """
    shown = _shown_matrices(layer)
    if len(shown) == len(layer.tms.matrices):
        return layer.tms.name
    return f"{layer.tms.name}_{shown[0].id}_{shown[-1].id}"


def has_inverted_axes(crs: str) -> bool:
    """Whether the authority of a system gives the northing (latitude) first: so do corners in capabilities."""
    axes = parse_crs(crs).axis_info
    return bool(axes) and axes[0].direction.lower() == "north" and axes[1].direction.lower() in ("east", "west")


def crs_urn(crs: str) -> str:
    """The URN of a system that is an authority's, its own text otherwise."""
    authority, _, code = crs.partition(":")
    if re.fullmatch(r"[A-Za-z]+", authority) and re.fullmatch(r"[A-Za-z0-9_.]+", code):
        return f"urn:ogc:def:crs:{authority.upper()}::{code}"
    return crs


def _capabilities_answer(service: TileService, asked: Asked) -> Answer:
    if asked.now:
        raise NotNow
    layers = service.catalogue.layers(service.catalogue.published())
    return Answer(200, capabilities(layers, asked.base).encode(), "application/xml")


def capabilities(layers: list[Layer], base: str) -> str:
    """The capabilities document."""
    sets = {matrix_set_id(layer): layer for layer in layers}
    contents = "".join(_layer(layer, base) for layer in layers)
    contents += "".join(_matrix_set(layer) for layer in sets.values())
    url = escape(f"{base}/wmts?")
    rest = escape(f"{base}/wmts/1.0.0/WMTSCapabilities.xml")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://www.opengis.net/wmts/1.0 '
        'http://schemas.opengis.net/wmts/1.0/wmtsGetCapabilities_response.xsd" version="1.0.0">\n'
        "<ows:ServiceIdentification><ows:Title>fastpyr</ows:Title><ows:ServiceType>OGC WMTS</ows:ServiceType>"
        "<ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion></ows:ServiceIdentification>\n"
        f"<ows:OperationsMetadata>{_operation('GetCapabilities', url, rest)}"
        f"{_operation('GetTile', url, None)}</ows:OperationsMetadata>\n"
        f"<Contents>\n{contents}</Contents>\n"
        f'<ServiceMetadataURL xlink:href="{rest}"/>\n'
        "</Capabilities>\n"
    )


def _operation(name: str, url: str, rest: str | None) -> str:
    def get(href: str, encoding: str) -> str:
        return (
            f'<ows:Get xlink:href="{href}"><ows:Constraint name="GetEncoding"><ows:AllowedValues>'
            f"<ows:Value>{encoding}</ows:Value></ows:AllowedValues></ows:Constraint></ows:Get>"
        )

    ways = get(url, "KVP") + (get(rest, "RESTful") if rest else "")
    return f'<ows:Operation name="{name}"><ows:DCP><ows:HTTP>{ways}</ows:HTTP></ows:DCP></ows:Operation>'


def _layer(layer: Layer, base: str) -> str:
    west, south, east, north = layer.geographic_extent
    kinds = kinds_of(layer.format)
    formats = "".join(f"<Format>{MEDIA_TYPES[kind]}</Format>" for kind in kinds)
    path = f"{base}/wmts/1.0.0/{quote(layer.id)}/{STYLE}/{quote(matrix_set_id(layer))}"
    resources = "".join(
        f'<ResourceURL format="{MEDIA_TYPES[kind]}" resourceType="tile" '
        f'template="{escape(path)}/{{TileMatrix}}/{{TileRow}}/{{TileCol}}.{kind}"/>'
        for kind in kinds
    )
    limits = "".join(
        f"<TileMatrixLimits><TileMatrix>{escape(id)}</TileMatrix><MinTileRow>{one.min_row}</MinTileRow>"
        f"<MaxTileRow>{one.max_row}</MaxTileRow><MinTileCol>{one.min_col}</MinTileCol>"
        f"<MaxTileCol>{one.max_col}</MaxTileCol></TileMatrixLimits>"
        for id, served in reversed(list(layer.levels.items()))
        for one in (served.level.limits,)
    )
    return (
        f"<Layer><ows:Title>{escape(layer.title)}</ows:Title>"
        f"<ows:WGS84BoundingBox><ows:LowerCorner>{west:.12g} {south:.12g}</ows:LowerCorner>"
        f"<ows:UpperCorner>{east:.12g} {north:.12g}</ows:UpperCorner></ows:WGS84BoundingBox>"
        f"<ows:Identifier>{escape(layer.id)}</ows:Identifier>"
        f'<Style isDefault="true"><ows:Title>{STYLE}</ows:Title><ows:Identifier>{STYLE}</ows:Identifier></Style>'
        f"{formats}<TileMatrixSetLink><TileMatrixSet>{escape(matrix_set_id(layer))}</TileMatrixSet>"
        f"<TileMatrixSetLimits>{limits}</TileMatrixSetLimits></TileMatrixSetLink>{resources}</Layer>\n"
    )


def _matrix_set(layer: Layer) -> str:
    tms = layer.tms
    scale = metres_per_unit(tms.crs) / _PIXEL_IN_METRES
    inverted = has_inverted_axes(tms.crs)
    matrices = []
    for matrix in _shown_matrices(layer):
        x, y = _number(matrix.origin_x), _number(matrix.origin_y)
        corner = f"{y} {x}" if inverted else f"{x} {y}"
        matrices.append(
            f"<TileMatrix><ows:Identifier>{escape(matrix.id)}</ows:Identifier>"
            f"<ScaleDenominator>{_number(matrix.cell_size * scale)}</ScaleDenominator>"
            f"<TopLeftCorner>{corner}</TopLeftCorner>"
            f"<TileWidth>{matrix.tile_width}</TileWidth><TileHeight>{matrix.tile_height}</TileHeight>"
            f"<MatrixWidth>{matrix.matrix_width}</MatrixWidth><MatrixHeight>{matrix.matrix_height}</MatrixHeight>"
            "</TileMatrix>"
        )
    return (
        f"<TileMatrixSet><ows:Identifier>{escape(matrix_set_id(layer))}</ows:Identifier>"
        f"<ows:SupportedCRS>{escape(crs_urn(tms.crs))}</ows:SupportedCRS>{''.join(matrices)}</TileMatrixSet>\n"
    )


def _number(value: float) -> str:
    """All digits that a number has, without an exponent for usual ones."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
