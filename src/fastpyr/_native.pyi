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

    ``avx2``: AVX2, FMA, BMI1/2. ``avx512``: AVX-512 F, BW, VL, DQ. ``avx512icl``: VBMI and VNNI as well. ``neon``.
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

# --- resample, warp --------------------------------------------------------------------------------------------
