# JPEG tiles.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdlib cimport free, malloc


cdef extern from "fp_jpeg.h" nogil:
    const int FP_JPEG_MAX_SIDE
    ctypedef struct fp_jpeg:
        pass
    fp_jpeg *fp_jpeg_new(int quality)
    void fp_jpeg_free(fp_jpeg *encoder)
    int fp_jpeg_encode_tiles(fp_jpeg *encoder, const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols,
                             const uint8_t *wanted, size_t *ends)
    const uint8_t *fp_jpeg_bytes(const fp_jpeg *encoder)


cdef class JpegEncoder:
    cdef fp_jpeg *encoder
    cdef PyThread_type_lock lock
    cdef readonly int quality

    def __cinit__(self, int quality):
        if not 1 <= quality <= 100:
            raise ValueError(f"quality: {quality}, expected 1 to 100")
        self.quality = quality
        self.lock = PyThread_allocate_lock()
        self.encoder = fp_jpeg_new(quality)
        if self.lock == NULL or self.encoder == NULL:
            raise MemoryError("jpeg: no memory for an encoder")

    def __dealloc__(self):
        fp_jpeg_free(self.encoder)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def encode(self, tile):
        cdef PixelView t = self.view_of(tile, "tile")
        return self.run(t, t.view.rows, t.view.cols, None)[0][0]

    def encode_tiles(self, block, ptrdiff_t tile_height, ptrdiff_t tile_width, wanted=None):
        cdef PixelView b = self.view_of(block, "block")
        if tile_height < 1 or tile_width < 1 or b.view.rows % tile_height or b.view.cols % tile_width:
            raise ValueError(
                f"block: shape ({b.view.rows}, {b.view.cols}) is not a whole number of tiles of "
                f"({tile_height}, {tile_width})"
            )
        return self.run(b, tile_height, tile_width, wanted)

    cdef PixelView view_of(self, pixels, str name):
        cdef PixelView p = open_view(pixels, name, 3, False)
        require_samples(p, name, b"B")
        require_shape(p, name, p.view.rows, p.view.cols, 3)
        if p.view.rows < 1 or p.view.cols < 1:
            raise ValueError(f"{name}: shape ({p.view.rows}, {p.view.cols}, 3) has no pixels")
        return p

    cdef list run(self, PixelView block, ptrdiff_t tile_rows, ptrdiff_t tile_cols, wanted):
        cdef ptrdiff_t rows = block.view.rows // tile_rows, cols = block.view.cols // tile_cols, k
        cdef bytes flags
        cdef const uint8_t *flag = NULL
        cdef size_t *ends
        cdef int status
        if tile_rows > FP_JPEG_MAX_SIDE or tile_cols > FP_JPEG_MAX_SIDE:
            raise ValueError(f"jpeg: a tile of {tile_rows} rows and {tile_cols} columns, at most {FP_JPEG_MAX_SIDE}")
        if wanted is not None:
            flags = wanted_flags(wanted, rows, cols)
            flag = flags
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            raise RuntimeError("jpeg: the encoder is at work in another thread: use one encoder per thread")
        ends = <size_t *>malloc(<size_t>(rows * cols) * sizeof(size_t))
        try:
            if ends == NULL:
                raise MemoryError("jpeg: no memory for the list of tiles")
            with nogil:
                status = fp_jpeg_encode_tiles(self.encoder, &block.view, tile_rows, tile_cols, flag, ends)
            if status:
                raise MemoryError("jpeg: no memory for the encoded tiles")
            return [[self.tile(ends, i * cols + j, flag) for j in range(cols)] for i in range(rows)]
        finally:
            free(ends)
            PyThread_release_lock(self.lock)

    cdef object tile(self, const size_t *ends, ptrdiff_t k, const uint8_t *flag):
        cdef size_t start = ends[k - 1] if k else 0
        if flag != NULL and not flag[k]:
            return None
        cdef const char *data = <const char *>fp_jpeg_bytes(self.encoder)
        return PyBytes_FromStringAndSize(data + start, <Py_ssize_t>(ends[k] - start))


cdef bytes wanted_flags(wanted, ptrdiff_t rows, ptrdiff_t cols):
    """One byte per tile, row by row, from any buffer of (rows, cols) bytes or booleans."""
    cdef object view = memoryview(wanted)
    if view.ndim != 2 or view.shape != (rows, cols):
        raise ValueError(f"wanted: shape {view.shape}, expected ({rows}, {cols})")
    if view.format not in ("?", "B"):
        raise ValueError(f"wanted: samples of format {view.format!r}, expected bool or uint8")
    return view.tobytes()
