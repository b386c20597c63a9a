"""A look at a TIFF LZW stream before it is handed to the decoder.

The decoder of imagecodecs checks every code against its table but one: the first after a Clear. When that one is not
a plain byte, it follows a pointer that nobody has set, and the process dies. So those codes are checked here.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ..errors import DecodeError

__all__ = ["check_lzw"]

_CLEAR, _END = 256, 257
_CODES_PER_WIDTH = (254, 512, 1024, 2052)
"""Codes of 9, 10, 11 and 12 bits between two Clears: until the table of 4096 is full, and two more."""


@cache
def _code_layout() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Width in bits of each code after a Clear, and its distance in bits from the end of that Clear."""
    widths = np.repeat([9, 10, 11, 12], _CODES_PER_WIDTH)
    return widths, np.concatenate([[0], np.cumsum(widths)])


def check_lzw(data: bytes) -> None:
    """Raise DecodeError when ``data`` does not begin with Clear, lets the table overflow, or uses it while empty.

    The widths of codes depend on nothing but their count since the last Clear, so that a whole table's worth of them
    is cut out of the stream at once.
    """
    if len(data) < 2 or data[0] != 0x80 or data[1] & 0x80:
        raise DecodeError("LZW stream does not start with the code that clears the table")
    widths, starts = _code_layout()
    stream = np.frombuffer(data + b"\0\0\0", np.uint8).astype(np.uint32)
    words = stream[:-2] << 16 | stream[1:-1] << 8 | stream[2:]
    position, end = 9, 8 * len(data)
    # Every encoder fills a good part of a table before it clears it; without a bound, a stream of Clears would take
    # for ever.
    for _ in range(64 + len(data) // 64):
        count = int(np.searchsorted(starts[1:], end - position, side="right"))
        at = position + starts[:count]
        codes = words[at >> 3] >> (24 - (at & 7) - widths[:count]) & ((1 << widths[:count]) - 1)
        if count and codes[0] > _END:
            raise DecodeError(f"damaged LZW stream (code {int(codes[0])} in an empty table)")
        special = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        if not len(special) and count == len(widths):
            raise DecodeError("damaged LZW stream (its table overflows)")
        if not len(special) or codes[special[0]] == _END:
            return
        position += int(starts[special[0] + 1])
    raise DecodeError("damaged LZW stream (it clears its table all the time)")
