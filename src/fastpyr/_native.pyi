"""Native core of fastpyr: kernels over caller's buffers. Every call releases the GIL while it works.

Arrays are (rows, cols, channels), masks (rows, cols) uint8; rows may be strided, the samples of a row are contiguous.
Wrong layouts raise ValueError; nothing else can fail. ``fastpyr.kernels`` is the front door.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

Buffer: TypeAlias = npt.NDArray[Any]

# --- CPU paths -------------------------------------------------------------------------------------------------

def cpu_paths(*, available: bool = False) -> tuple[str, ...]:
    """Names of the live vector paths (or of all that this machine has), lowest first; ``generic`` is always there.

    ``avx2``: AVX2, FMA, BMI1/2. ``avx512``: AVX-512 F, BW, VL, DQ. ``avx512icl``: VBMI, VBMI2 and VNNI as well.
    ``neon``.
    The environment variable ``FASTPYR_DISABLE_CPU`` (names, or ``all``) takes paths away at import.
    """

def set_cpu_paths(names: Iterable[str]) -> None:
    """Makes the named paths, those they build on and ``generic`` the live ones; absent ones are ignored.

    For tests and measurements; process-wide. ValueError on an unknown name.
    """

# --- reduce ----------------------------------------------------------------------------------------------------

def reduce2x2(
    src: Buffer,
    out: Buffer,
    mask: Buffer | None,
    out_mask: Buffer | None,
    nodata: Sequence[float],
    table: Buffer | None,
) -> None:
    """2x2 mean of uint8 or float32, (2h, 2w, 1..4) to (h, w, same): see ``fastpyr.kernels.reduce2x2``.

    nodata: one value per channel that the samples can hold (OverflowError otherwise). table: 1021 uint8 values by
    floor(4 sum / count), uint8 samples only; None for gamma 1.
    """

def decimate(src: Buffer, ratio: int, x0: int, y0: int, out: Buffer) -> None:
    """out[j, i] = src[y0 + j * ratio, x0 + i * ratio]; samples of any type, pixels of 32 bytes at most.

    Arrays of two dimensions (masks) or three, both the same.
    """

# --- masks, channels -------------------------------------------------------------------------------------------

def paint(dst: Buffer, dst_mask: Buffer | None, src: Buffer, src_mask: Buffer | None) -> None:
    """Copies src where src_mask is not 0 (everywhere when None) and writes 255 into dst_mask there."""

def fill_nodata(pixels: Buffer, mask: Buffer, nodata: Buffer) -> None:
    """Writes the bytes of one pixel, ``nodata`` (uint8, item size * channels), where mask is 0."""

def nodata_mask(pixels: Buffer, nodata: Sequence[float], out: Buffer) -> None:
    """out = 0 where the 1..4 channels of uint8 or float32 all equal nodata (NaN equals NaN), else 255."""

def mask_states(mask: Buffer, tile_rows: int, tile_cols: int, out: Buffer) -> None:
    """out (rows / tile_rows, cols / tile_cols) = 0 no data pixel, 1 some, 2 all."""

def convert_channels(src: Buffer, out: Buffer) -> None:
    """uint8: any of 1..4 channels to any; float32: 1 to 3, 3 to 1, or a copy. See ``fastpyr.kernels``."""

# --- overlay ---------------------------------------------------------------------------------------------------

def overlay(
    layers: Sequence[tuple[Buffer, Buffer | None]],
    method: str,
    background: Sequence[float],
    transparent: Sequence[float] | None,
    out: Buffer,
    out_mask: Buffer | None,
) -> None:
    """1 to 64 layers of pixels and mask, lowest first, uint8 or float32 of 1..4 channels, composed into ``out``: see
    ``fastpyr.kernels.overlay``. ``transparent``: three values."""

# --- nodes -----------------------------------------------------------------------------------------------------

def node_facts(
    nodes: Buffer, step: float
) -> tuple[bool, tuple[float, float], tuple[float, float], tuple[float, float]] | None:
    """Of float64 (rows, cols, 2) source positions of pixels ``step`` apart: whether all are finite, the least and the
    largest finite x and y, and the median lengths of the gradients of x and y per pixel (1 without any). None when no
    node is finite."""

def node_error(
    nodes: Buffer, step: float, exact: Buffer, xs: Buffer, ys: Buffer, size: tuple[float, float] | None, margin: float
) -> float:
    """Largest distance along one axis between ``exact`` (len(ys), len(xs), 2) and the bilinear interpolation of
    ``nodes`` at those pixels; inf where only one of them is finite. With ``size``, positions count only where one of
    them lies within ``margin`` of 0..size. All float64, C-contiguous."""

def node_coordinates(
    xs: Buffer,
    ys: Buffer,
    first: tuple[float, float],
    origin: tuple[float, float],
    cell: float,
    x: Buffer,
    y: Buffer,
) -> None:
    """Fill ``x`` and ``y``, float64 (len(ys) * len(xs)), with the coordinates of the centres of the pixels at those
    columns and rows of a block; ``first`` is its first pixel in the matrix, ``origin`` the corner of that."""

def node_positions(x: Buffer, y: Buffer, affine: tuple[float, ...], out: Buffer) -> None:
    """Fill ``out``, float64 (rows, cols, 2), with source positions of points: an ``affine`` (a, b, c, d, e, f) of their
    coordinates, less half a pixel; inf where a coordinate is not finite."""

def node_grid(exact: Buffer, height: int, width: int, step: int, stride: int, out: Buffer) -> None:
    """Fill ``out``, float64 ((height - 1) // step + 2, (width - 1) // step + 2, 2), with nodes ``step`` pixels apart
    from ``exact`` positions of every (step / stride)-th pixel and the last one. Those beyond the last pixel continue
    the last interval, and are inf where there is no finite value."""

# --- rects -----------------------------------------------------------------------------------------------------

def rects_meeting(rects: Buffer, order: Buffer, widest: int, x0: int, y0: int, x1: int, y1: int) -> list[int]:
    """Those of ``order``, int64 (n), whose rectangles share a pixel with the window, ascending.

    ``rects``, int64 (n, 4), are sorted by x0 and ``widest`` pixels wide at most."""

# --- arena -----------------------------------------------------------------------------------------------------

class Arena:
    """Memory that is lent in pieces and comes back when the last reference to a piece goes. Safe for many threads.

    ``size`` bytes of address space: pages are made when they are first written, stay while any piece is lent, and go
    back to the system with the last one.
    """

    size: int
    def __init__(self, size: int) -> None: ...
    def take(self, size: int) -> Loan | None:
        """``size`` uninitialised bytes that start at a multiple of 64; None when there is no room."""
    @property
    def used(self) -> int:
        """Bytes lent now."""

class Loan(Buffer):
    """A piece of an arena: a writable buffer."""

# --- resample, warp --------------------------------------------------------------------------------------------

def resample_nearest(
    src: Buffer,
    out: Buffer,
    x_nearest: Buffer,
    y_nearest: Buffer,
    mask: Buffer | None,
    out_mask: Buffer | None,
    nodata: Buffer,
) -> None:
    """out[j, i] = src[y_nearest[j], x_nearest[i]] for pixels of 1 to 4 samples of at most 8 bytes.

    Indices are int32, one per output row or column, -1 for outside. There, and where mask is 0, out is ``nodata``
    (the bytes of one pixel) and out_mask 0; elsewhere out_mask is 255.
    """

def resample(
    src: Buffer,
    out: Buffer,
    x: tuple[Buffer, Buffer, Buffer, Buffer],
    y: tuple[Buffer, Buffer, Buffer, Buffer],
    mask: Buffer | None,
    out_mask: Buffer | None,
    nodata: Buffer,
) -> None:
    """Separable kernel over uint8 or float32. Each axis: first tap int32 (n,), weights float32 (n, taps), share of the
    kernel inside the source float32 (n,), nearest pixel int32 (n,), as ``fastpyr.kernels.weights.AxisTaps``.

    MemoryError when there is no memory for a row of sums.
    """

def warp_nearest(
    src: Buffer,
    out: Buffer,
    nodes: Buffer,
    step: int,
    mask: Buffer | None,
    out_mask: Buffer | None,
    nodata: Buffer,
) -> None:
    """Nearest pixel at positions bilinear between ``nodes`` float64 (ny, nx, 2); see ``fastpyr.kernels.warp``."""

def warp(
    src: Buffer,
    out: Buffer,
    nodes: Buffer,
    step: int,
    x_table: tuple[int, Buffer, Buffer],
    y_table: tuple[int, Buffer, Buffer],
    bits: int,
    mask: Buffer | None,
    out_mask: Buffer | None,
    nodata: Buffer,
) -> None:
    """Kernel of uint8 or float32 at positions between nodes. Tables: taps, int16 and float32 (1024, stride) weights, as
    ``fastpyr.kernels.weights.PhaseTable``; ``bits`` (6 or 7) is the x table's ``fraction_bits``.

    MemoryError when there is no memory for the summary of the mask.
    """

# --- predict ---------------------------------------------------------------------------------------------------

def unpredict(src: Buffer, predictor: int, out: Buffer) -> None:
    """Undoes a TIFF predictor while copying: out (rows, cols, 1..4) uint8 or float32, rows may be strided.

    src: uint8 (rows, bytes), a decoded block whose rows may be longer than those of out. predictor: 1 none, 2
    horizontal, 3 floating point (float32 only; bytes per row must then be the stored ones, whole pixels). src is used
    as scratch memory: its contents are lost. Samples are little-endian.
    """

# --- blocks of the raster store --------------------------------------------------------------------------------

def pack_block(pixels: Buffer, bits: int, mask: Buffer | None, out: Buffer) -> int:
    """Samples of a block (rows, cols, no gaps) as big-endian bytes, 1, 2 and 4 bits packed, then the mask's bits.

    out: uint8 with room for ceil(n * bits / 8) bytes and, with a mask, ceil(n / 8) more. Returns the bytes that count:
    without the mask's when all pixels are data, 0 when none is, -1 when a sample is too large for its bits.
    """

def unpack_block(data: Buffer | memoryview, bits: int, pixels: Buffer) -> None:
    """The reverse for exactly ceil(n * bits / 8) bytes."""

def unpack_mask(data: Buffer | memoryview, mask: Buffer) -> int:
    """Exactly ceil(n / 8) bytes to a mask of 0 and 255. Returns 0 when no pixel is data, 2 when all are, else 1."""

def halve(
    src: Buffer, out: Buffer, mask: Buffer | None, out_mask: Buffer | None, method: int, margin: int, most: float
) -> None:
    """2x2 pixels to one for single samples of 8 to 64 bits: see ``fastpyr.db.pyramid_kernels``.

    src (2h + 2 margin, 2w + 2 margin), out (h, w), both masks or none; method 0 nearest, 1 bilinear, 2 bicubic (margin
    1), ``most`` the largest value of a bicubic integer. MemoryError when there is no memory for a row.
    """

def count_values(src: Buffer, mask: Buffer | None, counts: Buffer) -> None:
    """counts[v] += pixels of value v: uint64, 256 or 65536 of them, 8 or 16-bit samples; signed ones by their bits."""

def sum_integers(src: Buffer, mask: Buffer | None) -> tuple[int, int, int, int, int]:
    """(count, least, most, sum, sum of squares) of 32-bit integers, exact; least > most when the count is 0."""

def sum_floats(src: Buffer, mask: Buffer | None) -> tuple[int, float, float, float, float]:
    """(count, least, most, mean, sum of squared deviations from it) of the finite samples, float32 or float64."""

def histogram(src: Buffer, mask: Buffer | None, origin: float, scale: float, first: float, counts: Buffer) -> None:
    """counts[k] += 1 for k = floor((v - origin) * scale) - first, kept inside; finite samples of 32 and 64 bits."""

# --- JPEG ------------------------------------------------------------------------------------------------------

class JpegEncoder:
    """Baseline JPEG of uint8 RGB tiles: JFIF 1.01, chroma halved both ways, standard Huffman tables, no restart marks.

    The bytes are those of libjpeg-turbo (and so of Pillow, ``subsampling=2``) at the same quality, 1 to 100 (ValueError
    otherwise), on every CPU path. Holds tables and memory that is used again: one encoder serves one thread at a time
    (RuntimeError when a second one comes along). Tiles have 1 to 65500 pixels a side.
    """

    quality: int  # read-only

    def __init__(self, quality: int) -> None: ...
    def encode(self, tile: Buffer) -> bytes:
        """The stream of one tile (rows, cols, 3)."""

    def encode_tiles(
        self, block: Buffer, tile_height: int, tile_width: int, wanted: Buffer | None = None
    ) -> list[list[bytes | None]]:
        """Streams of all tiles of a block (rows, cols, 3), a whole number of tiles, by tile row and column.

        wanted: bool or uint8 (tile rows, tile columns); None in the place of a tile where it is 0. One call without
        the GIL for all of them.
        """

# --- inflate ---------------------------------------------------------------------------------------------------

def inflate_two(first: Buffer, first_out: Buffer, second: Buffer, second_out: Buffer) -> tuple[int, int]:
    """Fills contiguous bytes from a zlib stream each, both at once: numbers of bytes written. -1 for a stream that zlib
    would refuse, and for one of more bytes than there is room for; what is left in its memory means nothing then.
    Bytes after the checksum are not looked at."""

# --- deflate ---------------------------------------------------------------------------------------------------

def crc32(data: bytes | Buffer, value: int = 0) -> int:
    """CRC-32 of contiguous bytes, going on from ``value``, as ``zlib.crc32``."""

def adler32(data: bytes | Buffer, value: int = 1) -> int:
    """Adler-32 of contiguous bytes, going on from ``value``, as ``zlib.adler32``."""

def flat_tiles(block: Buffer, tile_height: int, tile_width: int) -> bytearray:
    """One byte for each tile of a block (rows, cols, 1..4) uint8 or float32, row by row: 3 where the tile has one
    colour; 2 and 1 where it is drawn rather than photographed, that is where at least half of its pixels (one row out
    of 32) equal the one to their left; 2 where, besides, those rows have at most one colour per 40 pixels (told for
    pixels of 3 or 4 bytes); else 0."""

class DeflateEncoder:
    """zlib streams of uint8 or float32 tiles or, with ``png``, whole PNG files of uint8 tiles.

    Matches are looked for pixel by pixel, which suits drawings of few colours (``flat_tiles``): about as small as zlib
    level 6 there, in less than twice the time of ISA-L; slow on photographs. PNG files have filter 0 in all rows, one
    IDAT at byte 33, nothing but IHDR and IEND beside.
    The bytes depend on the pixels alone: not on the CPU path, nor on what was encoded before. Tiles of one colour are
    encoded once and then the same object. Holds memory that is used again: one encoder serves one thread at a time
    (RuntimeError when a second one comes along). A tile has at most 64 MiB, filter bytes included.
    """

    png: bool  # read-only

    def __init__(self, png: bool) -> None: ...
    def encode(self, tile: Buffer) -> bytes:
        """The stream of one tile (rows, cols, 1..4)."""

    def encode_tiles(
        self, block: Buffer, tile_height: int, tile_width: int, wanted: Buffer | None = None
    ) -> list[list[bytes | None]]:
        """Streams of all tiles of a block (rows, cols, 1..4), a whole number of tiles, by tile row and column.

        wanted: bool or uint8 (tile rows, tile columns); None in the place of a tile where it is 0. One call without
        the GIL for all of them.
        """
