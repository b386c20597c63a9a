# The one door to the native core: checks in Python terms, then one call without the GIL that cannot fail.
"""Native kernels of fastpyr. Arguments and results are documented in ``_native.pyi``."""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fp_native cimport *

include "view.pxi"
include "cpu.pxi"
include "dbblock.pxi"
include "reduce.pxi"
include "mask.pxi"
include "overlay.pxi"
include "resample.pxi"
include "warp.pxi"
include "jpeg.pxi"
include "predict.pxi"
include "arena.pxi"
include "nodes.pxi"
include "rects.pxi"
include "deflate.pxi"
include "inflate.pxi"
