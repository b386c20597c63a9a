import contextlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr.errors import GridError
from fastpyr.grid import BoundingBox, TileLimits, TileMatrix, load_tms, tms_from_json, tms_names

SHARED = Path(__file__).resolve().parents[3] / "shared/data/rok4/tilematrixsets"
shipped = pytest.mark.skipif(not SHARED.is_dir(), reason="the ROK4 tile matrix sets are not at ../shared")


@pytest.fixture(autouse=True)
def _no_directory(monkeypatch):
    monkeypatch.delenv("ROK4_TMS_DIRECTORY", raising=False)


@shipped
def test_built_in_names_are_the_shipped_ones():
    assert tms_names() == sorted(path.stem for path in SHARED.glob("*.json"))
    assert len(tms_names()) == 71


FIELDS = {
    "cellSize": lambda m: m.cell_size,
    "pointOfOrigin": lambda m: [m.origin_x, m.origin_y],
    "tileWidth": lambda m: m.tile_width,
    "tileHeight": lambda m: m.tile_height,
    "matrixWidth": lambda m: m.matrix_width,
    "matrixHeight": lambda m: m.matrix_height,
}


@shipped
@pytest.mark.parametrize("name", tms_names())
def test_built_in_set_equals_the_shipped_file(name):
    document = json.loads((SHARED / f"{name}.json").read_text())
    tms = load_tms(name)
    assert (tms.name, tms.crs, tms.identifier) == (name, document["crs"], document["id"])
    levels = sorted(document["tileMatrices"], key=lambda level: level["cellSize"])
    assert tms.ids == tuple(level["id"] for level in levels)
    for level in levels:
        for field, value in FIELDS.items():
            assert value(tms.level(level["id"])) == level[field], (level["id"], field)
    assert load_tms(SHARED / f"{name}.json") == tms


@shipped
@pytest.mark.parametrize("name", tms_names())
def test_to_json_carries_every_field_of_the_shipped_file(name):
    document = json.loads((SHARED / f"{name}.json").read_text())
    written = json.loads(json.dumps(load_tms(name).to_json()))
    for key in ("id", "crs", "orderedAxes"):
        assert written[key] == document[key]
    theirs = {level.pop("id"): level for level in document["tileMatrices"]}
    ours = {level.pop("id"): level for level in written["tileMatrices"]}
    assert list(ours) == sorted(theirs, key=lambda id: -theirs[id]["cellSize"])
    for id, level in ours.items():
        # Nobody reads the shipped denominators, and some are wrong by a factor of 2 (2975_50cm, level 18).
        del level["scaleDenominator"], theirs[id]["scaleDenominator"]
        assert level == theirs[id]


@pytest.mark.parametrize(
    ("name", "id", "denominator"),
    [("PM", "0", 559082264.0287178), ("4326", "0", 279541132.0143589), ("LAMB93_1M_MNT", "8", 3571.4285714285716)],
)
def test_scale_denominators(name, id, denominator):
    levels = {level["id"]: level for level in load_tms(name).to_json()["tileMatrices"]}
    assert levels[id]["scaleDenominator"] == pytest.approx(denominator, rel=1e-9)


def test_kinds_of_the_built_in_sets():
    kinds = {name: load_tms(name).kind for name in tms_names()}
    assert Counter(kinds.values()) == {"QTREE": 61, "NNGRAPH": 7, "IRREGULAR": 3}
    assert {name for name, kind in kinds.items() if kind == "IRREGULAR"} == {"2154_IGNF", "LAMB93", "LAMB93_IGNF"}
    assert {name[-7:] for name, kind in kinds.items() if kind == "NNGRAPH"} == {"_1M_MNT"}


def test_known_tile_of_pm():
    # The tile of Paris at level 10, as every slippy map numbers it.
    level = load_tms("PM").level("10")
    assert level.limits_of(BoundingBox(261000, 6250000, 261001, 6250001)) == TileLimits(352, 352, 518, 518)
    box = level.tile_bounds(518, 352)
    assert box == pytest.approx((234814.55, 6222585.60, 273950.31, 6261721.36), abs=0.01)
    assert level.bounds == pytest.approx((-20037508.3427892, -20037508.3427892, 20037508.3427892, 20037508.3427892))


def test_limits_are_half_open_and_clamped():
    level = TileMatrix("a", 0.5, 100.0, 1000.0, 256, 128, 10, 20)
    for limits in (TileLimits(0, 0, 0, 0), TileLimits(3, 7, 2, 9), level.limits):
        assert level.limits_of(level.bounds_of(limits)) == limits
    inside = level.bounds_of(TileLimits(3, 7, 2, 8))
    assert level.limits_of(inside._replace(right=inside.right + 0.001)) == TileLimits(3, 7, 2, 9)
    assert level.limits_of(inside._replace(bottom=inside.bottom - 0.001)) == TileLimits(3, 8, 2, 8)
    assert level.limits_of(inside._replace(right=inside.right + 1e-7)) == TileLimits(3, 7, 2, 8)
    assert level.limits_of(BoundingBox(-1e9, -1e9, 1e9, 1e9)) == level.limits
    assert level.limits_of(BoundingBox(0, 900, 100, 950)) is None
    assert level.limits_of(BoundingBox(99, 1000, 150, 1001)) is None
    assert level.limits_of(BoundingBox(150, 900, 150, 950)) is None
    with pytest.raises(GridError, match=r"level a.*not finite"):
        level.limits_of(BoundingBox(0, 0, float("nan"), 1))


@given(st.sampled_from(["PM", "4326", "LAMB93_1M_MNT", "2154_5cm"]), st.data())
def test_limits_of_aligned_boxes_come_back_exactly(name, data):
    level = data.draw(st.sampled_from(load_tms(name).matrices))
    cols = sorted(data.draw(st.tuples(*[st.integers(0, level.matrix_width - 1)] * 2)))
    rows = sorted(data.draw(st.tuples(*[st.integers(0, level.matrix_height - 1)] * 2)))
    limits = TileLimits(rows[0], rows[1], cols[0], cols[1])
    assert level.limits_of(level.bounds_of(limits)) == limits


def test_pixel_of_counts_from_the_corner():
    level = load_tms("LAMB93_1M_MNT").level("8")
    assert level.pixel_of(level.origin_x, level.origin_y) == (0, 0)
    assert level.pixel_of(573999.5, 6275000.5) == (574000, 5725000)


def test_unknown_level_names_the_known_ones():
    with pytest.raises(GridError, match=r"PM has no level '99': its levels are 21, 20.* 0$"):
        load_tms("PM").level("99")
    assert load_tms("PM").index("19") == 2


def simple(**changes):
    level = {
        "id": "7",
        "cellSize": 2.0,
        "pointOfOrigin": [10, 20.5],
        "tileWidth": 256,
        "tileHeight": 256,
        "matrixWidth": 3,
        "matrixHeight": 4,
    }
    return {"id": "TEST", "crs": "EPSG:2154", "tileMatrices": [{**level, "id": "8", "cellSize": 1.0}, level | changes]}


def test_lookup_order(tmp_path, monkeypatch):
    folder = tmp_path / "tms"
    folder.mkdir()
    (folder / "PM.json").write_text(json.dumps(simple()))
    (folder / "bare").write_text(json.dumps(simple()))
    assert len(load_tms("PM").matrices) == 22
    assert load_tms("PM.json") == load_tms("PM")
    monkeypatch.setenv("ROK4_TMS_DIRECTORY", str(folder))
    assert load_tms("PM").identifier == load_tms("PM.json").identifier == "TEST"
    assert load_tms("bare").name == "bare"
    assert load_tms("4326").identifier == "4326"
    assert "PM_5cm" in tms_names()
    monkeypatch.chdir(tmp_path)
    Path("PM.json").write_text(json.dumps(simple() | {"id": "HERE"}))
    assert load_tms("PM.json").identifier == "HERE"
    assert load_tms("PM").identifier == "TEST"
    # A folder that bears the name of a set is not a file.
    Path("4326").mkdir()
    assert load_tms("4326").identifier == "4326"


def test_document_of_other_hands():
    document = simple()
    document |= {"title": "a title", "crs": {"uri": "EPSG:4326"}, "orderedAxes": ["Lon", "Lat"]}
    tms = tms_from_json(document, "NAME", "NAME")
    assert (tms.title, tms.crs, tms.axes) == ("a title", "EPSG:4326", ("Lon", "Lat"))
    written = tms.to_json()
    assert (written["id"], written["title"], written["orderedAxes"]) == ("TEST", "a title", ["Lon", "Lat"])
    assert tms_from_json(written, "NAME", "NAME") == tms
    del document["id"], document["orderedAxes"]
    assert tms_from_json(document, "NAME", "NAME").to_json()["id"] == "NAME"
    assert tms_from_json(document, "NAME", "NAME").to_json()["orderedAxes"] == ["Lon", "Lat"]
    assert tms_from_json(simple(), "NAME", "NAME").to_json()["orderedAxes"] == ["X", "Y"]


BAD_LEVELS = [
    ({"id": 7}, r"tileMatrices\[1\].id"),
    ({"id": None}, r"tileMatrices\[1\].id"),
    ({"id": "a_b"}, r"tileMatrices\[1\].id"),
    ({"id": "a/b"}, r"tileMatrices\[1\].id"),
    ({"id": ".."}, r"tileMatrices\[1\].id"),
    ({"id": ""}, r"tileMatrices\[1\].id"),
    ({"id": "x\n"}, r"tileMatrices\[1\].id"),
    ({"id": "8"}, "two levels have the id 8"),
    ({"id": "9" * 5000}, r"tileMatrices\[1\].id"),
    ({"cellSize": 0}, "level 7: cellSize"),
    ({"cellSize": -1}, "level 7: cellSize"),
    ({"cellSize": float("nan")}, "level 7: cellSize"),
    ({"cellSize": float("inf")}, "level 7: cellSize"),
    ({"cellSize": "2"}, "level 7: cellSize"),
    ({"cellSize": True}, "level 7: cellSize"),
    ({"cellSize": 10**400}, "level 7: cellSize"),
    ({"cellSize": 1e300}, "level 7: cellSize"),
    ({"cellSize": 1.0}, "same cellSize"),
    ({"pointOfOrigin": [1]}, "level 7: pointOfOrigin"),
    ({"pointOfOrigin": [1, None]}, "level 7: pointOfOrigin"),
    ({"pointOfOrigin": [1, float("nan")]}, "level 7: pointOfOrigin"),
    ({"pointOfOrigin": "0,0"}, "level 7: pointOfOrigin"),
    ({"pointOfOrigin": [1e300, 0]}, "level 7: pointOfOrigin"),
    ({"tileWidth": 0}, "level 7: tileWidth"),
    ({"tileWidth": 256.5}, "level 7: tileWidth"),
    ({"tileHeight": 1 << 20}, "level 7: tileHeight"),
    ({"tileHeight": -256}, "level 7: tileHeight"),
    ({"matrixWidth": 0}, "level 7: matrixWidth"),
    ({"matrixHeight": 1 << 40}, "level 7: matrixHeight"),
    ({"matrixHeight": [1]}, "level 7: matrixHeight"),
    ({"cornerOfOrigin": "bottomLeft"}, "level 7: cornerOfOrigin"),
    ({"variableMatrixWidths": [{"coalesce": 2}]}, "level 7: variableMatrixWidths"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_LEVELS, ids=lambda value: str(value)[:40])
def test_hostile_level_is_refused_by_field(tmp_path, changes, message):
    refused(tmp_path, json.dumps(simple(**changes)), message)


def test_missing_fields_are_named(tmp_path):
    for key in ("id", "cellSize", "pointOfOrigin", "tileWidth", "tileHeight", "matrixWidth", "matrixHeight"):
        document = simple()
        del document["tileMatrices"][1][key]
        refused(tmp_path, json.dumps(document), f"{key}.*found nothing")
    for key in ("crs", "tileMatrices"):
        document = simple()
        del document[key]
        refused(tmp_path, json.dumps(document), f"{key} must be.*found nothing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON document"),
        ("[]", "expected a JSON object"),
        ("{", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        ('{"crs": 1' + "0" * 10_000 + "}", "not a JSON document"),
        (json.dumps(simple() | {"tileMatrices": []}), "0 levels"),
        (json.dumps(simple() | {"tileMatrices": [{}] * 101}), "101 levels"),
        (json.dumps(simple() | {"tileMatrices": {"0": {}}}), "tileMatrices must be a list"),
        (json.dumps(simple() | {"tileMatrices": [3]}), r"tileMatrices\[0\] must be an object"),
        (json.dumps(simple() | {"crs": 2154}), "crs must be a string"),
        (json.dumps(simple() | {"crs": {"wkt": {}}}), "crs must be a string"),
        (json.dumps(simple() | {"id": ["x"]}), "id must be a string"),
        (json.dumps(simple() | {"title": 3}), "title must be a string"),
        (json.dumps(simple() | {"orderedAxes": ["Lat", "Lon"]}), r"orderedAxes.*\['Lat', 'Lon'\].*longitude"),
        (json.dumps(simple() | {"orderedAxes": [1, 2]}), "orderedAxes"),
        (json.dumps(simple() | {"orderedAxes": "XY"}), "orderedAxes must be a list"),
        (" " * (4 << 20) + json.dumps(simple()), "larger than 4 MiB"),
    ],
    ids=lambda value: value[:30],
)
def test_hostile_document_is_refused(tmp_path, text, message):
    refused(tmp_path, text, message)


def test_bytes_that_are_not_text(tmp_path):
    refused(tmp_path, b"\xff\xfe\x00", "not a JSON document")


def test_unreadable_and_unknown(tmp_path):
    with pytest.raises(GridError, match="no such file"):
        load_tms(tmp_path / "absent.json")
    with pytest.raises(GridError, match="unknown tile matrix set 'pm': did you mean PM"):
        load_tms("pm")
    with pytest.raises(GridError, match="unknown tile matrix set 'NONE'"):
        load_tms("NONE")
    for text in ("", "a\0b"):
        with pytest.raises(GridError, match="not a name"):
            load_tms(text)


def refused(tmp_path, text, message):
    path = tmp_path / "hostile.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GridError, match=message) as caught:
        load_tms(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500 + len(str(path))
    assert "hostile.json" in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["crs", "tileMatrices", "id", "cellSize", "pointOfOrigin", "tileWidth", "orderedAxes"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_value_is_a_set_or_a_grid_error(value):
    with contextlib.suppress(GridError):
        tms_from_json(value, "fuzz", "fuzz")
