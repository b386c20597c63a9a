"""The first 2048 bytes of a slab: a TIFF directory whose tags sit at fixed places.

Readers of the ROK4 format fetch values at absolute positions, so the order of the entries and the position of each is
part of the format: a valid TIFF in another order is not a slab. All numbers are little-endian.

======  ====================================================================
0       ``II``, 42, and 16: the position of the directory
8       bits per sample, four copies whatever the channel count
16      number of entries (11, or 12 with extra samples or chroma subsampling)
18      entries of 12 bytes: tag u16, type u16, count u32, value u32
then    0 (no next directory), and zeros up to 2047
2048    N x u32 absolute tile starts, then N x u32 tile sizes (see writer)
======  ====================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ..errors import SlabError
from ..formats import Compression, PixelFormat, SampleType, TileFormat
from ..frozen import frozen

__all__ = [
    "HEADER_SIZE",
    "MAX_SLAB_SIZE",
    "SlabHeader",
    "first_tile_offset",
    "parse_header",
    "slab_header",
    "vector_header",
]

HEADER_SIZE = 2048
"""Bytes before the index."""

MAX_SLAB_SIZE = 2**31 - 1
"""Largest slab in bytes: readers keep positions and sizes in signed 32-bit integers."""

_SIGNATURE = b"II\x2a\x00\x10\x00\x00\x00"
_SHORT, _LONG = 3, 4
_ENTRIES_AT = 18
_ENTRY = struct.Struct("<HHII")
_BITS_AT = 8

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _SUBSAMPLING = 338, 339, 530

_COMPRESSION_TAGS = {
    Compression.RAW: 1,
    Compression.LZW: 5,
    Compression.JPG: 7,
    Compression.JPG90: 7,
    Compression.ZIP: 8,
    Compression.PNG: 8,
    Compression.PKB: 32773,
}
_JPEG_TAG = 7
_YCBCR = 6
_UNASSOCIATED_ALPHA = 2
_SUBSAMPLING_2X2 = 2 | 2 << 16


@frozen
class SlabHeader:
    """Facts of a slab header.

    ``width`` and ``height`` are pixels, multiples of ``tile_width`` and ``tile_height``. ``compression`` and
    ``photometric`` are the TIFF tag values (deflate, 8, stands for ZIP and for PNG alike). ``tile_count`` is N. For a
    slab of one tile ``first_tile`` holds the (offset, size) stored in the directory itself, else it is None.
    Vector slabs have ``is_vector`` True, an "image" of 1 x 1 without tile size, and 0 for all the rest.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    channels: int
    bits: int
    sample_format: int
    compression: int
    photometric: int
    tile_count: int
    first_tile: tuple[int, int] | None
    is_vector: bool = False

    @property
    def columns(self) -> int:
        """Tiles per row of the slab."""
        return self.width // self.tile_width if self.tile_width else 0

    @property
    def rows(self) -> int:
        """Tile rows of the slab."""
        return self.height // self.tile_height if self.tile_height else 0

    @property
    def sample(self) -> SampleType | None:
        """Sample type, None for vector slabs and for depths no pyramid can declare (16 bits)."""
        kinds = {(8, 1): SampleType.UINT8, (32, 3): SampleType.FLOAT32}
        return kinds.get((self.bits, self.sample_format))

    def mismatch(self, format: TileFormat, channels: int, tile_width: int, tile_height: int) -> str | None:
        """First disagreement with what a descriptor says, as a short sentence, or None."""
        for what, found, expected in (
            ("compression tag", self.compression, _COMPRESSION_TAGS[format.compression]),
            ("bits per sample", self.bits, 8 * format.sample.size),
            ("sample format", self.sample_format, 1 if format.sample is SampleType.UINT8 else 3),
            ("channels", self.channels, channels),
            ("tile width", self.tile_width, tile_width),
            ("tile height", self.tile_height, tile_height),
        ):
            if found != expected:
                return f"{what} is {found}, not {expected} as {format.name} demands"
        return None


def first_tile_offset(count: int) -> int:
    """Position of the first tile of a slab of ``count`` tiles: right behind the index, not aligned."""
    return HEADER_SIZE + 8 * count


def _pack_directory(bits: int, entries: list[tuple[int, int, int, int]]) -> bytes:
    parts = [_SIGNATURE, struct.pack("<5H", bits, bits, bits, bits, len(entries))]
    parts += [_ENTRY.pack(*entry) for entry in entries]
    return b"".join(parts).ljust(HEADER_SIZE, b"\0")


def _index_entries(count: int, first_tile: tuple[int, int] | None) -> list[tuple[int, int, int, int]]:
    """Entries 324 and 325: where the arrays are, or the values themselves when there is one tile."""
    if count == 1:
        if first_tile is None:
            raise SlabError("the header of a slab of one tile holds that tile's offset and size: give first_tile")
        offsets, sizes = first_tile
    else:
        offsets, sizes = HEADER_SIZE, HEADER_SIZE + 4 * count
    return [(_TILE_OFFSETS, _LONG, count, offsets), (_TILE_SIZES, _LONG, count, sizes)]


def slab_header(
    fmt: PixelFormat,
    tile_width: int,
    tile_height: int,
    cols: int,
    rows: int,
    first_tile: tuple[int, int] | None = None,
) -> bytes:
    """The 2048 header bytes of a slab of ``cols`` x ``rows`` tiles of ``tile_width`` x ``tile_height`` pixels.

    ``first_tile`` is the (offset, size) of the tile, needed when there is only one and ignored otherwise.
    Raises SlabError when a size is not positive, or when the slab's width or height leaves 32 bits.
    """
    if min(tile_width, tile_height, cols, rows) < 1:
        raise SlabError(f"a slab of {cols} x {rows} tiles of {tile_width} x {tile_height} pixels cannot be written")
    width, height = cols * tile_width, rows * tile_height
    if max(width, height, cols * rows) > MAX_SLAB_SIZE:
        raise SlabError(f"a slab of {width} x {height} pixels is too large: choose fewer tiles per slab")
    compression, sample = fmt.format.compression, fmt.format.sample
    channels, bits = fmt.channels, 8 * sample.size
    bits_value = {1: bits, 2: bits | bits << 16}.get(channels, _BITS_AT)
    photometric = _YCBCR if compression.is_lossy else (1 if channels < 3 else 2)
    entries = [
        (_WIDTH, _LONG, 1, width),
        (_HEIGHT, _LONG, 1, height),
        (_BITS, _SHORT, channels, bits_value),
        (_COMPRESSION, _SHORT, 1, _COMPRESSION_TAGS[compression]),
        (_PHOTOMETRIC, _SHORT, 1, photometric),
        (_SAMPLES, _SHORT, 1, channels),
        (_TILE_WIDTH, _LONG, 1, tile_width),
        (_TILE_HEIGHT, _LONG, 1, tile_height),
        *_index_entries(cols * rows, first_tile),
    ]
    if channels in (2, 4):
        entries.append((_EXTRA_SAMPLES, _SHORT, 1, _UNASSOCIATED_ALPHA))
    entries.append((_SAMPLE_FORMAT, _SHORT, 1, 1 if sample is SampleType.UINT8 else 3))
    if compression.is_lossy:
        entries.append((_SUBSAMPLING, _SHORT, 2, _SUBSAMPLING_2X2))
    return _pack_directory(bits, entries)


def vector_header(count: int, first_tile: tuple[int, int] | None = None) -> bytes:
    """The 2048 header bytes of a slab of ``count`` vector tiles: an "image" of 1 x 1 and the index."""
    if not 1 <= count <= MAX_SLAB_SIZE:
        raise SlabError(f"a slab of {count} vector tiles cannot be written")
    entries = [(_WIDTH, _LONG, 1, 1), (_HEIGHT, _LONG, 1, 1), *_index_entries(count, first_tile)]
    return _pack_directory(0, entries)


def _parse_vector(entries: list[tuple[int, int, int, int]], fail: Callable[[str], SlabError]) -> SlabHeader:
    tags = [entry[:2] for entry in entries]
    if tags != [(_WIDTH, _LONG), (_HEIGHT, _LONG), (_TILE_OFFSETS, _LONG), (_TILE_SIZES, _LONG)]:
        raise fail("its 4 entries are not those of a vector slab")
    count, offsets = entries[2][2:]
    if entries[3][2] != count or count < 1:
        raise fail(f"it counts {count} tile offsets and {entries[3][2]} tile sizes")
    first = (offsets, entries[3][3]) if count == 1 else None
    return SlabHeader(1, 1, 0, 0, 0, 0, 0, 0, 0, count, first, is_vector=True)


def parse_header(data: bytes, name: str = "slab") -> SlabHeader:
    """Facts of the header at the start of ``data``, demanding the exact places that readers rely on.

    ``name`` is what messages call the slab. Raises SlabError naming what is wrong: shorter than 2048 bytes, no TIFF
    signature, another order or type of entries, a count or value that no slab can have.
    """

    def fail(what: str) -> SlabError:
        return SlabError(f"{name} is not a slab: {what}")

    if len(data) < HEADER_SIZE:
        raise fail(f"it has {len(data)} bytes, less than a header of {HEADER_SIZE}")
    if data[:8] != _SIGNATURE:
        raise fail("it does not start with a little-endian TIFF directory at byte 16")
    *bits, entry_count = struct.unpack_from("<5H", data, _BITS_AT)
    if entry_count not in (4, 11, 12):
        raise fail(f"it has {entry_count} directory entries instead of 11 or 12")
    end = _ENTRIES_AT + 12 * entry_count
    entries = list(_ENTRY.iter_unpack(data[_ENTRIES_AT:end]))
    if data[end : end + 4] != b"\0\0\0\0":
        raise fail("its directory is followed by another one")
    if len(set(bits)) != 1:
        raise fail(f"its four bits per sample differ: {bits}")
    if entry_count == 4:
        return _parse_vector(entries, fail)
    return _parse_raster(bits[0], entries, fail)


def _parse_raster(bits: int, entries: list[tuple[int, int, int, int]], fail: Callable[[str], SlabError]) -> SlabHeader:
    values = {tag: value for tag, _, _, value in entries}
    channels, compression = values.get(_SAMPLES, 0), values.get(_COMPRESSION, 0)
    if not 1 <= channels <= 4:
        raise fail(f"it has {channels} channels")
    if compression not in _COMPRESSION_TAGS.values():
        raise fail(f"its compression tag is {compression}")
    count = entries[8][2]
    if count < 1:
        raise fail("its index counts no tile")
    expected = [
        (_WIDTH, _LONG, 1),
        (_HEIGHT, _LONG, 1),
        (_BITS, _SHORT, channels),
        (_COMPRESSION, _SHORT, 1),
        (_PHOTOMETRIC, _SHORT, 1),
        (_SAMPLES, _SHORT, 1),
        (_TILE_WIDTH, _LONG, 1),
        (_TILE_HEIGHT, _LONG, 1),
        (_TILE_OFFSETS, _LONG, count),
        (_TILE_SIZES, _LONG, count),
    ]
    expected += [(_EXTRA_SAMPLES, _SHORT, 1)] if channels in (2, 4) else []
    expected += [(_SAMPLE_FORMAT, _SHORT, 1)]
    expected += [(_SUBSAMPLING, _SHORT, 2)] if compression == _JPEG_TAG else []
    for position, (found, wanted) in enumerate(zip(entries, expected, strict=False)):
        if found[:3] != wanted:
            raise fail(
                f"its entry at byte {_ENTRIES_AT + 12 * position} is tag {found[0]}, type {found[1]}, "
                f"count {found[2]} instead of {wanted[0]}, {wanted[1]}, {wanted[2]}"
            )
    if len(entries) != len(expected):
        raise fail(f"it has {len(entries)} directory entries instead of {len(expected)}")
    if count > 1 and (values[_TILE_OFFSETS], values[_TILE_SIZES]) != (HEADER_SIZE, HEADER_SIZE + 4 * count):
        raise fail(f"its index is not at byte {HEADER_SIZE}")
    header = SlabHeader(
        width=values[_WIDTH],
        height=values[_HEIGHT],
        tile_width=values[_TILE_WIDTH],
        tile_height=values[_TILE_HEIGHT],
        channels=channels,
        bits=bits,
        sample_format=values[_SAMPLE_FORMAT],
        compression=compression,
        photometric=values[_PHOTOMETRIC],
        tile_count=count,
        first_tile=(values[_TILE_OFFSETS], values[_TILE_SIZES]) if count == 1 else None,
    )
    _check_raster(header, values, fail)
    return header


def _check_raster(header: SlabHeader, values: dict[int, int], fail: Callable[[str], SlabError]) -> None:
    """Refuse values that contradict each other."""
    if not header.tile_width or not header.tile_height:
        raise fail("its tiles have no pixels")
    if header.width % header.tile_width or header.height % header.tile_height:
        raise fail(
            f"its {header.width} x {header.height} pixels are not a whole number of "
            f"{header.tile_width} x {header.tile_height} tiles"
        )
    if header.columns * header.rows != header.tile_count:
        raise fail(f"its index counts {header.tile_count} tiles, its size {header.columns} x {header.rows}")
    depth = (header.bits, header.sample_format)
    if depth not in ((8, 1), (16, 1), (32, 3)):
        raise fail(f"its samples have {header.bits} bits of sample format {header.sample_format}")
    # 8,8 is tolerated for two float32 channels: the reference tools write it.
    inline = {1: {header.bits}, 2: {header.bits | header.bits << 16, 8 | 8 << 16}}.get(header.channels, {_BITS_AT})
    if values[_BITS] not in inline:
        raise fail(f"its bits per sample entry holds {values[_BITS]}")
    photometric = _YCBCR if header.compression == _JPEG_TAG else (1 if header.channels < 3 else 2)
    if header.photometric != photometric:
        raise fail(f"its photometric is {header.photometric} instead of {photometric}")
    if header.compression == _JPEG_TAG and (header.channels != 3 or depth != (8, 1)):
        raise fail("JPEG tiles need 3 channels of 8 bits")
