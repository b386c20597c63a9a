"""The block grid against counting pixels one by one, and the auxiliary objects' round trips."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.db.aux_objects import AuxType, Misc, Presence, Transformation, pack_aux, unpack_aux
from fastpyr.db.blocks import BlockGrid, Window, ancestors, assemble, cut_blocks
from fastpyr.errors import ConfigError, DecodeError
from fastpyr.grid.bounds import BoundingBox

WORLD = BlockGrid(0.5, 99.5, 1.0, 1.0, 128, 128, 2048, 1024)


def grids():
    size = st.integers(1, 300)
    return st.builds(
        BlockGrid,
        st.floats(-1e6, 1e6),
        st.floats(-1e6, 1e6),
        st.sampled_from([0.25, 1.0, 3.0, 1 / 3600]),
        st.sampled_from([0.25, 2.0, 1 / 3600]),
        st.integers(1, 40),
        st.integers(1, 40),
        size,
        size,
        st.integers(-500, 0),
        st.integers(-500, 0),
    )


def test_the_pyramid_of_a_known_raster() -> None:
    """2048 x 1024 in blocks of 128: 128, 32, 8, 2 and then single blocks."""
    counts = [len(rows) * len(cols) for rows, cols in (WORLD.level(n).blocks() for n in range(7))]
    assert counts == [128, 32, 8, 2, 1, 1, 1]
    assert WORLD.levels() == WORLD.levels(-1) == (0, 1, 2, 3, 4)
    assert WORLD.levels("esri") == tuple(range(11))
    assert WORLD.levels(3, skip_level1=True) == (0, 2, 3)
    assert WORLD.levels(0) == (0,)
    assert sum(counts[:5]) <= 128 * 4 / 3 + 5
    for wrong in ("all", -2, 31, 1.5):
        with pytest.raises(ConfigError, match="expected auto, esri, or a level"):
            WORLD.levels(wrong)


@given(grid=grids(), n=st.integers(0, 12))
def test_levels_are_floors_from_the_origin(grid, n) -> None:
    level, window = grid.level(n), grid.window
    columns, rows = np.arange(window.left, window.right) >> n, np.arange(window.top, window.bottom) >> n
    assert level.window == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    found = {(r // level.block_height, c // level.block_width) for r in {*rows.tolist()} for c in {*columns.tolist()}}
    assert found == {(r, c) for r in level.blocks()[0] for c in level.blocks()[1]}
    assert found == ancestors(((r, c) for r in grid.blocks()[0] for c in grid.blocks()[1]), n)
    corner, below = level.bounds_of(Window(0, 0, 1, 1)), grid.bounds_of(Window(0, 0, 1 << n, 1 << n))
    np.testing.assert_allclose(corner, below, rtol=1e-12, atol=1e-7)


@given(grid=grids())
def test_the_band_table_tells_the_grid(grid) -> None:
    cell = (grid.cell_x, grid.cell_y)
    row = (
        (grid.origin_x, grid.origin_y),
        grid.centres,
        (grid.width, grid.height),
        (grid.block_width, grid.block_height),
    )
    assert BlockGrid.of_band(*row, cell=cell) == grid
    if min(grid.width, grid.height) > 1:
        again = BlockGrid.of_band(*row)
        assert again.window == grid.window
        np.testing.assert_allclose((again.cell_x, again.cell_y), cell, rtol=1e-3)
    else:
        with pytest.raises(ConfigError, match="needs its cell size"):
            BlockGrid.of_band(*row)


def test_centres_and_edges_are_half_a_pixel_apart() -> None:
    grid = BlockGrid(10.0, 20.0, 2.0, 4.0, 8, 8, 5, 3, -1, -2)
    assert grid.centres == (8.0, 20.0, 16.0, 28.0)
    assert grid.extent == BoundingBox(7.0, 18.0, 17.0, 30.0)
    assert grid.transform == (2.0, 0.0, 7.0, 0.0, -4.0, 30.0)
    assert (grid.blocks()) == (range(-1, 1), range(-1, 1))
    assert grid.block_window(-1, 0) == (0, -8, 8, 0)


@settings(max_examples=200)
@given(grid=grids(), n=st.integers(0, 4), data=st.data())
def test_a_box_gives_the_pixels_that_it_touches(grid, n, data) -> None:
    level = grid.level(n)
    frame = level.window
    left, right = sorted(data.draw(st.tuples(*[st.integers(frame.left - 3, frame.right + 3)] * 2)))
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(frame.top - 3, frame.bottom + 3)] * 2)))
    window = Window(left, top, right, bottom)
    box = level.bounds_of(window)
    if box.left <= box.right and box.bottom <= box.top:
        assert grid.window_of(box, n) == window.intersection(frame)
    if window.width > 0 and window.height > 0:
        inner = (
            box[0] + level.cell_x / 4,
            box[1] + level.cell_y / 4,
            box[2] - level.cell_x / 4,
            box[3] - level.cell_y / 4,
        )
        assert level.window_of(inner) == window.intersection(frame)


def test_boxes_without_end() -> None:
    assert WORLD.window_of((-math.inf, -math.inf, math.inf, math.inf)) == WORLD.window
    assert WORLD.window_of((5000, 0, math.inf, 1)) is None
    for wrong in ((1, 0, 0, 1), (0, math.nan, 1, 1)):
        with pytest.raises(ConfigError, match="expected left <= right"):
            WORLD.window_of(wrong)


def test_resolutions() -> None:
    assert [WORLD.level_for(r, (0, 2, 3)) for r in (0.1, 1, 3.9, 4, 7.9, 8, 1e9)] == [0, 0, 0, 2, 2, 3, 3]
    for wrong in (0, -1, math.nan):
        with pytest.raises(ConfigError, match="expected a number above 0"):
            WORLD.level_for(wrong, (0,))


def test_mosaics_need_whole_pixels() -> None:
    other = BlockGrid(-40.5 + 1e-5, 129.5, 1.0, 1.0, 64, 32, 100, 50)
    assert WORLD.offset_of(other) == (-41, -30)
    grown = WORLD.grown(Window(-41, -30, 59, 20))
    assert grown.window == (-41, -30, 2048, 1024)
    assert (grown.origin_x, grown.origin_y) == (WORLD.origin_x, WORLD.origin_y)
    with pytest.raises(ConfigError, match=r"0\.25 of a pixel off"):
        WORLD.offset_of(BlockGrid(0.75, 99.5, 1.0, 1.0, 8, 8, 4, 4))
    with pytest.raises(ConfigError, match=r"pixel height 1\.01 where"):
        WORLD.offset_of(BlockGrid(0.5, 99.5, 1.0, 1.01, 8, 8, 4, 4))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell_x": 0.0}, {"cell_y": math.nan}, {"origin_x": math.inf}, {"block_width": 0}, {"block_height": 4097},
        {"width": 0}, {"height": -3}, {"width": 1 << 31}, {"first_row": -(1 << 31)},
    ],
)  # fmt: skip
def test_grids_that_cannot_be(wrong) -> None:
    known = {"origin_x": 0.0, "origin_y": 0.0, "cell_x": 1.0, "cell_y": 1.0, "block_width": 8, "block_height": 8}
    with pytest.raises(ConfigError):
        BlockGrid(**{**known, "width": 4, "height": 4, **wrong})


@settings(max_examples=100)
@given(data=st.data())
def test_cut_and_assembled_again(data) -> None:
    size = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    left, top = data.draw(st.integers(-20, 20)), data.draw(st.integers(-20, 20))
    window = Window(left, top, left + data.draw(st.integers(1, 30)), top + data.draw(st.integers(1, 30)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = rng.integers(1, 99, (window.height, window.width)).astype(np.uint16)
    share = data.draw(st.sampled_from([None, 0.05, 0.7]))
    mask = None if share is None else np.where(rng.random(image.shape) < share, 255, 0).astype(np.uint8)
    blocks = {(r, c): (b, m) for r, c, b, m in cut_blocks(image, mask, window, *size, repeat=data.draw(st.booleans()))}
    assert all(block.shape == (size[1], size[0]) for block, _ in blocks.values())
    fetch = {key: value for key, value in blocks.items() if value[1] is None or value[1].any()}
    asked = Window(left - 4, top - 1, left + data.draw(st.integers(0, 9)), top + 7)
    got, got_mask = assemble(lambda r, c: fetch.get((r, c)), asked, *size, np.uint16)
    for y in range(asked.top, asked.bottom):
        for x in range(asked.left, asked.right):
            inside = window.left <= x < window.right and window.top <= y < window.bottom
            good = inside and (mask is None or mask[y - window.top, x - window.left] != 0)
            assert got[y - asked.top, x - asked.left] == (image[y - window.top, x - window.left] if good else 0)
            assert (got_mask is None or got_mask[y - asked.top, x - asked.left] == 255) == good
    whole, whole_mask = assemble(lambda r, c: blocks[r, c], window, *size, np.uint16)
    np.testing.assert_array_equal(whole, image if mask is None else image * (mask != 0))
    np.testing.assert_array_equal(whole_mask, mask if mask is not None and not mask.all() else None)


def test_padding_repeats_the_nearest_pixels_for_lossy_codecs() -> None:
    image = np.array([[1, 2], [3, 4]], np.uint8)
    ((row, col, block, mask),) = cut_blocks(image, None, Window(1, 1, 3, 3), 4, 4, repeat=True)
    assert (row, col) == (0, 0)
    assert block.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert mask.tolist() == [[0] * 4, [0, 255, 255, 0], [0, 255, 255, 0], [0] * 4]
    with pytest.raises(ValueError, match="do not lie at"):
        next(cut_blocks(image, None, Window(0, 0, 3, 2), 4, 4))


# --- auxiliary objects ---


@settings(max_examples=60)
@given(st.sets(st.tuples(st.integers(0, 3), st.integers(-200, 200), st.integers(-200, 200)), max_size=40), st.data())
def test_presence_is_a_set(blocks, data) -> None:
    presence = Presence()
    for block in blocks:
        presence.add(*block)
    gone = data.draw(st.sets(st.sampled_from(sorted(blocks)), max_size=5)) if blocks else set()
    for block in gone:
        presence.discard(*block)
        presence.discard(*block)
    left = blocks - gone
    again = Presence.from_blob(presence.to_blob())
    assert again == presence
    for level in range(4):
        wanted = {(row, col) for n, row, col in left if n == level}
        assert set(again.blocks(level)) == wanted
        assert again.count(level) == len(wanted)
        top, col = data.draw(st.integers(-210, 210)), data.draw(st.integers(-210, 210))
        rows, cols = range(top, top + data.draw(st.integers(0, 150))), range(col, col + data.draw(st.integers(0, 90)))
        assert again.any_in(level, rows, cols) == any(r in rows and c in cols for r, c in wanted)
    assert again.levels == sorted({n for n, _, _ in left})
    assert all(again.has(*block) for block in left)
    assert not any(again.has(*block) for block in gone)
    again.drop_level(0)
    assert 0 not in again.levels


def test_presence_of_few_blocks_far_apart_is_small() -> None:
    presence = Presence()
    for place in ((0, 0, 0), (0, 7812, 3), (0, -5, 7812)):
        presence.add(*place)
    assert len(presence.to_blob()) < 100
    presence.add(0, 1 << 40, 0)
    with pytest.raises(ConfigError, match="cannot be numbered"):
        presence.to_blob()


def test_transformations_and_values_come_back() -> None:
    place = Transformation('GEOGCS["é"]', (0.1, 0.0, -180.0, 0.0, -0.1, 90.0))
    assert Transformation.from_blob(place.to_blob()) == place
    misc = Misc({"origin": "ortho é", "bands": [1, 2], "none": None})
    assert Misc.from_blob(misc.to_blob()) == misc
    with pytest.raises(ConfigError, match="finite"):
        Transformation("", (math.nan, 0, 0, 0, 1, 0)).to_blob()
    with pytest.raises(ConfigError, match="JSON"):
        Misc({"x": math.inf}).to_blob()


def test_the_frame_is_what_the_format_says() -> None:
    blob = pack_aux(AuxType.COLORMAP, b"abc")
    assert blob == b"FPX\x01" + struct.pack(">HII", 3, 3, 0x352441C2) + b"abc"
    assert unpack_aux(AuxType.COLORMAP, blob) == b"abc"


@pytest.mark.parametrize("read", [Presence.from_blob, Transformation.from_blob, Misc.from_blob])
def test_hostile_objects_are_refused(read) -> None:
    presence = Presence()
    presence.add(0, 70, 70)
    blobs = [presence.to_blob(), Transformation("x", (1, 0, 0, 0, -1, 0)).to_blob(), Misc({"a": 1}).to_blob()]
    own = next(blob for blob in blobs if AuxType(blob[5]).value == {"P": 1, "T": 4, "M": 6}[read.__self__.__name__[0]])
    damaged = [own[:n] for n in range(len(own))] + [own + b"\0", b"ESRI" * 20, own[:4] + b"\0\x05" + own[6:]]
    damaged += [blob for blob in blobs if blob != own]
    damaged += [own[:-1] + bytes((own[-1] ^ 1,))]
    payloads = {
        AuxType.MISC: (b"[1]", b"\xff" * 60, b"[" * 100000),
        AuxType.TRANSFORMATION: (bytes(47), struct.pack(">6d", *[math.inf] * 6), bytes(48) + b"\xff"),
        AuxType.MASK: (
            struct.pack(">HiiHH", 0, 0, 0, 65, 1) + bytes(99),
            struct.pack(">HiiHH", 0, 63, 0, 2, 2) + bytes(9),
            struct.pack(">HiiHH", 0, 0, 0, 64, 64),
            struct.pack(">HiiHH", 0, 0, 0, 0, 4),
            b"\0",
        ),
    }[AuxType(own[5])]
    damaged += [pack_aux(AuxType(own[5]), payload) for payload in payloads]
    for blob in damaged:
        with pytest.raises(DecodeError) as caught:
            read(blob)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
