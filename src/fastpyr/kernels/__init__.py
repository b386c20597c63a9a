"""Pixel kernels: plain functions on arrays, (rows, cols, channels), usable on their own.

Masks are uint8 (rows, cols), 0 = nodata, written as 255 for data. Kernels accept row-strided views, release the GIL
and choose the fastest native path of the machine; ``reference`` and ``reference_resample`` define them in NumPy.
"""

from .convert import convert_channels
from .mask import fill_nodata, mask_states, nodata_mask, paint
from .overlay import overlay
from .reduce import decimate, gamma_table, reduce2x2
from .resample import resample
from .warp import warp

__all__ = [
    "convert_channels",
    "decimate",
    "fill_nodata",
    "gamma_table",
    "mask_states",
    "nodata_mask",
    "overlay",
    "paint",
    "reduce2x2",
    "resample",
    "warp",
]
