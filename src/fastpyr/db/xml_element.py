"""The XML DataElement of a raster dataset, as geodatabases exchange it: written and read.

Boxes are outer pixel edges (the tables hold pixel centres). Numbers have 15 significant digits. What is read is not
trusted: no document type, so no entity; bounded size, depth and count of elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from xml.etree import ElementTree

from ..errors import ConfigError, DecodeError
from ..grid.bounds import BoundingBox
from .pixels import Compression, PixelType
from .pyramid_kernels import Method
from .xml_reader import XmlNode, parse_xml

__all__ = ["TABLE_TYPES", "BandElement", "FieldElement", "RasterElement", "SpatialReference", "from_xml", "to_xml"]

_NAMESPACES = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xmlns:xs": "http://www.w3.org/2001/XMLSchema",
    "xmlns:esri": "http://www.esri.com/schemas/ArcGIS/10.0",
}
TABLE_TYPES = ("Value", "Index", "Invalid")
"""What the attribute table of a band is about: its values, its colour map, or there is none."""

_COMPRESSIONS = {
    Compression.NONE: ("NONE", "esriRasterCompressionUncompressed"),
    Compression.LZ77: ("LZ77", "esriRasterCompressionLZ77"),
    Compression.JPEG: ("JPEG", "esriRasterCompressionJPEG"),
    Compression.JP2: ("JPEG2000", "esriRasterCompressionJPEG2000"),
}
"""Name in the dataset, name in the storage definition."""
_METHODS = {
    Method.NEAREST: "RSP_NearestNeighbor",
    Method.BILINEAR: "RSP_BilinearInterpolation",
    Method.BICUBIC: "RSP_CubicConvolution",
}
_MAX_BANDS = 4096


@dataclass(frozen=True, slots=True)
class FieldElement:
    """A column of an attribute table. ``required`` and ``editable`` are left out where they say nothing."""

    name: str
    type: str
    is_nullable: bool = True
    length: int = 0
    required: bool = False
    editable: bool = True


VALUE_FIELDS = (
    FieldElement("ObjectID", "esriFieldTypeOID", is_nullable=False, length=4, required=True, editable=False),
    FieldElement("Value", "esriFieldTypeInteger"),
    FieldElement("Count", "esriFieldTypeInteger"),
)
"""Columns of every value attribute table."""


@dataclass(frozen=True, slots=True)
class SpatialReference:
    """A coordinate reference system with the grid of whole numbers that geometries are stored on.

    The defaults of ``of`` are those of geodatabases: 2^53 steps over 800 degrees for geographic systems, a tenth of a
    millimetre for others; tolerances of a millimetre.
    """

    wkt: str
    kind: str
    """``Geographic``, ``Projected`` or ``Unknown``."""
    x_origin: float
    y_origin: float
    xy_scale: float
    xy_tolerance: float
    z_tolerance: float
    m_tolerance: float
    z_origin: float = 0.0
    z_scale: float = 1.0
    m_origin: float = 0.0
    m_scale: float = 1.0
    high_precision: bool = True
    left_longitude: float | None = None

    @classmethod
    def of(cls, wkt: str) -> SpatialReference:
        """By the well-known text, which may be empty."""
        head = wkt.lstrip().partition("[")[0].strip().upper()
        if head in ("GEOGCS", "GEOGCRS", "GEODCRS", "GEOGRAPHICCRS", "GEODETICCRS"):
            # A millimetre on the equator of a sphere where a degree is 111319.49 m.
            tolerance = 8.98315284119521e-09
            return cls(wkt, "Geographic", -400, -400, 2**53 / 800, tolerance, 2, 2, left_longitude=-180)
        kind = "Projected" if wkt.strip() else "Unknown"
        return cls(wkt, kind, -(2**52) / 10000, -(2**52) / 10000, 10000, 0.001, 0.001, 0.001)


@dataclass(frozen=True, slots=True)
class BandElement:
    """A band. ``extent``: outer pixel edges. ``table_type``: one of TABLE_TYPES; ``columns`` those of its table."""

    name: str
    width: int
    height: int
    pixel_type: PixelType
    extent: BoundingBox
    spatial_reference: SpatialReference
    table_type: str = "Value"
    columns: tuple[FieldElement, ...] = VALUE_FIELDS
    nodata: float | None = None

    @property
    def cell_width(self) -> float:
        return self.extent.width / self.width

    @property
    def cell_height(self) -> float:
        return self.extent.height / self.height


@dataclass(frozen=True, slots=True)
class RasterElement:
    """A raster dataset. ``name`` is ``DATABASE.OWNER.NAME``. ``origin``: corner of the block origin's pixel, (x, y)."""

    name: str
    bands: tuple[BandElement, ...]
    compression: Compression = Compression.LZ77
    quality: int = 75
    block_width: int = 128
    block_height: int = 128
    pyramid_level: int = 0
    method: Method = Method.BILINEAR
    origin: tuple[float, float] | None = None
    format: str = "SDR"
    version: str = field(default="sde.DEFAULT")

    @property
    def catalog_path(self) -> str:
        return f"/V={self.version}/RD={self.name}"


# --- writing ---


def to_xml(description: RasterElement) -> bytes:
    """The document, UTF-8. ConfigError without bands, and for text or numbers that XML or a raster cannot hold."""
    if not description.bands:
        raise ConfigError(f"{description.name}: a raster without bands has no description")
    root = ElementTree.Element("DataElement", {**_NAMESPACES, "xsi:type": "esri:DERasterDataset"})
    _texts(root, CatalogPath=description.catalog_path, Name=description.name)
    children = _typed(root, "Children", "ArrayOfDataElement")
    for band in description.bands:
        _write_band(_typed(children, "DataElement", "DERasterBand"), band, description.catalog_path)
    first = description.bands[0]
    _texts(root, DatasetType="esriDTRasterDataset", DSID=-1, Versioned=False, CanVersion=False)
    _write_extent(root, first.extent, first.spatial_reference)
    _write_reference(root, first.spatial_reference)
    name, storage_name = _COMPRESSIONS[description.compression]
    _texts(root, BandCount=len(description.bands), CompressionType=name, Format=description.format)
    _texts(root, Permanent=True, SensorType="")
    storage = _typed(root, "StorageDef", "RasterStorageDef")
    _texts(storage, CellSizeX=first.cell_width, CellSizeY=first.cell_height)
    _texts(storage, CompressionQuality=description.quality, CompressionType=storage_name)
    origin = description.origin or (first.extent.left, first.extent.top)
    _texts(_typed(storage, "Origin", "PointN"), X=origin[0], Y=origin[1])
    _texts(storage, PyramidLevel=description.pyramid_level, PyramidResampleType=_METHODS[description.method])
    _texts(storage, Tiled=True, TileHeight=description.block_height, TileWidth=description.block_width)
    document = ElementTree.tostring(root, "unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'.encode()


def _typed(parent: ElementTree.Element, name: str, kind: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, name, {"xsi:type": f"esri:{kind}"})


def _texts(parent: ElementTree.Element, **values: str | float | bool) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = _text(name, value)


def _text(name: str, value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{name} is {value}: XML descriptions hold finite numbers")
        return f"{value:.15G}"
    if any((ord(c) < 32 and c not in "\t\n\r") or 0xD800 <= ord(c) < 0xE000 or c in "\ufffe\uffff" for c in value):
        raise ConfigError(f"{name} {value!r} has characters that XML cannot hold")
    return value


def _write_band(element: ElementTree.Element, band: BandElement, path: str) -> None:
    has_table = band.table_type != "Invalid"
    _texts(element, CatalogPath=f"{path}/RB={band.name}", Name=band.name, DatasetType="esriDTRasterBand", DSID=-1)
    _texts(element, Versioned=False, CanVersion=False, HasOID=has_table)
    _texts(element, OIDFieldName=band.columns[0].name if has_table and band.columns else "")
    columns = _typed(_typed(element, "Fields", "Fields"), "FieldArray", "ArrayOfField")
    for column in band.columns if has_table else ():
        _write_field(_typed(columns, "Field", "Field"), column)
    _typed(_typed(element, "Indexes", "Indexes"), "IndexArray", "ArrayOfIndex")
    _texts(element, IsInteger=band.pixel_type.is_integer)
    _texts(element, MeanCellHeight=band.cell_height, MeanCellWidth=band.cell_width)
    _texts(element, Height=band.height, Width=band.width, PixelType=band.pixel_type.value)
    _texts(element, PrimaryField=int(has_table), TableType=f"esriRasterTable{band.table_type}")
    _write_extent(element, band.extent, band.spatial_reference)
    if band.nodata is not None:
        _texts(element, NoDataValue=band.nodata)


def _write_field(element: ElementTree.Element, column: FieldElement) -> None:
    _texts(element, Name=column.name, Type=column.type, IsNullable=column.is_nullable, Length=column.length)
    _texts(element, Precision=0, Scale=0)
    if column.required:
        _texts(element, Required=True)
    if not column.editable:
        _texts(element, Editable=False)


def _write_extent(parent: ElementTree.Element, box: BoundingBox, reference: SpatialReference) -> None:
    extent = _typed(parent, "Extent", "EnvelopeN")
    _texts(extent, XMin=box.left, YMin=box.bottom, XMax=box.right, YMax=box.top)
    _write_reference(extent, reference)


_REFERENCE = {
    "XOrigin": "x_origin",
    "YOrigin": "y_origin",
    "XYScale": "xy_scale",
    "ZOrigin": "z_origin",
    "ZScale": "z_scale",
    "MOrigin": "m_origin",
    "MScale": "m_scale",
    "XYTolerance": "xy_tolerance",
    "ZTolerance": "z_tolerance",
    "MTolerance": "m_tolerance",
}


def _write_reference(parent: ElementTree.Element, reference: SpatialReference) -> None:
    element = _typed(parent, "SpatialReference", f"{reference.kind}CoordinateSystem")
    if reference.wkt:
        _texts(element, WKT=reference.wkt)
    _texts(element, **{name: getattr(reference, own) for name, own in _REFERENCE.items()})
    _texts(element, HighPrecision=reference.high_precision)
    if reference.left_longitude is not None:
        _texts(element, LeftLongitude=reference.left_longitude)


# --- reading ---


def from_xml(data: bytes) -> RasterElement:
    """The first raster dataset of a document. DecodeError, one line, when there is none or it does not make sense.

    What only the writer derives (cell sizes, counts, paths of bands) is not read; what is missing has its default.
    """
    root = parse_xml(data)
    found = next((node for node in _walk(root) if node.type == "DERasterDataset"), None)
    if found is None:
        raise DecodeError("XML document has no DataElement of type DERasterDataset")
    bands = [node for node in found.all("Children/DataElement") if node.type == "DERasterBand"]
    if not 1 <= len(bands) <= _MAX_BANDS:
        raise DecodeError(f"XML raster has {len(bands)} bands: expected 1 to {_MAX_BANDS}")
    path = found.text("CatalogPath", "/V=sde.DEFAULT/")
    origin = found.first("StorageDef/Origin")
    return RasterElement(
        name=found.text("Name"),
        bands=tuple(map(_read_band, bands)),
        compression=_compression(found),
        quality=found.integer("StorageDef/CompressionQuality", 1, 100, 75),
        block_width=found.integer("StorageDef/TileWidth", 1, 4096, 128),
        block_height=found.integer("StorageDef/TileHeight", 1, 4096, 128),
        pyramid_level=found.integer("StorageDef/PyramidLevel", 0, 30, 0),
        method=_named(_METHODS, found.text("StorageDef/PyramidResampleType", ""), Method.BILINEAR),
        origin=None if origin is None else (origin.number("X"), origin.number("Y")),
        format=found.text("Format", "SDR"),
        version=path.partition("/V=")[2].partition("/")[0] or "sde.DEFAULT",
    )


def _walk(node: XmlNode) -> Iterator[XmlNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _compression(node: XmlNode) -> Compression:
    text = node.text("StorageDef/CompressionType", "") or node.text("CompressionType", "LZ77")
    for compression, names in _COMPRESSIONS.items():
        if text in (*names, str(compression.xml_code)):
            return compression
    raise DecodeError(f"XML CompressionType is {text[:80]!r}: expected one that geodatabases store")


def _named(names: dict[Method, str], text: str, default: Method) -> Method:
    return next((value for value, name in names.items() if name == text), default)


def _read_band(node: XmlNode) -> BandElement:
    reference = node.first("Extent/SpatialReference")
    table = node.text("TableType", "esriRasterTableInvalid").removeprefix("esriRasterTable")
    name = node.text("PixelType")
    if name not in PixelType.__members__:
        raise DecodeError(f"XML PixelType is {name[:80]!r}: expected one of {', '.join(PixelType.__members__)}")
    box = BoundingBox(*(node.number(f"Extent/{side}") for side in ("XMin", "YMin", "XMax", "YMax")))
    if not box.is_valid:
        raise DecodeError(f"XML Extent {tuple(box)} encloses nothing")
    return BandElement(
        name=node.text("Name"),
        width=node.integer("Width", 1, 2**31 - 1),
        height=node.integer("Height", 1, 2**31 - 1),
        pixel_type=PixelType[name],
        extent=box,
        spatial_reference=SpatialReference.of("") if reference is None else _read_reference(reference),
        table_type=table if table in TABLE_TYPES else "Invalid",
        columns=tuple(_read_field(column) for column in node.all("Fields/FieldArray/Field")),
        nodata=node.number("NoDataValue") if node.first("NoDataValue") is not None else None,
    )


def _read_field(node: XmlNode) -> FieldElement:
    return FieldElement(
        name=node.text("Name"),
        type=node.text("Type"),
        is_nullable=node.boolean("IsNullable", True),
        length=node.integer("Length", 0, 2**31 - 1, 0),
        required=node.boolean("Required", False),
        editable=node.boolean("Editable", True),
    )


def _read_reference(node: XmlNode) -> SpatialReference:
    default = SpatialReference.of(node.text("WKT", ""))
    values = {item.name: getattr(default, item.name) for item in fields(SpatialReference)}
    values |= {own: node.number(name, getattr(default, own)) for name, own in _REFERENCE.items()}
    values["high_precision"] = node.boolean("HighPrecision", True)
    kind = node.type.removesuffix("CoordinateSystem")
    values["kind"] = kind if kind in ("Geographic", "Projected", "Unknown") else default.kind
    values["left_longitude"] = node.number("LeftLongitude") if node.first("LeftLongitude") is not None else None
    return SpatialReference(**values)
