"""A stored raster described: as plain facts, and as the DataElement of the XML workspace document."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .aux_objects import AuxType
from .block_io import read_aux
from .engine import read as reading
from .pyramid_kernels import Method
from .schema import vat_name
from .state import RasterState
from .xml_element import VALUE_FIELDS, BandElement, FieldElement, RasterElement, SpatialReference, to_xml

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .dataset import RasterDataset

__all__ = ["dataset_xml", "describe", "element_of"]


def describe(dataset: RasterDataset) -> dict[str, Any]:
    """All facts of a raster, as JSON has them; counting its rows asks the database."""
    state = dataset.state
    entry = state.entry
    extent = dataset.extent
    return {
        "name": dataset.name,
        "kind": "raster of a catalog" if entry.is_catalog else "dataset",
        "description": state.row.description,
        "storage": entry.storage,
        "width": dataset.width,
        "height": dataset.height,
        "bands": [_band(state, number) for number in range(dataset.bands)],
        "pixel_type": dataset.pixel_type,
        "compression": state.compression.name.lower(),
        "block": [state.block_shape[1], state.block_shape[0]],
        "cell": [state.grid.cell_x, state.grid.cell_y],
        "extent": list(extent),
        "crs": _crs_name(state),
        "levels": list(state.levels),
        "interpolation": state.settings.method,
        "blocks": _rows(dataset),
        "tables": [table.name for table in entry.tables.all],
        "colormap": dataset.colormap is not None,
    }


def _band(state: RasterState, number: int) -> dict[str, Any]:
    band = state.bands[number]
    dates = {"cdate": band.cdate, "mdate": band.mdate}
    return {"id": band.rasterband_id, "name": band.name, "types": band.band_types, "flags": band.band_flags, **dates}


def _crs_name(state: RasterState) -> str:
    reference = state.entry.reference
    if reference.auth_name and reference.auth_srid:
        return f"{reference.auth_name}:{reference.auth_srid}"
    return state.wkt


def _rows(dataset: RasterDataset) -> dict[str, int]:
    """Stored blocks by level, all bands together."""
    import sqlalchemy as sa

    c = dataset.state.tables.blk.c
    asked = sa.select(c.rrd_factor, sa.func.count()).where(c.rasterband_id.in_(dataset.state.band_ids))
    with reading(dataset.database.engine) as connection:
        counted = connection.execute(asked.group_by(c.rrd_factor).order_by(c.rrd_factor))
        return {str(level): count for level, count in counted}


def element_of(connection: Connection, state: RasterState) -> RasterElement:
    """The description of a raster that the XML document is written from; its box is that of outer pixel edges."""
    import sqlalchemy as sa

    object_id = state.row.objectid if state.entry.is_catalog else None
    vat = vat_name(state.entry.rastercolumn_id, object_id)
    columns: tuple[FieldElement, ...] = ()
    table_type = "Invalid"
    if len(state.bands) == 1 and state.pixel_type.is_integer:
        kinds = read_aux(connection, state.tables, state.band_ids, [AuxType.COLORMAP])
        table_type, columns = "Index" if kinds else "Value", VALUE_FIELDS
        inspector = sa.inspect(connection)
        if inspector.has_table(vat):
            columns += tuple(_field(column) for column in inspector.get_columns(vat)[len(VALUE_FIELDS) :])
    reference = SpatialReference.of(_esri_wkt(state.wkt))
    extent = state.transform.bounds(state.grid.width, state.grid.height)
    bands = tuple(
        BandElement(
            band.name or f"Band_{band.sequence_nbr}",
            band.band_width,
            band.band_height,
            state.pixel_type,
            extent,
            reference,
            table_type,
            columns,
        )
        for band in state.bands
    )
    rows, cols = state.block_shape
    return RasterElement(
        state.entry.full_name,
        bands,
        state.compression,
        state.settings.quality,
        cols,
        rows,
        max(state.levels),
        Method.of(state.settings.method),
        (state.affine.c, state.affine.f),
    )


def _field(column: Any) -> FieldElement:
    """A column that the user attached to the value attribute table."""
    kind = str(column["type"]).upper()
    name = "Integer" if "INT" in kind else "Double" if "DOUBLE" in kind or "FLOAT" in kind else "String"
    return FieldElement(column["name"], f"esriFieldType{name}", length=255 if name == "String" else 8)


@lru_cache(maxsize=64)
def _esri_wkt(wkt: str) -> str:
    """A CRS in the dialect of geodatabases; as it is where that has no words for it."""
    if not wkt:
        return ""
    from pyproj.exceptions import ProjError

    from ..grid.crs import parse_crs

    try:
        return str(parse_crs(wkt).to_wkt("WKT1_ESRI"))
    except ProjError:
        return wkt


def dataset_xml(dataset: RasterDataset) -> bytes:
    """The DataElement document of a raster."""
    with reading(dataset.database.engine) as connection:
        return to_xml(element_of(connection, dataset.state))
