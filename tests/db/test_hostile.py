"""URLs, names, files and rows from elsewhere are refused with one line, without touching anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fastpyr.db import ArrayInput, Geodatabase
from fastpyr.db.engine import database_url, shown
from fastpyr.errors import ConfigError, DatabaseError, DecodeError, FastpyrError

REFUSED = [
    "",
    "  ",
    ":memory:",
    "sqlite://",
    "sqlite:///:memory:",
    "sqlite:///file:/etc/passwd?mode=ro&uri=true",
    "file:/tmp/x.sqlite?vfs=unix",
    "sqlite://host/x.sqlite",
    "sqlite:///x.sqlite?uri=true",
    "sqlite+pysqlcipher:///x",
    "mysql://root@localhost/x",
    "oracle://x",
    "http://example.org/x",
    "postgresql://user@host",
    "postgresql://user@host/x?options=-csearch_path%3Devil",
    "postgresql://user@host/x?service=other",
    "postgresql://user@host/x?passfile=/etc/shadow",
    "postgresql+asyncpg://user@host/x",
    "postgresql://user:pw@host:port/x",
    "a\0b.sqlite",
    "a\nb.sqlite",
]


@pytest.mark.parametrize("url", REFUSED)
def test_refused_urls(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        database_url(url)
    assert "\n" not in str(caught.value)


def test_passwords_are_never_shown() -> None:
    url = database_url("postgresql://me:secret@host/x?sslmode=require")
    assert "secret" not in shown(url)
    with pytest.raises(FastpyrError) as caught:
        database_url("postgresql://me:secret@host:a/x")
    assert "secret" not in str(caught.value)
    with pytest.raises(DatabaseError) as failed:
        Geodatabase("postgresql://me:secret@/x?host=/nonexistent&connect_timeout=1")
    assert "secret" not in str(failed.value)
    assert "\n" not in str(failed.value)


def test_files_that_are_no_geodatabase(tmp_path: Path) -> None:
    text, empty, other = tmp_path / "a.txt", tmp_path / "empty.sqlite", tmp_path / "other.sqlite"
    text.write_text("no database at all, but longer than a header")
    empty.write_bytes(b"")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    for path, words in ((text, "not an SQLite"), (empty, "holds no geodatabase"), (other, "holds no geodatabase")):
        with pytest.raises(DatabaseError, match=words):
            Geodatabase(path)
    with pytest.raises(DatabaseError, match="no such geodatabase"):
        Geodatabase(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(DatabaseError, match="does not exist"):
        Geodatabase.create(tmp_path / "no" / "folder.sqlite")
    with pytest.raises(ConfigError, match="folder"):
        Geodatabase(tmp_path)
    Geodatabase.create(tmp_path / "real.sqlite").close()
    with pytest.raises(DatabaseError, match="already"):
        Geodatabase.create(tmp_path / "real.sqlite")


DAMAGE = {
    "UPDATE sde_bnd_1 SET block_width = 2000000000": "damaged",
    "UPDATE sde_bnd_1 SET band_width = -5": "damaged",
    "UPDATE sde_bnd_1 SET band_types = 12345": "band_types",
    "UPDATE sde_bnd_1 SET eminx = {no_number}": "eminx",
    "UPDATE sde_bnd_1 SET sequence_nbr = sequence_nbr, block_origin_x = 1e300": "",
    "UPDATE sde_aux_1 SET object = {zero} WHERE type = 4": "",
    "UPDATE sde_aux_1 SET object = {zeros} WHERE type = 6": "",
    "DELETE FROM sde_aux_1 WHERE type = 4": "transformation",
    "DELETE FROM sde_bnd_1": "no bands",
    "DELETE FROM raster": "0 rasters",
    "DROP TABLE sde_bnd_1 {cascade}": "sde_bnd_1",
    "UPDATE sde_blk_1 SET block_data = {zeros}": "block",
    "UPDATE sde_blk_1 SET block_data = {many_zeros}": "block",
    "UPDATE sde_blk_1 SET block_data = {deflated}": "block",
    "DROP TABLE sde_blk_1": "sde_blk_1",
}
SQLITE = {
    "no_number": "'x'",
    "zero": "x'00'",
    "zeros": "zeroblob(100)",
    "many_zeros": "zeroblob(30000000)",
    "deflated": "x'789c030000000001'",
    "cascade": "",
}
POSTGRESQL = {
    "no_number": "'NaN'",
    "zero": "'\\x00'",
    "zeros": "decode(repeat('00', 100), 'hex')",
    "many_zeros": "decode(repeat('00', 30000000), 'hex')",
    "deflated": "'\\x789c030000000001'",
    "cascade": "CASCADE",
}


def _damage(url: str, statement: str) -> None:
    """Execute as anybody with a client would: no foreign keys on SQLite."""
    if url.startswith("postgresql"):
        import psycopg

        with psycopg.connect(url) as server:
            server.execute(statement.format(**POSTGRESQL).encode())
        return
    with closing(sqlite3.connect(url)) as file, file:
        file.execute(statement.format(**SQLITE))


@pytest.mark.parametrize("statement", DAMAGE)
def test_damaged_rows(url: str, statement: str) -> None:
    with Geodatabase.create(url) as database:
        database.import_raster(ArrayInput(np.ones((40, 40), np.uint8), transform=(1, 0, 0, 0, -1, 0)), "raster")
    _damage(url, statement)
    with Geodatabase(url) as database, pytest.raises((DatabaseError, DecodeError, ConfigError)) as caught:
        database.dataset("raster").read()
    assert "\n" not in str(caught.value)
    assert DAMAGE[statement] in str(caught.value)


@pytest.mark.parametrize("statement", ["DROP TABLE sde_blk_1", "UPDATE sde_blk_1 SET block_data = {zeros}"])
def test_damage_while_a_raster_is_open(url: str, statement: str) -> None:
    """Small windows, which the driver reads, and large ones; afterwards other rasters can be read as before."""
    source = ArrayInput(np.ones((700, 500), np.uint8), transform=(1, 0, 0, 0, -1, 0))
    with Geodatabase.create(url) as database:
        broken, whole = (database.import_raster(source, name, block=8) for name in ("broken", "whole"))
        for window in ((0, 0, 20, 20), None):
            assert broken.read(window=window)[0].all()
        _damage(url, statement)
        for window in ((0, 0, 20, 20), None):
            with pytest.raises((DatabaseError, DecodeError)) as caught:
                broken.read(window=window)
            assert "\n" not in str(caught.value)
        for window in ((0, 0, 20, 20), None):
            assert whole.read(window=window)[0].all()


def test_sources_that_cannot_be_stored(tmp_path: Path) -> None:
    ok = np.ones((9, 9), np.uint8)
    with Geodatabase.create(tmp_path / "s.sqlite") as database:
        for options, words in (
            ({"block": 4}, "8 to 4096"),
            ({"block": 100_000}, "8 to 4096"),
            ({"compression": "zip"}, "compression"),
            ({"quality": 0}, "quality"),
            ({"pyramid": "some"}, "pyramid"),
            ({"pyramid": "77"}, "pyramid"),
            ({"interpolation": "lanczos"}, "interpolation"),
            ({"storage": "blob"}, "storage"),
            ({"compression": "jpeg", "pixels": ok.astype(np.int16)}, "U8|8-bit"),
            ({"transform": (1, 0.5, 0, 0, -1, 0)}, "north-up"),
            ({"transform": (1, 0, float("nan"), 0, -1, 0)}, "north-up"),
            ({"pixels": ok.astype(np.complex64)}, "cannot be stored"),
            ({"pixels": np.full((9, 9), 9, np.uint8), "pixel_type": "U1"}, "U1"),
        ):
            given = dict(options)
            pixels = given.pop("pixels", ok)
            transform, kind = given.pop("transform", (1, 0, 0, 0, -1, 0)), given.pop("pixel_type", None)
            with pytest.raises(FastpyrError, match=words):
                database.import_raster(ArrayInput(pixels, transform=transform, pixel_type=kind), "x", **given)
            assert database.entries() == [], options
