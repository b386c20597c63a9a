"""A stored raster described: as plain facts, and as the DataElement of the XML workspace document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine import read as reading
from .schema import vat_name
from .state import RasterState
from .xml_element import BandElement, RasterElement, to_xml

if TYPE_CHECKING:
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


def element_of(state: RasterState, *, has_vat: bool = False) -> RasterElement:
    """The description of a raster that the XML document is written from."""
    return RasterElement()


def dataset_xml(dataset: RasterDataset) -> bytes:
    """The DataElement document of a raster."""
    import sqlalchemy as sa

    state = dataset.state
    object_id = state.row.objectid if state.entry.is_catalog else None
    with reading(dataset.database.engine) as connection:
        has_vat = sa.inspect(connection).has_table(vat_name(state.entry.rastercolumn_id, object_id))
    return to_xml(element_of(state, has_vat=has_vat))
