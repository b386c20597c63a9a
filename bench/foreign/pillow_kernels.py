"""Kernels of Pillow-SIMD on request. Lines in: ``load FILE.npy``, ``reduce``, ``resize SIDE``, ``save FILE.npy``."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image


def main() -> None:
    source = result = None
    for line in sys.stdin:
        verb, _, word = line.strip().partition(" ")
        if verb == "load":
            source = Image.fromarray(np.load(word))
        elif verb == "reduce":
            result = source.reduce(2)
        elif verb == "resize":
            result = source.resize((int(word), int(word)), Image.BICUBIC)
        elif verb == "save":
            np.save(word, np.asarray(result))
        print("done", flush=True)


if __name__ == "__main__":
    main()
