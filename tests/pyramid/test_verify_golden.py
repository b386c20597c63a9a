"""Published pyramids pass; each kind of damage to a copy of one is named, at the right place."""

import os
import struct
import zlib

import numpy as np
import pytest
from shared_data import shared
from small_pyramid import copy, replace_tile

from fastpyr.encode import MASK_PIXELS
from fastpyr.errors import DescriptorError, StoreError
from fastpyr.formats import PixelFormat, TileFormat
from fastpyr.pyramid.verify import verify

RASTER = ["golden/SCAN1000", "golden/RGEALTI", "golden/BDPARCELLAIRE", "reference-runs/SCAN1000_PNG_MASK_M4T50"]
GRAY = PixelFormat.of(TileFormat.parse("TIFF_PNG_UINT8"), 1)


def golden(name):
    return shared(f"rok4/{name}.json")


def errors(report, check=None):
    return [f for f in report.findings if f.severity == "error" and check in (None, f.check)]


@pytest.mark.parametrize("name", RASTER)
@pytest.mark.parametrize("all_tiles", [True, False])
def test_published_pyramid_passes(name, all_tiles):
    report = verify(golden(name), all_tiles=all_tiles)
    assert report.ok, [str(f) for f in report.findings]
    assert report.counts["upper_tiles"] >= report.counts["levels"] - 1
    assert report.counts["slabs"] == len(list(golden(name).with_suffix("").glob("DATA/**/*.tif")))


def test_vector_pyramid_passes_at_container_level():
    report = verify(golden("fixtures/TIFF_PBF_MVT"))
    assert report.ok, [str(f) for f in report.findings]
    assert report.counts["tiles"] == 16
    assert report.status("tile") == "skipped"


def test_margin_of_the_limits_is_a_warning():
    report = verify(golden("golden/BDPARCELLAIRE"))
    wide = [f for f in report.findings if f.check == "limits"]
    assert [f.severity for f in wide] == ["warning"]
    assert "544204-544209" in wide[0].message
    assert "544204-544208" in wide[0].message


def test_pyramid_without_list_fails():
    report = verify(golden("fixtures/TIFF_ZIP_FLOAT32"))
    assert [f.check for f in errors(report)] == ["list"]


@pytest.fixture
def alti(tmp_path):
    return copy(golden("golden/RGEALTI"), tmp_path / "copy")


@pytest.fixture
def parcels(tmp_path):
    return copy(golden("golden/BDPARCELLAIRE"), tmp_path / "copy")


@pytest.fixture
def masked(tmp_path):
    return copy(golden("reference-runs/SCAN1000_PNG_MASK_M4T50"), tmp_path / "copy")


def alti_slab(alti):
    """A bottom slab and its (column, row)."""
    slabs = sorted((alti.parent / "RGEALTI/DATA/8").rglob("*.tif"))
    digits = "".join(slabs[0].relative_to(alti.parent / "RGEALTI/DATA/8").with_suffix("").parts)
    return slabs[0], (int(digits[0::2], 36), int(digits[1::2], 36))


@pytest.mark.parametrize("byte", range(32))
def test_flipped_index_byte(alti, byte):
    path, slab = alti_slab(alti)
    data = bytearray(path.read_bytes())
    data[2048 + byte] ^= 1 << (byte % 8)
    path.write_bytes(data)
    found = errors(verify(alti))
    assert found
    assert all(f.path == str(path) and f.level == "8" and f.slab == slab for f in found), found
    assert {f.check for f in found} <= {"index", "tile"}


@pytest.mark.parametrize("keep", [0, 1, 2047, 2048, 2079, 2080, -1, -5000])
def test_truncated_slab(alti, keep):
    path, slab = alti_slab(alti)
    path.write_bytes(path.read_bytes()[:keep])
    found = errors(verify(alti))
    assert found
    assert all(f.path == str(path) and f.slab == slab for f in found), found


def test_byte_after_the_last_tile(alti):
    path, slab = alti_slab(alti)
    path.write_bytes(path.read_bytes() + b"\0")
    assert [(f.check, f.slab) for f in errors(verify(alti))] == [("index", slab)]


def test_gap_that_is_not_zero(alti):
    path, slab = alti_slab(alti)
    data = bytearray(path.read_bytes())
    starts = struct.unpack_from("<4I", data, 2048)
    sizes = struct.unpack_from("<4I", data, 2064)
    number = next(i for i in range(1, 4) if starts[i] != starts[i - 1] + sizes[i - 1])
    data[starts[number] - 1] = 1
    path.write_bytes(data)
    (finding,) = errors(verify(alti))
    assert finding.check == "index"
    assert finding.slab == slab
    assert finding.tile == (slab[0] * 2 + number % 2, slab[1] * 2 + number // 2)


@pytest.mark.parametrize("position", [0, 4, 8, 16, 18, 26, 62, 90, 110, 146])
def test_changed_header_byte(alti, position):
    path, slab = alti_slab(alti)
    data = bytearray(path.read_bytes())
    data[position] ^= 0x55
    path.write_bytes(data)
    found = errors(verify(alti))
    assert [(f.check, f.slab, f.path) for f in found] == [("header", slab, str(path))]


def test_deleted_slab(alti):
    path, slab = alti_slab(alti)
    path.unlink()
    (finding,) = errors(verify(alti))
    assert (finding.check, finding.level, finding.slab, finding.path) == ("listed-slab", "8", slab, str(path))


def test_data_outside_the_limits(alti):
    text = alti.read_text()
    assert '"max_row":22364' in text
    alti.write_text(text.replace('"max_row":22364', '"max_row":22363'))
    found = errors(verify(alti), "limits")
    assert [(f.level, f.tile) for f in found] == [("8", (2242, 22364))]


def test_slab_outside_the_limits(alti):
    alti.write_text(
        alti.read_text().replace('"max_col":448,', '"max_col":446,').replace('"min_col":448,', '"min_col":446,')
    )
    found = errors(verify(alti), "slab-place")
    assert [(f.level, f.slab) for f in found] == [("7", (224, 2236))]


def _png(rows, chunks=()):
    """A gray PNG from filtered rows, with more chunks before its IDAT."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 256, 256, 8, 0, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *(chunk(*c) for c in chunks)]
    packed = zlib.compress(rows.tobytes())
    return parts, packed, chunk


@pytest.mark.parametrize("kind", ["filter", "two idat", "gama", "truncated"])
def test_png_that_servers_misread(parcels, kind):
    path = sorted((parcels.parent / "BDPARCELLAIRE/DATA/19").rglob("*.tif"))[0]
    rows = np.zeros((256, 257), np.uint8)
    if kind == "filter":
        rows[7, 0] = 1
    parts, packed, chunk = _png(rows, [(b"gAMA", b"\0\0\xb1\x8f")] if kind == "gama" else [])
    bodies = [packed[:50], packed[50:]] if kind == "two idat" else [packed]
    data = b"".join([*parts, *(chunk(b"IDAT", body) for body in bodies), chunk(b"IEND", b"")])
    replace_tile(path, 2, data[:-3] if kind == "truncated" else data, GRAY)
    found = errors(verify(parcels))
    assert [(f.check, f.path) for f in found] == [("tile", str(path))]
    slab = found[0].slab
    assert found[0].tile == (slab[0] * 2, slab[1] * 2 + 1)
    assert {"filter": "row 7 has filter 1", "two idat": "IDAT", "gama": "gAMA", "truncated": "PNG"}[kind] in found[
        0
    ].message


def _mask_slab(masked, level):
    return next((masked.parent / masked.stem / "MASK" / level).rglob("*.tif"))


def _mask_tile(path, number):
    data = path.read_bytes()
    offset, size = struct.unpack_from("<4I", data, 2048)[number], struct.unpack_from("<4I", data, 2064)[number]
    return np.frombuffer(zlib.decompress(data[offset : offset + size]), np.uint8).reshape(256, 256).copy()


def test_mask_that_is_not_binary(masked):
    path = _mask_slab(masked, "10")
    mask = _mask_tile(path, 3)
    row, col = np.argwhere(mask == 255)[0]
    mask[row, col] = 127
    replace_tile(path, 3, zlib.compress(mask.tobytes()), MASK_PIXELS)
    (finding,) = errors(verify(masked))
    assert (finding.check, finding.level, finding.path) == ("mask", "10", str(path))
    assert finding.tile == (finding.slab[0] * 2 + 1, finding.slab[1] * 2 + 1)
    assert f"127 at column {col}, row {row}" in finding.message


def test_pixel_under_a_zero_mask(masked):
    path = _mask_slab(masked, "10")
    mask = _mask_tile(path, 3)
    row, col = np.argwhere(mask == 255)[100]
    mask[row, col] = 0
    replace_tile(path, 3, zlib.compress(mask.tobytes()), MASK_PIXELS)
    report = verify(masked)
    assert [(f.check, f.level) for f in errors(report, "mask-nodata")] == [("mask-nodata", "10")]
    assert f"column {col}, row {row}" in errors(report, "mask-nodata")[0].message


def test_upper_mask_that_does_not_follow(masked):
    path = _mask_slab(masked, "9")
    number = next(i for i in range(4) if _mask_tile(path, i).any())
    mask = _mask_tile(path, number)
    row, col = np.argwhere(mask == 0)[0]
    mask[row, col] = 255
    replace_tile(path, number, zlib.compress(mask.tobytes()), MASK_PIXELS)
    found = errors(verify(masked, all_tiles=True), "upper-level")
    assert found[0].level == "9"
    assert "mask is 255 instead of 0" in found[0].message


def test_missing_and_extra_mask_slab(masked):
    _mask_slab(masked, "5").unlink()
    report = verify(masked)
    assert [f.level for f in errors(report, "mask")] == ["5"]
    assert [f.level for f in errors(report, "listed-slab")] == ["5"]
    next((masked.parent / masked.stem / "DATA/6").rglob("*.tif")).unlink()
    assert sorted(f.level for f in errors(verify(masked), "mask")) == ["5", "6"]


def test_upper_pixel_changed(alti):
    path = next((alti.parent / "RGEALTI/DATA/6").rglob("*.tif"))
    digits = "".join(path.relative_to(alti.parent / "RGEALTI/DATA/6").with_suffix("").parts)
    slab = int(digits[0::2], 36), int(digits[1::2], 36)
    number = (894 - slab[1] * 2) * 2 + (89 - slab[0] * 2)  # tile column 89, row 894
    data = path.read_bytes()
    offset, size = struct.unpack_from("<4I", data, 2048)[number], struct.unpack_from("<4I", data, 2064)[number]
    heights = np.frombuffer(zlib.decompress(data[offset : offset + size]), "<f4").copy()
    place = int(np.flatnonzero(heights != -99999)[0])
    heights[place] = np.nextafter(heights[place], np.float32(1e9))
    fmt = PixelFormat.of(TileFormat.parse("TIFF_ZIP_FLOAT32"), 1)
    replace_tile(path, number, zlib.compress(heights.tobytes()), fmt)
    found = errors(verify(alti, all_tiles=True))
    assert found[0].check == "upper-level"
    assert (found[0].level, found[0].tile) in {("6", (89, 894)), ("5", (44, 447))}
    assert any(f.level == "6" and f.tile == (89, 894) for f in found)


def test_stray_slab_and_stray_file(alti):
    path, _ = alti_slab(alti)
    stray = path.with_name("ZZ.tif")
    stray.write_bytes(path.read_bytes())
    other = alti.parent / "RGEALTI/DATA/9/00/00/00.tif"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"")
    note = alti.parent / "RGEALTI/readme.txt"
    note.write_text("hello")
    report = verify(alti)
    assert {f.path for f in errors(report, "unlisted-slab")} == {str(stray), str(other)}
    assert [f.path for f in report.findings if f.check == "unlisted-slab" and f.severity == "warning"] == [str(note)]


def test_misplaced_slab(alti):
    path, slab = alti_slab(alti)
    wrong = path.parents[2] / f"00{path.parents[1].name}" / path.parent.name / path.name
    wrong.parent.mkdir(parents=True)
    path.rename(wrong)
    report = verify(alti)
    assert [(f.slab, f.path) for f in errors(report, "unlisted-slab")] == [(slab, str(wrong))]
    assert [f.slab for f in errors(report, "listed-slab")] == [slab]


def test_temporary_file(alti):
    left = alti.parent / "RGEALTI/DATA/8/.5L.tif.123.part"
    left.write_bytes(b"half")
    (finding,) = errors(verify(alti))
    assert (finding.check, finding.path) == ("temporary", str(left))


def test_links(alti):
    path, slab = alti_slab(alti)
    real = alti.parent / "elsewhere.tif"
    path.rename(real)
    path.symlink_to(os.path.relpath(real, path.parent))
    report = verify(alti)
    assert report.ok
    assert [(f.check, f.severity) for f in report.findings] == [("link", "warning")]
    middle = alti.parent / "middle.tif"
    middle.symlink_to(real)
    path.unlink()
    path.symlink_to(middle)
    assert [(f.check, f.slab) for f in errors(verify(alti))] == [("link", slab)]
    real.unlink()
    assert [(f.check, f.slab) for f in errors(verify(alti))] == [("listed-slab", slab)]


def test_list_problems(alti):
    path = alti.with_suffix(".list")
    good = path.read_text()
    path.write_text(good.replace("0=/pyramids/RGEALTI", "0=/data/OTHER"))
    assert "OTHER" in errors(verify(alti), "list")[0].message
    path.write_text("1=/x/y\n" + good)
    assert "first line" in errors(verify(alti), "list")[0].message
    path.write_text(good + "0/DATA/77/00/00/00.tif\n")
    assert "level 77" in errors(verify(alti), "list")[0].message
    path.write_text(good + good.splitlines()[-1] + "\n")
    assert "twice" in errors(verify(alti), "list")[0].message
    path.write_bytes(b"\xff\xfe")
    assert "UTF-8" in errors(verify(alti), "list")[0].message


def test_wrong_descriptor_facts(alti):
    text = alti.read_text()
    alti.write_text(text.replace("TIFF_ZIP_FLOAT32", "TIFF_RAW_FLOAT32"))
    assert {f.check for f in errors(verify(alti))} == {"header"}
    alti.write_text(text.replace('"tiles_per_width":2', '"tiles_per_width":4', 1))
    assert {f.level for f in errors(verify(alti))} == {"0"}
    alti.write_text(text.replace('"photometric":"gray"', '"photometric":"GRAY"'))
    assert [f.check for f in errors(verify(alti))] == ["descriptor"]


def test_descriptor_that_cannot_be_used(alti, tmp_path):
    with pytest.raises(StoreError, match=r"none\.json"):
        verify(tmp_path / "none.json")
    text = alti.read_text()
    alti.write_text(text.replace("LAMB93_1M_MNT", "../LAMB93_1M_MNT"))
    with pytest.raises(DescriptorError, match="path"):
        verify(alti)
    alti.write_text(text[:-20])
    with pytest.raises(DescriptorError, match="JSON"):
        verify(alti)
