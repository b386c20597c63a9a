"""Tiles of pyramids in object storage: ranged reads, versions, links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from object_servers import running_moto
from small_pyramid import write
from stored_pyramids import Clusters
from tile_server import tile_server

import fastpyr
from fastpyr.formats import SlabKind
from fastpyr.pyramid import SlabRef
from fastpyr.store.naming import object_link
from fastpyr.tiles import Asked, DescriptorCatalogue, TileService
from fastpyr.updates import copy_pyramid


def _copied(folder: Path, target: str, seed: int = 1) -> fastpyr.Pyramid:
    key, _ = write(folder, "SMALL", seed=seed)
    copy_pyramid(folder / key, target, overwrite=True)
    return fastpyr.open(folder / key)


def _place(pyramid: fastpyr.Pyramid) -> tuple[str, int, int]:
    level = pyramid.levels[0]
    return level.id, level.limits.min_col, level.limits.max_row


def test_versions_and_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = Clusters(monkeypatch)
    local = _copied(tmp_path / "a", "s3://tray/SMALL.json")
    service = TileService(DescriptorCatalogue(["s3://tray/SMALL.json"]))
    level, col, row = _place(local)
    asked = Asked(f"/tiles/SMALL/{level}/{col}/{row}", {}, "")
    first = service.answer(asked)
    assert bytes(first.body) == local.tile_bytes(level, col, row)
    tray = clusters.tray("s3", "tray")
    tray.requests.clear()
    assert service.answer(asked) == first
    data = [request for request in tray.requests if "DATA" in request[1]]
    assert len(data) == 1  # one ranged read, the index is known

    key = f"SMALL/DATA_{level}_{col // 2}_{row // 2}"
    other = _copied(tmp_path / "b", "s3://tray/OTHER.json", seed=2)
    replacement = tray.objects[key.replace("SMALL", "OTHER")]
    tray.put(key, replacement)
    second = service.answer(asked)
    assert bytes(second.body) == other.tile_bytes(level, col, row)
    assert second.etag != first.etag

    tray.put(key, object_link(f"tray/{key.replace('SMALL', 'OTHER')}"))
    assert bytes(service.answer(asked).body) == other.tile_bytes(level, col, row)
    monkeypatch.setattr("fastpyr.tiles.slabs._OBJECT_SECONDS", 0.0)
    tray.put(key, b"".join((tmp_path / "a" / local.slab_key(_ref(level, col, row))).read_bytes() for _ in range(1)))
    assert bytes(service.answer(asked).body) == first.body

    del tray.objects[key]
    empty = service.answer(asked)
    assert empty.status == 200
    assert bytes(empty.body) != first.body


def _ref(level: str, col: int, row: int) -> SlabRef:
    return SlabRef(SlabKind.DATA, level, col // 2, row // 2)


def test_a_storage_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastpyr.store.transport import TransportError

    clusters = Clusters(monkeypatch)
    local = _copied(tmp_path, "s3://tray/SMALL.json")
    service = TileService(DescriptorCatalogue(["s3://tray/SMALL.json"]))
    level, col, row = _place(local)

    def refuse(_verb: str, key: str) -> None:
        if "DATA" in key:
            raise TransportError("no")

    clusters.tray("s3", "tray").before = refuse
    assert service.answer(Asked(f"/tiles/SMALL/{level}/{col}/{row}", {}, "")).status == 503
    wmts = service.answer(Asked(f"/wmts/1.0.0/SMALL/normal/PM/{level}/{row}/{col}.png", {}, ""))
    assert wmts.status == 503
    assert b"ExceptionReport" in wmts.body


def test_a_server_in_front_of_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_moto() as moto:
        bucket, access = moto.tray("s3")
        for name, value in access.items():
            monkeypatch.setenv(name, value)
        local = _copied(tmp_path, f"s3://{bucket}/SMALL.json")
        level, col, row = _place(local)
        with tile_server("--pyramid", f"s3://{bucket}/SMALL.json", env=dict(os.environ)) as server:
            for _ in range(3):
                answer = server.get(f"/tiles/SMALL/{level}/{col}/{row}.png")
                assert answer.status == 200
                assert answer.body == local.tile_bytes(level, col, row)
            etag = answer.headers["etag"]
            assert server.get(f"/tiles/SMALL/{level}/{col}/{row}.png", if_none_match=etag).status == 304
            assert server.get(f"/tiles/SMALL/mask/{level}/{col}/{row}.png").status == 200
