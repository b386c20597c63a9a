"""The spatial index of catalogs: searches by grid against a scan of all footprints.

``python -m bench.db_catalog [--footprints N] [--windows N]``: footprints of 20 m to 20 km in a country of 1000 km,
windows of up to 5 km; SQLite, and PostgreSQL where a server can be started. Both find the same footprints. Searches
per second, the best of three rounds in turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .db_store import ROOT

AREA = (100_000.0, 6_000_000.0, 1_100_000.0, 7_000_000.0)


def scan(connection: Any, entry: Any, box: Any) -> list[int]:
    """What the database finds by looking at every footprint."""
    import sqlalchemy as sa

    c = entry.tables.feature.c
    hit = (c.eminx < box.right) & (c.emaxx > box.left) & (c.eminy < box.top) & (c.emaxy > box.bottom)
    return [row[0] for row in connection.execute(sa.select(c.fid).where(hit).order_by(c.fid))]


def measure(url: str, footprints: int, windows: int) -> dict[str, float]:
    """Searches per second of the index and of the scan. AssertionError when they differ."""
    from fastpyr.db import Geodatabase
    from fastpyr.db.engine import read, write
    from fastpyr.db.features import add_features, search_features
    from fastpyr.grid.bounds import BoundingBox

    rng = np.random.default_rng(1)

    def boxes(count: int, sides: Any) -> list[Any]:
        corners = rng.uniform(AREA[:2], AREA[2:], (count, 2))
        return [BoundingBox(*box) for box in np.hstack([corners, corners + sides]).tolist()]

    stored = boxes(footprints, np.exp(rng.uniform(np.log(20), np.log(20_000), (footprints, 2))))
    asked = boxes(windows, rng.uniform(1, 5000, (windows, 2)))
    ways = {"grid index": search_features, "full scan": scan}
    best, found = dict.fromkeys(ways, 0.0), {}
    with Geodatabase.create(url, database="bench") as database:
        catalog = database.create_catalog("many", "EPSG:2154")
        with write(database.engine) as connection:
            entry = add_features(connection, catalog.entry, list(enumerate(stored, 1)))
        with read(database.engine) as connection:
            for _ in range(3):
                for name, search in ways.items():
                    start = time.perf_counter()
                    found[name] = [search(connection, entry, box) for box in asked]
                    best[name] = max(best[name], windows / (time.perf_counter() - start))
    assert found["grid index"] == found["full scan"]
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--footprints", type=int, default=10_000)
    parser.add_argument("--windows", type=int, default=1000)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from postgres_server import running_postgres

    def show(name: str, url: str) -> None:
        best = measure(url, given.footprints, given.windows)
        rates = ", ".join(f"{way} {rate:.0f}/s" for way, rate in best.items())
        print(f"{name}: {rates}, {best['grid index'] / best['full scan']:.1f} x", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        show("SQLite", str(Path(folder) / "catalog.sqlite"))
    try:
        with running_postgres() as server:
            show("PostgreSQL", server)
    except BaseException as error:  # pytest's skip is no Exception
        if type(error).__name__ != "Skipped":
            raise
        print(f"without PostgreSQL: {error}")


if __name__ == "__main__":
    main()
