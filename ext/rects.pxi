# Rectangles that meet a window.

def rects_meeting(const int64_t[:, ::1] rects, const int64_t[::1] order, int64_t widest, int64_t x0, int64_t y0,
                  int64_t x1, int64_t y1):
    cdef ptrdiff_t count = rects.shape[0], low = 0, high = count, middle
    cdef list found = []
    if rects.shape[1] != 4 or order.shape[0] != count:
        raise ValueError(f"rects: shape ({count}, {rects.shape[1]}) with {order.shape[0]} names, expected 4 numbers each")
    while low < high:  # the first one that may reach x0
        middle = low + (high - low) // 2
        if rects[middle, 0] <= x0 - widest:
            low = middle + 1
        else:
            high = middle
    while low < count and rects[low, 0] < x1:
        if rects[low, 2] > x0 and rects[low, 1] < y1 and rects[low, 3] > y0:
            found.append(order[low])
        low += 1
    found.sort()
    return found
