"""What a journal is made of: records, the logbook, and who needs what of whom."""

from __future__ import annotations

import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastpyr
from fastpyr.engine import records as record_files
from fastpyr.engine.kinship import Kinship
from fastpyr.engine.logbook import Logbook, parse_log
from fastpyr.engine.records import BlockShape, Gift, RecordError, Tiles, pack, write_at
from fastpyr.engine.scratch import Scratch
from fastpyr.planning import BuildOptions, SourceGroup, make_plan

QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@st.composite
def gifts(draw, shape):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = rng.random((shape.side, shape.side)) < 0.5
    names = [draw(st.integers(0, 2**32 - 1)) for _ in range(3)]
    height, width = draw(st.integers(0, shape.height)), draw(st.integers(0, shape.width))
    if not height or not width:
        return Gift(*names, 0, 0, None, None, present)
    y, x = draw(st.integers(0, shape.height - height)), draw(st.integers(0, shape.width - width))
    block = rng.integers(0, 255, (shape.height, shape.width, shape.channels)).astype(shape.dtype)
    mask = {0: np.zeros, 1: np.ones}.get(draw(st.integers(0, 2)), lambda s, d: rng.integers(0, 2, s).astype(d))(
        (shape.height, shape.width), np.uint8
    ) * np.uint8(255)
    part = np.s_[y : y + height, x : x + width]
    return Gift(*names, x, y, block[part], mask[part], present)


@st.composite
def tiles(draw, shape):
    one = st.none() | st.binary(min_size=1, max_size=40)
    rows = st.none() | st.lists(
        st.lists(one, min_size=shape.side, max_size=shape.side), min_size=shape.side, max_size=shape.side
    )
    names = [draw(st.integers(0, 2**32 - 1)) for _ in range(3)]
    present = np.array(draw(st.lists(st.booleans(), min_size=shape.side**2, max_size=shape.side**2)))
    return Tiles(*names, present.reshape(shape.side, shape.side), draw(rows), draw(rows))


@st.composite
def files(draw):
    side = draw(st.sampled_from([1, 2, 4]))
    shape = BlockShape(side * 5, side * 3, draw(st.integers(1, 4)), draw(st.sampled_from(["uint8", "float32"])), side)
    return shape, draw(st.lists(gifts(shape) | tiles(shape), max_size=6))


def written(path: Path, records) -> int:
    scratch, offset, check = Scratch(), 0, 0
    for record in records:
        parts, size, crc = pack(record, scratch)
        write_at(str(path), parts, offset)
        offset += size
        check += crc
    return offset


def read_records(path: Path, size: int, shape: BlockShape):
    with open(path, "rb", buffering=0) if size else io.BytesIO() as file:
        yield from record_files.read_records(file, size, shape)


def record_sum(path: Path, size: int, shape: BlockShape):
    with open(path, "rb", buffering=0) if size else io.BytesIO() as file:
        return record_files.record_sum(file, size, shape)


def assert_same(found, record):
    assert (found.level, found.column, found.row) == (record.level, record.column, record.row)
    np.testing.assert_array_equal(found.present, record.present)
    if isinstance(record, Tiles):
        side = len(record.present)
        for mine, theirs in ((found.data, record.data), (found.masks, record.masks)):
            assert [list(row) for row in mine] == [list(row) for row in theirs or [[None] * side] * side]
        return
    if record.pixels is None or not record.mask.any():
        assert found.pixels is None
        return
    assert (found.x, found.y) == (record.x, record.y)
    np.testing.assert_array_equal(found.pixels, record.pixels)
    assert found.pixels.dtype == record.pixels.dtype
    np.testing.assert_array_equal(255 if found.mask is None else found.mask, record.mask)


@QUICK
@given(files())
def test_records_come_back_as_they_were(tmp_path_factory, file):
    shape, records = file
    path = tmp_path_factory.mktemp("records") / "file"
    size = written(path, records)
    if size:
        with open(path, "ab") as more:  # an older and longer file was overwritten
            more.write(b"old" * 100)
    found = [record for record, _ in read_records(path, size, shape)]
    assert len(found) == len(records)
    for mine, record in zip(found, records, strict=True):
        assert_same(mine, record)
    total = record_sum(path, size, shape)
    assert total is not None
    assert (total.size, total.records) == (size, len(records))


@QUICK
@given(files(), st.data())
def test_damage_is_seen(tmp_path_factory, file, data):
    shape, records = file
    path = tmp_path_factory.mktemp("records") / "file"
    size = written(path, records)
    if not size:
        return
    good = record_sum(path, size, shape)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, size - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    path.write_bytes(content)
    assert record_sum(path, size, shape) != good


def test_records_of_other_blocks_are_refused(tmp_path):
    big, small = BlockShape(8, 8, 3, "uint8", 2), BlockShape(4, 4, 3, "uint8", 2)
    present = np.ones((2, 2), np.bool_)
    gift = Gift(0, 0, 0, 2, 2, np.ones((5, 5, 3), np.uint8), np.full((5, 5), 255, np.uint8), present)
    size = written(tmp_path / "file", [gift])
    for shape in (small, BlockShape(8, 8, 4, "uint8", 2), BlockShape(8, 8, 3, "float32", 2)):
        with pytest.raises(RecordError, match="something else"):
            list(read_records(tmp_path / "file", size, shape))
    size = written(tmp_path / "file", [Tiles(0, 0, 0, np.ones((4, 4), np.bool_), None, None)])
    with pytest.raises(RecordError, match="something else"):
        list(read_records(tmp_path / "file", size, big))


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), max_size=8))
@QUICK
def test_a_logbook_gives_back_its_lines(tmp_path_factory, facts):
    path = tmp_path_factory.mktemp("log") / "journal"
    for fact in facts:
        book = Logbook(path)
        book.append(fact)
        book.close()
    assert parse_log(path.read_bytes() if facts else b"") == facts


def test_a_torn_line_spoils_nothing_but_itself(tmp_path):
    path = tmp_path / "journal"
    facts = [{"n": n, "text": "x" * n} for n in range(20)]
    book = Logbook(path)
    for fact in facts:
        book.append(fact)
    book.close()
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        book = Logbook(path)
        book.append({"after": cut})
        book.close()
        found = parse_log(path.read_bytes())
        assert found[-1] == {"after": cut}
        assert found[:-1] == facts[: len(found) - 1]
    path.write_bytes(os.urandom(5000) + b"\n" + whole)
    assert [fact for fact in parse_log(path.read_bytes()) if fact in facts] == facts


def plan(tms, bottom, top, width, height, size, corner):
    matrix = fastpyr.load_tms(tms).level(bottom)
    cell, crs = matrix.cell_size, "EPSG:3857" if tms == "PM" else "EPSG:2154"
    transform = (cell, 0.0, matrix.origin_x + corner[0] * cell, 0.0, -cell, matrix.origin_y - corner[1] * cell)
    sources = [
        fastpyr.ArraySource(np.zeros((size[1] // 3 + 1, size[0], 1), np.uint8), transform=transform, crs=crs),
        fastpyr.ArraySource(np.zeros((size[1], size[0] // 4 + 1, 1), np.uint8), transform=transform, crs=crs),
    ]
    options = BuildOptions(tms=tms, bottom=bottom, top=top, width=width, height=height, interpolation="nn")
    return make_plan([SourceGroup(sources)], options)


@pytest.mark.parametrize(("tms", "bottom", "top"), [("PM", "18", "9"), ("LAMB93_1M_MNT", "8", "2")])
@pytest.mark.parametrize("slab", [(1, 1), (2, 2), (3, 1), (4, 4), (8, 4), (16, 16), (6, 10)])
def test_kinship_is_complete(tms, bottom, top, slab):
    """Every block has one home; children, homes and counts agree with a plain walk over all blocks."""
    corner = (34_646_123, 23_834_321) if tms == "PM" else (920_137, 5_434_789)
    made = plan(tms, bottom, top, *slab, (4700, 3900), corner)
    kin = Kinship(made)
    blocks = [
        (index, int(column) + level.blocks.column, int(row) + level.blocks.row)
        for index, level in enumerate(made.levels)
        for row, column in zip(*np.nonzero(level.blocks.cells), strict=True)
    ]
    known, children = set(blocks), {block: [] for block in blocks}
    for block in blocks:
        for link in made.links_of(block[0]):
            for row in link.rows.targets(block[2]):
                for column in link.columns.targets(block[1]):
                    if (link.target, column, row) in known:
                        children[link.target, column, row].append(block)
    homes = {}
    for block in blocks:  # finest first
        of_children = {homes[child] for child in children[block]}
        own = (block[0], block[1] // (slab[0] // made.block), block[2] // (slab[1] // made.block))
        homes[block] = of_children.pop() if len(of_children) == 1 else own
    assert {block: kin.home(block) for block in blocks} == homes
    slabs = {kin.slab_of(block) for block in blocks}
    assert kin.slab_count() == len(slabs)
    assert sum(kin.block_count(slab_key) for slab_key in slabs) == len(blocks)
    for key in slabs:
        at_home = kin.at_home(key)
        assert sorted(at_home) == sorted(block for block in blocks if homes[block] == key)
        given_to = Counter(
            block for block in blocks if homes[block] != key for child in children[block] if homes[child] == key
        )
        assert kin.reached(at_home, key) == given_to
        wanted = {kin.slab_of(block) for block in at_home} | {kin.slab_of(block) for block in given_to}
        assert kin.parents(key) == wanted - {key}
        assert all(parent[0] > key[0] for parent in kin.parents(key))
    assert not kin.is_planned((0, 0, 0))
    assert not kin.is_planned((99, 0, 0))
