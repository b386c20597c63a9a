# Buffers of the caller as C views, checked once.


cdef class PixelView:
    """Keeps a caller's buffer open for the time of a call: (rows, cols, channels) or (rows, cols) samples.

    Rows may lie anywhere in memory; the samples of one row must be contiguous.
    """
    cdef Py_buffer buffer
    cdef bint is_open
    cdef fp_view view
    cdef char kind  # struct format character of a sample: b'B' uint8, b'f' float32, ...

    def __dealloc__(self):
        if self.is_open:
            PyBuffer_Release(&self.buffer)


cdef PixelView open_view(object array, str name, int ndim, bint writable):
    """View of an array of ndim 2 or 3. ValueError names the argument when the layout is not the expected one."""
    cdef PixelView self = PixelView()
    cdef Py_buffer *b = &self.buffer
    cdef int flags = PyBUF_STRIDES | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0)
    cdef const char *format = b"B"  # exporters of plain bytes may leave it out
    cdef ptrdiff_t channels, item
    PyObject_GetBuffer(array, b, flags)
    self.is_open = True
    if b.ndim != ndim:
        raise ValueError(f"{name}: {b.ndim} dimensions, expected {ndim}")
    if b.format != NULL:
        format = b.format
    if format[0] in (b'=', b'@', b'|', b'<'):
        format += 1
    if format[0] == 0 or format[1] != 0:
        raise ValueError(f"{name}: samples of format {(<bytes>format).decode()!r} are not native numbers")
    channels = b.shape[2] if ndim == 3 else 1
    item = b.itemsize
    if ndim == 3 and channels > 1 and b.strides[2] != item:
        raise ValueError(f"{name}: the channels of a pixel must be contiguous")
    if b.shape[1] > 1 and b.strides[1] != item * channels:
        raise ValueError(f"{name}: the pixels of a row must be contiguous")
    if item > 1 and (<size_t>b.buf % <size_t>item or b.strides[0] % item):
        raise ValueError(f"{name}: samples are not aligned in memory")
    self.kind = format[0]
    self.view.data = <uint8_t *>b.buf
    self.view.stride = b.strides[0]
    self.view.rows = b.shape[0]
    self.view.cols = b.shape[1]
    self.view.channels = channels
    self.view.item = item
    return self


cdef PixelView open_mask(object array, str name, ptrdiff_t rows, ptrdiff_t cols, bint writable):
    """View of a uint8 mask of exactly (rows, cols), or an empty view (data NULL) for None."""
    cdef PixelView self
    if array is None:
        return PixelView()
    self = open_view(array, name, 2, writable)
    if self.kind != b'B':
        raise ValueError(f"{name}: a mask holds uint8 samples")
    if self.view.rows != rows or self.view.cols != cols:
        raise ValueError(f"{name}: shape ({self.view.rows}, {self.view.cols}), expected ({rows}, {cols})")
    return self


cdef int require_samples(PixelView v, str name, bytes kinds) except -1:
    """Samples must be of one of the struct format characters."""
    if bytes([v.kind]) not in kinds:
        raise ValueError(f"{name}: samples of format {chr(v.kind)!r}, expected one of {kinds.decode()!r}")
    return 0


cdef int require_same_samples(PixelView v, str name, PixelView like) except -1:
    if v.kind != like.kind or v.view.item != like.view.item:
        raise ValueError(f"{name}: samples of format {chr(v.kind)!r}, expected {chr(like.kind)!r}")
    return 0


cdef int require_shape(PixelView v, str name, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t channels) except -1:
    if v.view.rows != rows or v.view.cols != cols or v.view.channels != channels:
        raise ValueError(
            f"{name}: shape ({v.view.rows}, {v.view.cols}, {v.view.channels}), expected ({rows}, {cols}, {channels})"
        )
    return 0


cdef int require_small_pixel(PixelView v, str name) except -1:
    if v.view.item * v.view.channels > FP_MAX_PIXEL:
        raise ValueError(f"{name}: a pixel of {v.view.item * v.view.channels} bytes, at most {FP_MAX_PIXEL} are handled")
    return 0
