"""SQL Server by its dialect: definitions and statements compiled and read as text, as no server is at hand."""

from __future__ import annotations

import re

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")

from sqlalchemy.dialects import mssql, postgresql, sqlite  # noqa: E402
from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: E402

from fastpyr.db import block_io, features, registry, schema  # noqa: E402

DIALECTS = {"mssql": mssql.dialect(), "postgresql": postgresql.dialect(), "sqlite": sqlite.dialect()}
TYPES = {
    "mssql": ("INTEGER", "DOUBLE PRECISION", "VARBINARY(max)", "NVARCHAR(65)", "BIGINT"),
    "postgresql": ("INTEGER", "DOUBLE PRECISION", "BYTEA", "VARCHAR(65)", "BIGINT"),
    "sqlite": ("INTEGER", "DOUBLE", "BLOB", "VARCHAR(65)", "BIGINT"),
}


def ddl(table, dialect: str) -> str:
    text = str(CreateTable(table).compile(dialect=DIALECTS[dialect]))
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("dialect", TYPES)
def test_tables(dialect: str) -> None:
    whole, real, blob, short, big = TYPES[dialect]
    tables = schema.raster_tables("world", 7, 117)
    assert [table.name for table in tables.all] == [
        "f117", "s117", "sde_ras_7", "sde_bnd_7", "world", "sde_blk_7", "sde_aux_7",
    ]  # fmt: skip
    block = ddl(tables.blk, dialect)
    assert f"block_data {blob} NOT NULL" in block
    assert "PRIMARY KEY (rasterband_id, rrd_factor, row_nbr, col_nbr)" in block
    assert "FOREIGN KEY(rasterband_id) REFERENCES sde_bnd_7 (rasterband_id) ON DELETE CASCADE" in block
    band = ddl(tables.bnd, dialect)
    assert f"eminx {real} NOT NULL" in band
    assert f"name {short}" in band
    assert "UNIQUE (sequence_nbr, raster_id)" in band
    assert f"gx {big} NOT NULL" in ddl(tables.index, dialect)
    assert "PRIMARY KEY (sp_fid, gx, gy, eminx, eminy, emaxx, emaxy)" in ddl(tables.index, dialect)
    for table in (*tables.all, *schema.registry_tables().all, schema.vat_table("sde_vat_7", [("label", "text")])):
        text = ddl(table, dialect)
        assert "IDENTITY" not in text, "keys are given, not made by the database"
        assert "SERIAL" not in text
        assert f" {whole}" in text or big in text


def test_sql_server_snapshot() -> None:
    tables = schema.raster_tables("world", 7, 117)
    assert ddl(tables.aux, "mssql") == (
        "CREATE TABLE sde_aux_7 ( rasterband_id INTEGER NOT NULL, type INTEGER NOT NULL, "
        "object VARBINARY(max) NOT NULL, PRIMARY KEY (rasterband_id, type), "
        "FOREIGN KEY(rasterband_id) REFERENCES sde_bnd_7 (rasterband_id) "
        "ON DELETE CASCADE )"
    )
    names = {
        index.name: str(CreateIndex(index).compile(dialect=DIALECTS["mssql"])) for index in tables.business.indexes
    }
    assert names == {
        "world_i1": "CREATE INDEX world_i1 ON world (footprint)",
        "world_i2": "CREATE INDEX world_i2 ON world (raster)",
    }
    spatial = schema.registry_tables().spatial_references
    assert "srtext NVARCHAR(max) NOT NULL" in ddl(spatial, "mssql")


@pytest.mark.parametrize("dialect", TYPES)
def test_statements(dialect: str) -> None:
    tables = schema.raster_tables("world", 7, 117)

    def text(statement, **values) -> str:
        whole = {"render_postcompile": True}
        return str(statement.params(**values).compile(dialect=DIALECTS[dialect], compile_kwargs=whole))

    window = text(block_io._rectangle(tables.blk), bands=[1], rows=[2, 3], level=0, first=0, last=9)
    assert "row_nbr IN (" in window
    assert "col_nbr BETWEEN" in window
    corners = {"left": 0, "bottom": 0, "right": 1, "top": 1}
    assert "fid IN (" in text(features._exact_query(tables.feature), fids=[1], **corners)
    assert "LEFT OUTER JOIN sde_layers" in text(registry._query())
    insert = "INSERT INTO sde_blk_7 (rasterband_id, rrd_factor, row_nbr, col_nbr, block_data) VALUES"
    assert insert in str(tables.blk.insert().compile(dialect=DIALECTS[dialect]))
