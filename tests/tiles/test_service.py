"""Tiles without HTTP: every format, what clients read in them, limits, versions, masks, facts."""

from __future__ import annotations

import io
import json
import os
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image
from shared_data import shared
from small_pyramid import write

import fastpyr
from fastpyr.formats import Compression, SlabKind
from fastpyr.grid import load_tms, tms_names
from fastpyr.pyramid import SlabRef
from fastpyr.store import FileStore
from fastpyr.tiles import Answer, Asked, DescriptorCatalogue, TileService
from fastpyr.tiles.answer import NotNow
from fastpyr.tiles.layer import Layer
from fastpyr.tiles.wmts import has_inverted_axes

FORMATS = [
    *[(f"TIFF_{name}_UINT8", 3) for name in ("RAW", "JPG", "JPG90", "PNG", "LZW", "ZIP", "PKB")],
    *[(f"TIFF_{name}_FLOAT32", 1) for name in ("RAW", "LZW", "ZIP", "PKB")],
    *[(f"TIFF_{name}_UINT8", channels) for name in ("ZIP", "PKB", "PNG", "RAW") for channels in (1, 2, 4)],
    ("TIFF_LZW_FLOAT32", 3),
]


class Client:
    def __init__(self, *descriptors: Path) -> None:
        self.service = TileService(DescriptorCatalogue(descriptors))

    def get(self, path: str, query: dict[str, str] | None = None, **more: Any) -> Answer:
        return self.service.answer(Asked(path, query or {}, "http://here", **more))

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)


def small(folder: Path, name: str = "SMALL", format: str = "TIFF_PNG_UINT8", channels: int = 3, **more: Any) -> Path:
    return folder / write(folder, name, format, channels, **more)[0]


def first(layer: Layer) -> tuple[str, int, int]:
    """A tile of the finest level with data in it."""
    limits = layer.bottom.limits
    return layer.bottom.id, limits.min_col, limits.max_row


@pytest.mark.parametrize(("format", "channels"), FORMATS)
def test_every_format_is_what_viewers_read(tmp_path: Path, format: str, channels: int) -> None:
    path = small(tmp_path, format=format, channels=channels)
    client, pyramid = Client(path), fastpyr.open(path)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    expected = pyramid.tile(level, col, row)
    assert expected is not None
    answer = client.get(f"/tiles/SMALL/{level}/{col}/{row}")
    assert answer.status == 200
    stored = pyramid.tile_bytes(level, col, row)
    assert stored is not None
    compression = pyramid.format.format.compression
    if compression is Compression.PNG or compression.is_lossy:
        assert bytes(answer.body) == stored
        assert answer.media_type == ("image/png" if compression is Compression.PNG else "image/jpeg")
        seen = np.asarray(Image.open(io.BytesIO(answer.body)))
    else:
        assert answer.media_type == "image/tiff"
        assert bytes(answer.body).endswith(stored)
        seen = tifffile.imread(io.BytesIO(answer.body))
    assert np.array_equal(seen.reshape(expected.shape), expected)


def test_other_kinds(tmp_path: Path) -> None:
    for name in ("JPG", "PNG", "ZIP"):
        path = small(tmp_path / name, format=f"TIFF_{name}_UINT8")
        client, pyramid = Client(path), fastpyr.open(path)
        level, col, row = first(client.service.catalogue.layer("SMALL"))
        expected = pyramid.tile(level, col, row)
        png, tif = (client.get(f"/tiles/SMALL/{level}/{col}/{row}.{kind}") for kind in ("png", "tif"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png.body))), expected)
        assert np.array_equal(tifffile.imread(io.BytesIO(tif.body)), expected)
        assert len({client.get(f"/tiles/SMALL/{level}/{col}/{row}{end}").etag for end in (".png", ".tif")}) == 2
        bad = client.get(f"/tiles/SMALL/{level}/{col}/{row}.{'bil' if name == 'JPG' else 'jpg'}")
        assert bad.status == 400


def test_heights_as_bare_samples(tmp_path: Path) -> None:
    for name in ("RAW", "ZIP", "LZW"):
        path = small(tmp_path / name, format=f"TIFF_{name}_FLOAT32", channels=1)
        client, pyramid = Client(path), fastpyr.open(path)
        level, col, row = first(client.service.catalogue.layer("SMALL"))
        expected = pyramid.tile(level, col, row)
        assert expected is not None
        url = f"/tiles/SMALL/{level}/{col}/{row}.bil"
        plain, packed = client.get(url), client.get(url, takes_deflate=True)
        assert plain.media_type == "image/x-bil;bits=32"
        assert bytes(plain.body) == expected.astype("<f4").tobytes()
        if name == "ZIP":
            assert packed.headers["content-encoding"] == "deflate"
            assert zlib.decompress(packed.body) == bytes(plain.body)
            assert packed.etag != plain.etag
        else:
            assert packed == plain


def test_limits_and_holes(tmp_path: Path) -> None:
    path = small(tmp_path, mask=False)
    client, pyramid = Client(path), fastpyr.open(path)
    layer = client.service.catalogue.layer("SMALL")
    level, col, row = first(layer)
    limits = layer.bottom.limits
    assert client.get(f"/tiles/SMALL/{level}/{limits.max_col + 1}/{row}").status == 404
    assert client.get(f"/tiles/SMALL/nope/{col}/{row}").status == 404
    assert client.get(f"/tiles/OTHER/{level}/{col}/{row}").status == 404
    assert client.get(f"/tiles/SMALL/{level}/x/{row}").status == 400
    assert client.get(f"/tiles/SMALL/{level}/{col}/{'9' * 30}").status == 400
    (tmp_path / pyramid.slab_key(SlabRef(SlabKind.DATA, level, col // 2, row // 2))).unlink()
    answer = client.get(f"/tiles/SMALL/{level}/{col}/{row}")
    assert answer.status == 200
    assert (np.asarray(Image.open(io.BytesIO(answer.body))) == 255).all()
    assert client.json(f"/tiles/SMALL/facts/{level}/{col}/{row}")["tile"]["state"] == "absent"


def test_etags_follow_the_slab(tmp_path: Path) -> None:
    path = small(tmp_path)
    client = Client(path)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    url = f"/tiles/SMALL/{level}/{col}/{row}"
    before = client.get(url)
    assert client.get(url).etag == before.etag
    assert client.get(url, if_none_match=before.etag) == client.get(url, if_none_match=f'"x", W/{before.etag}')
    assert client.get(url, if_none_match=before.etag).status == 304
    other = tmp_path / "other"
    small(other, seed=2)
    for slab in (tmp_path / "SMALL" / "DATA" / level).rglob("*.tif"):  # as an update does: renamed over the old one
        os.replace(other / slab.relative_to(tmp_path), slab)
    after = client.get(url, if_none_match=before.etag)
    assert after.status == 200
    assert after.etag != before.etag
    assert bytes(after.body) == fastpyr.open(path).tile_bytes(level, col, row)


def test_a_slab_rewritten_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = small(tmp_path, format="TIFF_ZIP_UINT8")
    other = small(tmp_path / "other", format="TIFF_ZIP_UINT8", seed=5)
    client = Client(path)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    client.get(f"/tiles/SMALL/{level}/{col}/{row}")
    for slab in (tmp_path / "SMALL" / "DATA" / level).rglob("*.tif"):
        content = (other.parent / slab.relative_to(tmp_path)).read_bytes()
        slab.write_bytes(content)
    answer = client.get(f"/tiles/SMALL/{level}/{col}/{row}")
    assert np.array_equal(tifffile.imread(io.BytesIO(answer.body)), fastpyr.open(other).tile(level, col, row))


def test_links_are_followed(tmp_path: Path) -> None:
    path = small(tmp_path / "linked")
    moved = tmp_path / "owner"
    client = Client(path)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    expected = bytes(client.get(f"/tiles/SMALL/{level}/{col}/{row}").body)
    for number, slab in enumerate((tmp_path / "linked" / "SMALL" / "DATA" / level).rglob("*.tif")):
        moved.mkdir(exist_ok=True)
        os.rename(slab, moved / f"{number}.tif")
        slab.symlink_to(os.path.relpath(moved / f"{number}.tif", slab.parent))
    assert bytes(client.get(f"/tiles/SMALL/{level}/{col}/{row}").body) == expected


def test_masks(tmp_path: Path) -> None:
    path = small(tmp_path)
    client, pyramid = Client(path), fastpyr.open(path)
    layer = client.service.catalogue.layer("SMALL")
    limits = layer.bottom.limits
    mixed = 0
    for col in range(limits.min_col, limits.max_col + 1):
        for row in range(limits.min_row, limits.max_row + 1):
            answer = client.get(f"/tiles/SMALL/mask/{layer.bottom.id}/{col}/{row}.png")
            seen = np.asarray(Image.open(io.BytesIO(answer.body)))
            expected = pyramid.mask(layer.bottom.id, col, row)
            assert np.array_equal(seen, np.zeros((256, 256)) if expected is None else expected)
            mixed += len(np.unique(seen)) == 2
    assert mixed
    plain = Client(small(tmp_path / "plain", mask=False))
    assert plain.get(f"/tiles/SMALL/mask/{layer.bottom.id}/{limits.min_col}/{limits.min_row}.png").status == 404


def test_facts(tmp_path: Path) -> None:
    path = small(tmp_path)
    client, pyramid = Client(path), fastpyr.open(path)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    facts = client.json(f"/tiles/SMALL/facts/{level}/{col}/{row}")
    slab = tmp_path / facts["slab"]["name"]
    tile = facts["tile"]
    assert slab.stat().st_size == facts["slab"]["bytes"]
    stored = slab.read_bytes()[tile["offset"] : tile["offset"] + tile["bytes"]]
    assert stored == pyramid.tile_bytes(level, col, row)
    assert (tile["state"], tile["format"]) == ("data", "TIFF_PNG_UINT8")
    assert tile["index"] == row % 2 * 2 + col % 2
    assert client.json(f"/tiles/SMALL/facts/{level}/1/1")["tile"]["state"] == "outside"


def test_views(tmp_path: Path) -> None:
    path = small(tmp_path, format="TIFF_ZIP_FLOAT32", channels=1)
    client, pyramid = Client(path), fastpyr.open(path)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    tile = pyramid.tile(level, col, row)
    assert tile is not None
    url = f"/tiles/SMALL/view/{level}/{col}/{row}.png"
    gray, alpha = Image.open(io.BytesIO(client.get(url, {"min": "100", "max": "600"}).body)).split()
    expected = np.rint(np.clip((tile[..., 0].astype(float) - 100) / 500 * 255, 0, 255))
    valid = tile[..., 0] != -99999
    assert np.array_equal(np.asarray(alpha) == 255, valid)
    assert np.abs(np.asarray(gray).astype(float) - expected)[valid].max() <= 1
    default = np.asarray(Image.open(io.BytesIO(client.get(url).body)).split()[0])[valid]
    assert default.min() < 80
    assert default.max() > 170
    assert client.get(url, {"min": "nan"}).status == 400
    assert client.get(url, {"min": "1e308", "max": "-1e308"}).status == 200


def test_without_waiting(tmp_path: Path) -> None:
    client = Client(small(tmp_path))
    with pytest.raises(NotNow):
        client.get("/tiles/SMALL/12/1/1", now=True)
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    url = f"/tiles/SMALL/{level}/{col}/{row}"
    with pytest.raises(NotNow):
        client.get(url, now=True)
    waited = client.get(url)
    assert client.get(url, now=True) == waited
    for path in ("/tiles", "/tiles/SMALL/tilejson.json", "/wmts", "/tms/1.0.0", "/tms/1.0.0/SMALL", f"{url}.tif"):
        with pytest.raises(NotNow):
            client.get(path, {"request": "GetCapabilities"}, now=True)


def test_tilejson_and_list(tmp_path: Path) -> None:
    client = Client(small(tmp_path / "a"), small(tmp_path / "b", format="TIFF_RAW_FLOAT32", channels=1))
    listed = client.json("/tiles")
    assert [one["id"] for one in listed] == ["SMALL", "SMALL-2"]
    assert listed[0]["levels"] == ["12", "11", "10"]
    document = client.json("/tiles/SMALL/tilejson.json")
    assert document["tilejson"] == "3.0.0"
    assert (document["minzoom"], document["maxzoom"]) == (10, 12)
    assert document["tiles"] == ["http://here/tiles/SMALL/{z}/{x}/{y}.png"]
    west, south, east, north = document["bounds"]
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90
    limits = document["fastpyr"]["levels"][0]["tile_limits"]
    url = document["tiles"][0].format(z=12, x=limits["min_col"], y=limits["max_row"])
    assert client.get(url.removeprefix("http://here")).status == 200
    matrix_set = client.json("/tiles/SMALL/tms.json")
    assert matrix_set["proj4"].startswith("+proj=merc")
    assert len(matrix_set["tileMatrices"]) == len(load_tms("PM").matrices)


def test_every_grid_has_a_definition_for_browsers() -> None:
    from pyproj import CRS

    from fastpyr.tiles.documents import matrix_set_json

    for name in tms_names():
        document = matrix_set_json(load_tms(name))
        assert (
            CRS.from_user_input(document["proj4"]).is_geographic == CRS.from_user_input(document["crs"]).is_geographic
        )


NAMES = {"w": "http://www.opengis.net/wmts/1.0", "o": "http://www.opengis.net/ows/1.1"}


def test_capabilities_of_all_golden_pyramids() -> None:
    names = ("BDPARCELLAIRE", "RGEALTI", "SCAN1000")
    client = Client(*(shared(f"rok4/golden/{name}.json") for name in names))
    answer = client.get("/wmts", {"service": "WMTS", "request": "GetCapabilities"})
    tree = ElementTree.fromstring(answer.body)
    assert [one.text for one in tree.findall(".//w:Layer/o:Identifier", NAMES)] == list(names)
    for one in tree.findall(".//w:Contents/w:TileMatrixSet", NAMES):
        name = (one.findtext("o:Identifier", "", NAMES)).split("_0_")[0]
        tms = load_tms(name)
        for found in one.findall("w:TileMatrix", NAMES):
            matrix = tms.level(found.findtext("o:Identifier", "", NAMES))
            corner = [float(value) for value in found.findtext("w:TopLeftCorner", "", NAMES).split()]
            assert corner == ([90.0, -180.0] if name == "4326" else [matrix.origin_x, matrix.origin_y])
            metres = 6378137 * np.pi / 180 if name == "4326" else 1
            scale = float(found.findtext("w:ScaleDenominator", "", NAMES))
            assert scale * 0.00028 / metres == pytest.approx(matrix.cell_size, rel=1e-12)


def test_axes() -> None:
    assert has_inverted_axes("EPSG:4326")
    assert has_inverted_axes("EPSG:3035")
    for crs in ("EPSG:3857", "EPSG:2154", "IGNF:LAMB93", "EPSG:32740"):
        assert not has_inverted_axes(crs)


def test_wmts_by_keys_and_by_path(tmp_path: Path) -> None:
    client = Client(small(tmp_path))
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    keys = {"Service": "WMTS", "REQUEST": "GetTile", "version": "1.0.0", "layer": "SMALL", "style": "normal"}
    keys |= {"TileMatrixSet": "PM", "TileMatrix": level, "TileRow": str(row), "TileCol": str(col)}
    tile = client.get("/wmts", keys | {"format": "image/png"})
    assert tile == client.get(f"/tiles/SMALL/{level}/{col}/{row}")
    assert tile == client.get(f"/wmts/1.0.0/SMALL/normal/PM_10_12/{level}/{row}/{col}.png")
    for change, code, status in (
        ({"layer": "X"}, "InvalidParameterValue", 400),
        ({"format": "image/webp"}, "InvalidParameterValue", 400),
        ({"TileMatrix": "99"}, "InvalidParameterValue", 400),
        ({"TileMatrixSet": "LAMB93"}, "InvalidParameterValue", 400),
        ({"style": "<x>"}, "InvalidParameterValue", 400),
        ({"TileRow": "-1"}, "InvalidParameterValue", 400),
        ({"TileRow": "0"}, "TileOutOfRange", 404),
        ({"version": "2.0.0"}, "InvalidParameterValue", 400),
        ({"Service": "WMS"}, "InvalidParameterValue", 400),
        ({"REQUEST": ""}, "MissingParameterValue", 400),
        ({"REQUEST": "GetFeatureInfo"}, "OperationNotSupported", 501),
        ({"REQUEST": "Dance"}, "OperationNotSupported", 400),
    ):
        answer = client.get("/wmts", keys | {"format": "image/png"} | change)
        found = ElementTree.fromstring(answer.body).find("o:Exception", NAMES)
        assert found is not None
        assert (answer.status, found.get("exceptionCode")) == (status, code), change
    missing = client.get("/wmts", keys)
    assert b'locator="format"' in missing.body


def test_osgeo_tms_counts_rows_from_the_bottom(tmp_path: Path) -> None:
    client = Client(small(tmp_path))
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    flipped = 2 ** int(level) - 1 - row
    assert client.get(f"/tms/1.0.0/SMALL/{level}/{col}/{flipped}.png") == client.get(
        f"/xyz/SMALL/{level}/{col}/{row}.png"
    )
    tile_map = ElementTree.fromstring(client.get("/tms/1.0.0/SMALL").body)
    assert [one.get("order") for one in tile_map.iter("TileSet")] == [str(order) for order in range(13)]
    assert tile_map.findtext("SRS") == "EPSG:3857"
    origin = tile_map.find("Origin")
    assert origin is not None
    assert float(origin.get("y", "0")) == pytest.approx(-20037508.342789244)
    assert ElementTree.fromstring(client.get("/tms").body).tag == "Services"
    assert len(list(ElementTree.fromstring(client.get("/tms/1.0.0").body).iter("TileMap"))) == 1
    assert ElementTree.fromstring(client.get("/tms/1.0.0/NOPE").body).tag == "TileMapServerError"


def test_the_number_of_open_slabs_is_bounded(tmp_path: Path) -> None:
    from fastpyr.tiles import Slabs

    path = small(tmp_path, tiles=(8, 8))
    service = TileService(DescriptorCatalogue([path]), Slabs(3))
    layer = service.catalogue.layer("SMALL")
    limits = layer.bottom.limits
    before = len(os.listdir("/proc/self/fd"))
    for col in range(limits.min_col, limits.max_col + 1):
        for row in range(limits.min_row, limits.max_row + 1):
            assert service.answer(Asked(f"/tiles/SMALL/{layer.bottom.id}/{col}/{row}", {}, "")).status == 200
    assert len(service.slabs) == 3
    assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_a_damaged_slab_is_an_error_of_its_own(tmp_path: Path) -> None:
    client = Client(small(tmp_path))
    level, col, row = first(client.service.catalogue.layer("SMALL"))
    for slab in (tmp_path / "SMALL" / "DATA" / level).rglob("*.tif"):
        slab.write_bytes(slab.read_bytes()[:2100])
    assert client.get(f"/tiles/SMALL/{level}/{col}/{row}").status == 500
    for slab in (tmp_path / "SMALL" / "DATA" / level).rglob("*.tif"):
        slab.write_bytes(b"no slab")
    answer = client.get(f"/wmts/1.0.0/SMALL/normal/PM/{level}/{row}/{col}.png")
    assert answer.status == 500
    assert b"ExceptionReport" in answer.body


def test_a_descriptor_that_changes_or_goes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpyr.tiles.catalogue.LOOK_SECONDS", 0.0)
    path = small(tmp_path)
    client = Client(path)
    assert client.json("/tiles/SMALL/tilejson.json")["fastpyr"]["format"] == "TIFF_PNG_UINT8"
    other = small(tmp_path / "other", format="TIFF_ZIP_UINT8")
    FileStore(tmp_path).put("SMALL.json", [other.read_bytes()])
    assert client.json("/tiles/SMALL/tilejson.json")["fastpyr"]["format"] == "TIFF_ZIP_UINT8"
    path.unlink()
    assert client.get("/tiles/SMALL/tilejson.json").status == 404
    assert client.json("/tiles") == []
