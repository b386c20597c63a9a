"""A pyramid computed the slow and obvious way in NumPy, to hold the engine against."""

import numpy as np


def reduced(pixels, mask, nodata):
    """2x2 mean over valid pixels: at least two of four, uint8 nearest with ties down for four (floor otherwise)."""
    h, w, c = pixels.shape
    blocks = pixels.astype(np.float64).reshape(h // 2, 2, w // 2, 2, c)
    valid = (mask != 0).reshape(h // 2, 2, w // 2, 2, 1)
    count = valid.sum((1, 3))
    total = np.where(valid, blocks, 0).sum((1, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        if pixels.dtype == np.uint8:
            # Table of the format: 255 - round((1020 - i) / 1020 * 255) at i = floor(4 * sum / count)
            i = np.floor(total * 4 / count)
            mean = 255 - np.floor((1020 - i) / 1020 * 255 + 0.5)
        else:
            mean = total / count
    keep = count >= 2
    out = np.where(keep, mean, np.asarray(nodata, np.float64)).astype(pixels.dtype)
    return out, np.where(keep[..., 0], 255, 0).astype(np.uint8)


class Canvas:
    """Pixels of one level from pixel (x0, y0) of its matrix on; multiples of the tile size."""

    def __init__(self, x0, y0, pixels, mask):
        self.x0, self.y0, self.pixels, self.mask = x0, y0, pixels, mask

    def parent(self, nodata):
        tile = 256
        # Grow to an even number of whole tiles on both sides.
        left, top = self.x0 % (2 * tile), self.y0 % (2 * tile)
        h, w = self.mask.shape
        bottom, right = -(h + top) % (2 * tile), -(w + left) % (2 * tile)
        pixels = np.empty((h + top + bottom, w + left + right, self.pixels.shape[2]), self.pixels.dtype)
        pixels[...] = nodata
        mask = np.zeros(pixels.shape[:2], np.uint8)
        pixels[top : top + h, left : left + w] = self.pixels
        mask[top : top + h, left : left + w] = self.mask
        return Canvas((self.x0 - left) // 2, (self.y0 - top) // 2, *reduced(pixels, mask, nodata))

    def tile(self, column, row):
        x, y = column * 256 - self.x0, row * 256 - self.y0
        if not (0 <= x < self.mask.shape[1] and 0 <= y < self.mask.shape[0]):
            return None, None
        return self.pixels[y : y + 256, x : x + 256], self.mask[y : y + 256, x : x + 256]
