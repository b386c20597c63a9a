"""Descriptors: those of the reference tools, our own, and hostile ones."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared

from fastpyr.errors import DescriptorError
from fastpyr.formats import TILE_FORMATS, Interpolation, PixelFormat, SlabKind, TileFormat
from fastpyr.grid.bounds import TileLimits
from fastpyr.pyramid.descriptor import Descriptor, descriptor_problems, parse_descriptor
from fastpyr.pyramid.level import LevelDescriptor, StorageType

GOLDEN = [
    ("golden/BDPARCELLAIRE", "4326", "TIFF_PNG_UINT8", (255,), False, 20),
    ("golden/RGEALTI", "LAMB93_1M_MNT", "TIFF_ZIP_FLOAT32", (-99999,), False, 9),
    ("golden/SCAN1000", "PM", "TIFF_PNG_UINT8", (0, 0, 0, 0), False, 11),
    ("reference-runs/SCAN1000_PNG_MASK_M4T50", "PM", "TIFF_PNG_UINT8", (255, 255, 255), True, 11),
    ("fixtures/TIFF_ZIP_FLOAT32", "UTM20W84MART_1M_MNT", "TIFF_ZIP_FLOAT32", (-99999,), False, 1),
]


@pytest.mark.parametrize(("name", "tms", "fmt", "nodata", "mask", "count"), GOLDEN, ids=lambda v: str(v))
def test_reference_descriptors(name: str, tms: str, fmt: str, nodata: tuple[int, ...], mask: bool, count: int) -> None:
    path = shared(f"rok4/{name}.json")
    descriptor = parse_descriptor(path.read_bytes(), path.stem)
    assert descriptor.tile_matrix_set == tms
    assert descriptor.format.format.name == fmt
    assert descriptor.format.nodata == nodata
    assert descriptor.format.channels == len(nodata)
    assert descriptor.mask is mask
    assert len(descriptor.levels) == count
    assert descriptor_problems(path.read_bytes(), path.stem) == []
    # Every slab of every level is a file that is there, in the place the level names.
    for level in descriptor.levels:
        box = level.slab_limits
        for kind in (SlabKind.DATA, SlabKind.MASK) if mask else (SlabKind.DATA,):
            files = [
                path.parent / level.key(kind, col, row)
                for col in range(box.min_col, box.max_col + 1)
                for row in range(box.min_row, box.max_row + 1)
            ]
            found = sum(1 for file in files if file.is_file())
            # The fixture ships one of its slabs.
            assert found == (1 if "fixtures" in name else len(files))


@pytest.mark.parametrize("name", [case[0] for case in GOLDEN])
def test_written_again_with_the_same_meaning(name: str) -> None:
    data = shared(f"rok4/{name}.json").read_bytes()
    ours = parse_descriptor(data, "N").to_json()
    assert parse_descriptor(ours, "N") == parse_descriptor(data, "N")
    assert json.loads(ours) == json.loads(data)


def test_vector_pyramids_are_named_as_such() -> None:
    data = shared("rok4/fixtures/TIFF_PBF_MVT.json").read_bytes()
    with pytest.raises(DescriptorError, match="descriptor V: it describes vector tiles"):
        parse_descriptor(data, "V")


def sample(fmt: str = "TIFF_PNG_UINT8", channels: int = 3, mask: bool = True) -> Descriptor:
    pixels = PixelFormat.of(TileFormat.parse(fmt), channels)
    levels = tuple(
        LevelDescriptor.placed("ORTHO", id, 16, 8, TileLimits(3, 17, 20, 40), mask=mask) for id in ("17", "18")
    )
    return Descriptor("ORTHO", "PM", pixels, mask, Interpolation.LANCZOS, levels)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("fmt", TILE_FORMATS, ids=str)
def test_round_trip(fmt: TileFormat, mask: bool) -> None:
    for channels in (3,) if fmt.compression.is_lossy else (1, 2, 3, 4):
        descriptor = sample(fmt.name, channels, mask)
        data = descriptor.to_json()
        assert parse_descriptor(data, "ORTHO") == descriptor
        assert descriptor_problems(data, "ORTHO") == []


def test_every_key_that_some_loader_needs() -> None:
    document = json.loads(sample().to_json())
    assert document == {
        "tile_matrix_set": "PM",
        "format": "TIFF_PNG_UINT8",
        "mask_format": "TIFF_ZIP_UINT8",
        "raster_specifications": {
            "channels": 3,
            "nodata": "255,255,255",
            "interpolation": "lanczos",
            "photometric": "rgb",
        },
        "levels": [
            {
                "id": id,
                "tiles_per_width": 16,
                "tiles_per_height": 8,
                "tile_limits": {"min_row": 3, "max_row": 17, "min_col": 20, "max_col": 40},
                "storage": {
                    "type": "FILE",
                    "image_directory": f"ORTHO/DATA/{id}",
                    "path_depth": 2,
                    "mask_directory": f"ORTHO/MASK/{id}",
                },
            }
            for id in ("17", "18")
        ],
    }
    assert "mask" not in sample(mask=False).to_json().decode().lower()


def test_object_storage() -> None:
    level = LevelDescriptor("5", 2, 2, TileLimits(0, 3, 0, 3), "P/DATA_5", "P/MASK_5", 0, StorageType.S3, "bucket@host")
    descriptor = Descriptor("P", "PM", sample().format, True, Interpolation.NN, (level,))
    data = descriptor.to_json()
    assert json.loads(data)["levels"][0]["storage"] == {
        "type": "S3",
        "bucket_name": "bucket@host",
        "image_prefix": "P/DATA_5",
        "mask_prefix": "P/MASK_5",
    }
    assert parse_descriptor(data, "P") == descriptor
    assert level.key(SlabKind.MASK, 7, 9) == "P/MASK_5_7_9"


def test_levels() -> None:
    descriptor = sample()
    level = descriptor.level("18")
    assert level.slab_of(33, 17) == (2, 2, 17)
    assert level.slab_limits == TileLimits(0, 2, 1, 2)
    assert level.tiles_per_slab == 128
    assert level.key(SlabKind.DATA, 4032, 18217) == "ORTHO/DATA/18/3E/42/01.tif"
    with pytest.raises(DescriptorError, match="no level '3': its levels are 17, 18"):
        descriptor.level("3")
    with pytest.raises(DescriptorError, match="level 17 has no masks"):
        sample(mask=False).levels[0].key(SlabKind.MASK, 0, 0)


BASE: dict[str, Any] = json.loads(sample().to_json())
LEVEL = ("levels", 0)
DELETE = object()


def changed(path: tuple[str | int, ...], value: object) -> bytes:
    document = copy.deepcopy(BASE)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    if value is DELETE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("tile_matrix_set",), DELETE, "tile_matrix_set must be a string, not missing"),
        (("tile_matrix_set",), 4326, "must be a string, not 4326"),
        (("tile_matrix_set",), "", "must be a string"),
        (("tile_matrix_set",), "a\nb", "control characters"),
        (("tile_matrix_set",), "\ud800", "control characters"),
        (("format",), "TIFF_PNG_FLOAT32", "unknown raster format"),
        (("format",), ["TIFF_PNG_UINT8"], "format must be a string"),
        (("format",), "TIFF_JPG_UINT8\n", "control characters"),
        (("mask_format",), "TIFF_RAW_UINT8", "mask_format must be TIFF_ZIP_UINT8"),
        (("mask_format",), {}, "mask_format must be"),
        (("raster_specifications",), [], "raster_specifications must be an object"),
        (("raster_specifications", "channels"), 0, "channels must be an integer from 1 to 4, not 0"),
        (("raster_specifications", "channels"), True, "channels must be an integer"),
        (("raster_specifications", "channels"), "3", "channels must be an integer"),
        (("raster_specifications", "channels"), 2.5, "channels must be an integer"),
        (("raster_specifications", "nodata"), "255", "1 value.* for 3 channel"),
        (("raster_specifications", "nodata"), "1,2,x", "must be integers separated by commas"),
        (("raster_specifications", "nodata"), "1,2,0.5", "must be integers"),
        (("raster_specifications", "nodata"), "nan,nan,nan", "must be integers"),
        (("raster_specifications", "nodata"), "1,2,1e300", "must be integers"),
        (("raster_specifications", "nodata"), "1,2,256", "outside 0..255"),
        (("raster_specifications", "nodata"), [255, 255, 255], "must be a string"),
        (("raster_specifications", "nodata"), "9" * 5000, "too long"),
        (("raster_specifications", "interpolation"), "cubic", "interpolation must be one of nn"),
        (("raster_specifications", "interpolation"), {}, "interpolation must be one of nn"),
        (("levels",), [], "levels must be a list of at least one level"),
        (("levels",), {"0": {}}, "levels must be a list"),
        (("levels",), [3], r"levels\[0\] must be an object"),
        (("levels",), [{}] * 1001, "1001 levels"),
        ((*LEVEL, "id"), DELETE, r"levels\[0\].id must be a string, not missing"),
        ((*LEVEL, "id"), "18", "level '18' appears twice"),
        ((*LEVEL, "id"), "../18", "cannot be part of a path"),
        ((*LEVEL, "id"), "..", "cannot be part of a path"),
        ((*LEVEL, "id"), 1.5, "must be a string, not 1.5"),
        ((*LEVEL, "tiles_per_width"), 0, "tiles_per_width must be an integer from 1"),
        ((*LEVEL, "tiles_per_width"), 10**40, "not a huge number"),
        ((*LEVEL, "tiles_per_width"), 2**24, "too large"),
        ((*LEVEL, "tile_limits"), [0, 1, 2, 3], "tile_limits must be an object"),
        ((*LEVEL, "tile_limits", "max_row"), -1, "max_row must be an integer from 0"),
        ((*LEVEL, "tile_limits", "max_row"), 2**31, "max_row must be an integer"),
        ((*LEVEL, "tile_limits", "max_row"), 2, "upside down"),
        ((*LEVEL, "tile_limits", "min_col"), "20", "min_col must be an integer"),
        ((*LEVEL, "storage"), DELETE, "storage must be an object, not missing"),
        ((*LEVEL, "storage", "type"), "FTP", "must be FILE, S3, CEPH or SWIFT, not 'FTP'"),
        ((*LEVEL, "storage", "type"), ["FILE"], "must be FILE, S3, CEPH or SWIFT"),
        ((*LEVEL, "storage", "type"), "S3", "bucket_name must be a string, not missing"),
        ((*LEVEL, "storage", "path_depth"), DELETE, "path_depth must be an integer from 0 to 32, not missing"),
        ((*LEVEL, "storage", "path_depth"), 1000, "path_depth must be an integer"),
        ((*LEVEL, "storage", "image_directory"), "/etc", "image_directory must be relative"),
        ((*LEVEL, "storage", "image_directory"), "", "image_directory must be a string"),
        ((*LEVEL, "storage", "image_directory"), "a\0b", "control characters"),
        ((*LEVEL, "storage", "mask_directory"), "/etc", "mask_directory must be relative"),
        ((*LEVEL, "storage", "mask_directory"), DELETE, "level '17' has no masks while others have"),
    ],
)
def test_hostile_values(path: tuple[str | int, ...], value: object, message: str) -> None:
    with pytest.raises(DescriptorError, match=message) as caught:
        parse_descriptor(changed(path, value), "X")
    text = str(caught.value)
    assert text.startswith("descriptor X: ")
    assert "\n" not in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"levels": ' + b"9" * 10_000 + b"}",
        b" " * (16 * 2**20 + 1),
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_descriptor(data: bytes) -> None:
    with pytest.raises(DescriptorError, match=r"^descriptor X: ") as caught:
        parse_descriptor(data, "X")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ((*LEVEL, "id"), 17, "the id of level 17 is not a string"),
        (("raster_specifications", "interpolation"), DELETE, "interpolation is missing"),
        (("raster_specifications", "photometric"), DELETE, "photometric is missing"),
        (("raster_specifications", "photometric"), "RGB", "photometric is 'RGB'"),
        (("raster_specifications", "nodata"), "255,255,255,255", "more values than channels"),
        (("tile_matrix_set",), "PM.json", "without .json"),
        (("mask_format",), DELETE, "mask_format must be there exactly when"),
        ((*LEVEL, "storage", "path_depth"), 3, "path_depth differs between levels"),
        (("unknown",), {"a": 1}, None),
        (("raster_specifications", "channels"), 3.0, None),
        (("raster_specifications", "nodata"), "255, 255,", None),
        ((*LEVEL, "storage", "image_directory"), "../OTHER/DATA/17", None),
    ],
)
def test_what_some_loader_accepts_is_read(path: tuple[str | int, ...], value: object, problem: str | None) -> None:
    data = changed(path, value)
    descriptor = parse_descriptor(data, "ORTHO")
    assert descriptor.tile_matrix_set == "PM"
    assert descriptor.format == sample().format
    assert [level.id for level in descriptor.levels] == ["17", "18"]
    problems = descriptor_problems(data, "ORTHO")
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


def test_text_with_a_byte_order_mark() -> None:
    assert parse_descriptor(b"\xef\xbb\xbf" + sample().to_json(), "ORTHO") == sample()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS: list[tuple[str | int, ...]] = [
    ("tile_matrix_set",),
    ("format",),
    ("mask_format",),
    ("raster_specifications",),
    *[("raster_specifications", key) for key in BASE["raster_specifications"]],
    ("levels",),
    LEVEL,
    *[(*LEVEL, key) for key in BASE["levels"][0]],
    *[(*LEVEL, "tile_limits", key) for key in BASE["levels"][0]["tile_limits"]],
    *[(*LEVEL, "storage", key) for key in BASE["levels"][0]["storage"]],
]


@settings(max_examples=400)
@given(st.sampled_from(PATHS), JSON)
def test_any_value_anywhere_is_read_or_refused(path: tuple[str | int, ...], value: object) -> None:
    data = changed(path, value)
    try:
        descriptor = parse_descriptor(data, "X")
    except DescriptorError as error:
        message = str(error)
    else:
        message = ""
        assert parse_descriptor(descriptor.to_json(), "X") == descriptor
        descriptor_problems(data, "X")
    assert "\n" not in message
