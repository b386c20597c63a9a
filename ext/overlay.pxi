# Images laid over each other.

cdef dict OVERLAY_METHODS = {"top": FP_OVERLAY_TOP, "alphatop": FP_OVERLAY_ALPHATOP, "multiply": FP_OVERLAY_MULTIPLY}


def overlay(layers, str method, background, transparent, out, out_mask):
    cdef PixelView o = open_view(out, "out", 3, True)
    cdef PixelView om = open_mask(out_mask, "out_mask", o.view.rows, o.view.cols, True)
    cdef PixelView p, m
    cdef fp_layer stack[64]  # FP_MAX_LAYERS
    cdef double canvas[4]
    cdef double colour[3]
    cdef const double *see_through = NULL
    cdef ptrdiff_t k, count = len(layers)
    cdef int how
    cdef list held = []
    if method not in OVERLAY_METHODS:
        raise ValueError(f"overlay: method {method!r}, expected one of {', '.join(OVERLAY_METHODS)}")
    how = OVERLAY_METHODS[method]
    require_samples(o, "out", b"Bf")
    if not 1 <= o.view.channels <= 4 or len(background) != o.view.channels:
        raise ValueError(f"background: {len(background)} values for {o.view.channels} channels, expected one for each of 1 to 4")
    if not 1 <= count <= FP_MAX_LAYERS:
        raise ValueError(f"layers: {count}, expected 1 to {FP_MAX_LAYERS}")
    for k in range(o.view.channels):
        canvas[k] = background[k]
        if o.kind == b'B' and not 0 <= canvas[k] <= 255:
            raise ValueError(f"background: {background[k]} is outside 0..255")
    if transparent is not None:
        if len(transparent) != 3:
            raise ValueError(f"transparent: {len(transparent)} values, expected 3")
        for k in range(3):
            colour[k] = transparent[k]
        see_through = colour
    for k in range(count):
        pixels, mask = layers[k]
        p = open_view(pixels, f"layer {k}", 3, False)
        m = open_mask(mask, f"mask of layer {k}", o.view.rows, o.view.cols, False)
        require_same_samples(p, f"layer {k}", o)
        require_shape(p, f"layer {k}", o.view.rows, o.view.cols, p.view.channels)
        if not 1 <= p.view.channels <= 4:
            raise ValueError(f"layer {k}: {p.view.channels} channels, expected 1 to 4")
        held.append((p, m))
        stack[k].pixels = p.view
        stack[k].mask = m.view
    if o.kind == b'B':
        with nogil:
            fp_overlay_u8(stack, count, how, canvas, see_through, &o.view, &om.view)
    else:
        with nogil:
            fp_overlay_f32(stack, count, how, canvas, see_through, &o.view, &om.view)
