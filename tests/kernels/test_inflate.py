"""The native decoder of two zlib streams at once against zlib: what it takes, and every byte."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr import _native
from tests.support.every_path import on_every_path

GUARD = 64


def _bytes(kind, size, seed):
    """Bytes of which zlib makes literals, copies from near and from far, or all of them."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, size, np.uint8)
    if kind == "literals":
        return np.clip(rng.normal(0, 20, size), -128, 127).astype(np.int8).view(np.uint8)
    if kind == "near":
        return np.resize(rng.integers(0, 256, int(rng.integers(1, 20)), np.uint8), size)
    values = np.clip(rng.normal(0, 12, size), -128, 127).astype(np.int8).view(np.uint8)
    longest = 11 if kind == "short copies" else 300
    for at in range(2000, size - 400, int(rng.integers(6, 40))):
        length, distance = int(rng.integers(3, longest)), int(rng.integers(1, min(at, 32768)))
        values[at : at + length] = np.resize(values[at - distance : at], length)
    return values


KINDS = ("noise", "literals", "near", "short copies", "copies")


def _packed(values, level, strategy, memory=8):
    encoder = zlib.compressobj(level, zlib.DEFLATED, 15, memory, strategy)
    return encoder.compress(values.tobytes()) + encoder.flush()


def _judged(stream, room):
    """What zlib says: bytes, or None for a stream it refuses or that has more than ``room``."""
    decoder = zlib.decompressobj()
    try:
        found = decoder.decompress(stream, room + 1)
    except zlib.error:
        return None
    return found if decoder.eof and len(found) <= room else None


def _inflated(streams, rooms):
    """What we say, in the same words; nothing beyond the room may be written."""
    outs = [np.full(room + GUARD, 0xA5, np.uint8) for room in rooms]
    views = [out[:room] for out, room in zip(outs, rooms, strict=True)]
    packed = [np.frombuffer(stream, np.uint8) for stream in streams]
    sizes = _native.inflate_two(packed[0], views[0], packed[1], views[1])
    assert all((out[room:] == 0xA5).all() for out, room in zip(outs, rooms, strict=True))
    return [None if size < 0 else view[:size].tobytes() for view, size in zip(views, sizes, strict=True)]


def _check(streams, rooms):
    wanted = [_judged(stream, room) for stream, room in zip(streams, rooms, strict=True)]
    for found in on_every_path(lambda: _inflated(streams, rooms)):
        assert found == wanted


@st.composite
def streams(draw):
    """A stream and room for it."""
    long = draw(st.booleans())  # enough for the turns that do not look where copies come from
    size = draw(st.integers(33_000, 90_000) if long else st.integers(1, 3000))
    values = _bytes(draw(st.sampled_from(KINDS)), size, draw(st.integers(0, 2**32 - 1)))
    packed = _packed(values, draw(st.integers(0, 9)), draw(st.integers(0, 4)), draw(st.integers(1, 9)))
    return packed, size


@given(streams(), streams(), st.integers(-2, 700))
@settings(max_examples=20)
def test_what_zlib_packs(first, second, spare):
    _check((first[0], second[0]), (first[1], max(1, second[1] + spare)))


@given(streams(), streams(), st.data())
@settings(max_examples=25)
def test_damaged_streams_are_refused_when_zlib_does(first, second, data):
    damaged = bytearray(first[0])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.one_of(st.just(len(damaged)), st.integers(1, len(damaged))))
    stream = bytes(damaged[:end])
    whole = zlib.decompressobj(-15)
    try:  # with the right checksum what is damaged may be right
        found = whole.decompress(stream[2:])
        if whole.eof:
            used = stream[: len(stream) - len(whole.unused_data)]
            stream = used + zlib.adler32(found).to_bytes(4, "big") + b"more"
    except zlib.error:
        pass
    _check((stream, second[0]), (first[1], second[1]))
    _check((second[0], stream), (second[1], first[1]))


@pytest.mark.parametrize(
    "stream",
    [
        b"x",
        b"x\x9c",
        b"\x78\x9d" + zlib.compress(b"a" * 9)[2:],  # check bits of the header
        b"\x79\x9c" + zlib.compress(b"a" * 9)[2:],  # no deflate
        zlib.compress(b"a" * 9)[:-1],
        zlib.compress(b"a" * 9)[:-1] + b"\0",
        b"x\x9c\x07",  # type 3
        b"x\x9c\x03\x00\x00\x00\x00\x01",  # nothing
        b"x\x9c\x01\x00\x00\xff\xff\x00\x00\x00\x01",  # nothing, stored
        b"x\x9c\x01\x02\x00\xff\xff\x00\x00\x00\x01",  # sizes that contradict each other
        b"\x48\x89" + zlib.compress(bytes(range(256)) * 99)[2:],  # a smaller window than it needs
        b"x\x9c\x4b\x04\x12\x00\x00\x00\x00\x01",  # a copy from before the start
    ],
    ids=range(12),
)
def test_short_streams(stream):
    _check((stream, zlib.compress(b"some bytes")), (30_000, 20))


def test_arguments():
    room = np.empty(4, np.uint8)
    assert _native.inflate_two(b"", room, b"x", room.copy()) == (-1, -1)
    with pytest.raises((ValueError, BufferError)):
        _native.inflate_two(b"x", bytes(4), b"x", room)
