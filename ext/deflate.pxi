# Deflate: zlib streams and PNG files.

cdef extern from "fp_checksum.h" nogil:
    uint32_t fp_crc32(uint32_t value, const uint8_t *data, size_t size)
    uint32_t fp_adler32(uint32_t value, const uint8_t *data, size_t size)

cdef extern from "fp_deflate.h" nogil:
    const int FP_DEFLATE_MAX_TILE
    const int FP_DEFLATE_MAX_PIXEL
    const int FP_DEFLATE_CONSTANTS
    ctypedef enum fp_wrap:
        FP_WRAP_ZLIB
        FP_WRAP_PNG
    ctypedef struct fp_deflate:
        pass
    fp_deflate *fp_deflate_new(fp_wrap wrap)
    void fp_deflate_free(fp_deflate *encoder)
    int fp_deflate_encode_tiles(fp_deflate *encoder, const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols,
                                const uint8_t *wanted, size_t *ends, int8_t *constants)
    void fp_deflate_flat_tiles(const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols, uint8_t *flat)
    const uint8_t *fp_deflate_bytes(const fp_deflate *encoder)
    const uint8_t *fp_deflate_constant(const fp_deflate *encoder, int which, size_t *size)


def crc32(data, uint32_t value=0):
    cdef const uint8_t[::1] bytes_ = data
    cdef size_t size = <size_t>bytes_.shape[0]
    if size:
        with nogil:
            value = fp_crc32(value, &bytes_[0], size)
    return value


def adler32(data, uint32_t value=1):
    cdef const uint8_t[::1] bytes_ = data
    cdef size_t size = <size_t>bytes_.shape[0]
    if size:
        with nogil:
            value = fp_adler32(value, &bytes_[0], size)
    return value


cdef PixelView open_tiles(pixels, str name, bytes kinds):
    """View of pixels with 1 to 4 channels."""
    cdef PixelView p = open_view(pixels, name, 3, False)
    require_samples(p, name, kinds)
    if p.view.rows < 1 or p.view.cols < 1 or p.view.channels < 1:
        raise ValueError(f"{name}: shape ({p.view.rows}, {p.view.cols}, {p.view.channels}) has no pixels")
    if p.view.channels > 4:
        raise ValueError(f"{name}: {p.view.channels} channels, at most 4")
    return p


cdef int require_tiles(PixelView b, ptrdiff_t tile_height, ptrdiff_t tile_width) except -1:
    if tile_height < 1 or tile_width < 1 or b.view.rows % tile_height or b.view.cols % tile_width:
        raise ValueError(
            f"block: shape ({b.view.rows}, {b.view.cols}) is not a whole number of tiles of "
            f"({tile_height}, {tile_width})"
        )
    return 0


def flat_tiles(block, ptrdiff_t tile_height, ptrdiff_t tile_width):
    cdef PixelView b = open_tiles(block, "block", b"Bf")
    require_tiles(b, tile_height, tile_width)
    cdef bytearray flat = bytearray((b.view.rows // tile_height) * (b.view.cols // tile_width))
    cdef uint8_t *to = <uint8_t *><char *>flat
    with nogil:
        fp_deflate_flat_tiles(&b.view, tile_height, tile_width, to)
    return flat


cdef class DeflateEncoder:
    cdef fp_deflate *encoder
    cdef PyThread_type_lock lock
    cdef readonly bint png
    cdef list constants  # bytes of tiles of one colour, in the order of the encoder's

    def __cinit__(self, bint png):
        self.png = png
        self.constants = []
        self.lock = PyThread_allocate_lock()
        self.encoder = fp_deflate_new(FP_WRAP_PNG if png else FP_WRAP_ZLIB)
        if self.lock == NULL or self.encoder == NULL:
            raise MemoryError("deflate: no memory for an encoder")

    def __dealloc__(self):
        fp_deflate_free(self.encoder)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def encode(self, tile):
        cdef PixelView t = self.view_of(tile, "tile")
        return self.run(t, t.view.rows, t.view.cols, None)[0][0]

    def encode_tiles(self, block, ptrdiff_t tile_height, ptrdiff_t tile_width, wanted=None):
        cdef PixelView b = self.view_of(block, "block")
        require_tiles(b, tile_height, tile_width)
        return self.run(b, tile_height, tile_width, wanted)

    cdef PixelView view_of(self, pixels, str name):
        return open_tiles(pixels, name, b"B" if self.png else b"Bf")

    cdef list run(self, PixelView block, ptrdiff_t tile_rows, ptrdiff_t tile_cols, wanted):
        cdef ptrdiff_t rows = block.view.rows // tile_rows, cols = block.view.cols // tile_cols
        cdef bytes flags
        cdef const uint8_t *flag = NULL
        cdef size_t *ends = NULL
        cdef int8_t *constants = NULL
        cdef int status
        # Sides first: their product must not overflow.
        if (tile_rows > FP_DEFLATE_MAX_TILE or tile_cols > FP_DEFLATE_MAX_TILE
                or tile_rows * (1 + tile_cols * block.view.channels * block.view.item) > FP_DEFLATE_MAX_TILE):
            raise ValueError(f"deflate: a tile of {tile_rows} rows and {tile_cols} columns is too large")
        if wanted is not None:
            flags = wanted_flags(wanted, rows, cols)
            flag = flags
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            raise RuntimeError("deflate: the encoder is at work in another thread: use one encoder per thread")
        try:
            ends = <size_t *>malloc(<size_t>(rows * cols) * (sizeof(size_t) + 1))
            if ends == NULL:
                raise MemoryError("deflate: no memory for the list of tiles")
            constants = <int8_t *>(ends + rows * cols)
            with nogil:
                status = fp_deflate_encode_tiles(self.encoder, &block.view, tile_rows, tile_cols, flag, ends, constants)
            if status:
                raise MemoryError("deflate: no memory for the encoded tiles")
            return [[self.tile(ends, constants, i * cols + j, flag) for j in range(cols)] for i in range(rows)]
        finally:
            free(ends)
            PyThread_release_lock(self.lock)

    cdef object tile(self, const size_t *ends, const int8_t *constants, ptrdiff_t k, const uint8_t *flag):
        cdef size_t start = ends[k - 1] if k else 0, size
        cdef const char *data
        if flag != NULL and not flag[k]:
            return None
        if constants[k] >= 0:
            while len(self.constants) <= constants[k]:
                data = <const char *>fp_deflate_constant(self.encoder, <int>len(self.constants), &size)
                self.constants.append(PyBytes_FromStringAndSize(data, <Py_ssize_t>size))
            return self.constants[constants[k]]
        data = <const char *>fp_deflate_bytes(self.encoder)
        return PyBytes_FromStringAndSize(data + start, <Py_ssize_t>(ends[k] - start))
