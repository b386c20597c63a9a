"""Bicubic sampling of a block of 1024 x 1024 RGB: at positions of a turned grid, and at another resolution."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest

from bench.check import sample

WARP = "warp bicubic, 1024 x 1024 RGB"
RESIZE = "resample bicubic, 1024 to 832, RGB"
_STEP = 64


@pytest.fixture(scope="session")
def positions():
    """Source x and y of every pixel (1024, 1024) and of every 64th: a turn of 1 degree, a scale of 0.9."""
    turn = np.exp(1j * np.deg2rad(1)) * 0.9

    def at(rows, cols):
        z = (cols[None, :] + 1j * rows[:, None]) * turn
        return z.real + 60, z.imag + 40

    pixels, nodes = np.arange(1024), np.arange(0, 1024 + _STEP, _STEP)
    return at(pixels, pixels), np.ascontiguousarray(np.stack(at(nodes, nodes), axis=-1))


@pytest.fixture(scope="session")
def close_to_exact(ortho, positions):
    exact = sample(ortho, *positions[0], "cubic").astype(int)
    return lambda out: float(np.mean(np.abs(out - exact) <= 1)) > 0.99


def test_fastpyr(measured, ortho, positions, close_to_exact, cpu_path):
    from fastpyr.kernels import warp

    out = np.empty((1024, 1024, 3), np.uint8)
    work = lambda: warp(ortho, positions[1], _STEP, out, interpolation="bicubic")[0]  # noqa: E731
    measured(WARP, f"fastpyr {cpu_path}", work, close_to_exact, path=cpu_path)


def test_fastpyr_with_mask(measured, ortho, positions, close_to_exact):
    from fastpyr.kernels import warp

    out, mask = np.empty((1024, 1024, 3), np.uint8), np.full(ortho.shape[:2], 255, np.uint8)
    out_mask = np.empty((1024, 1024), np.uint8)
    work = lambda: warp(ortho, positions[1], _STEP, out, interpolation="bicubic", mask=mask, out_mask=out_mask)[0]  # noqa: E731
    measured(WARP, "fastpyr, with a mask", work, close_to_exact)


def test_cv2(measured, ortho, positions):
    """cv2's kernel has a = -3/4 and positions of 1/32 pixel: what it computes is near, not the same."""
    cv2 = pytest.importorskip("cv2")
    cv2.setNumThreads(1)
    x, y = (part.astype(np.float32) for part in positions[0])
    maps = cv2.convertMaps(x, y, cv2.CV_16SC2)
    work = lambda: cv2.remap(ortho, *maps, cv2.INTER_CUBIC)  # noqa: E731
    exact = sample(ortho, *positions[0], "cubic").astype(int)
    near = lambda out: float(np.mean(np.abs(out - exact))) < 3  # noqa: E731
    measured(WARP, "cv2 remap, maps ready", work, near, rival=cv2.__version__)


def test_numba(measured, ortho, positions, close_to_exact):
    numba = pytest.importorskip("numba")

    @numba.njit(nogil=True, fastmath=True)
    def weight(d):
        d = abs(d)
        if d < 1:
            return (1.5 * d - 2.5) * d * d + 1
        return ((-0.5 * d + 2.5) * d - 4) * d + 2 if d < 2 else 0.0

    @numba.njit(nogil=True, fastmath=True)
    def warp(src, xs, ys, out):
        for j in range(out.shape[0]):
            for i in range(out.shape[1]):
                x0, y0 = int(np.floor(xs[j, i])) - 1, int(np.floor(ys[j, i])) - 1
                for c in range(3):
                    total = np.float32(0.5)
                    for v in range(4):
                        row = np.float32(0)
                        for u in range(4):
                            row += np.float32(weight(xs[j, i] - x0 - u)) * src[y0 + v, x0 + u, c]
                        total += np.float32(weight(ys[j, i] - y0 - v)) * row
                    out[j, i, c] = min(max(total, 0), 255)
        return out

    out = np.empty((1024, 1024, 3), np.uint8)
    measured(WARP, "Numba", lambda: warp(ortho, *positions[0], out), close_to_exact, rival=numba.__version__)


def test_resample_fastpyr(measured, ortho, cpu_path):
    from fastpyr.kernels import resample

    block, ratio = np.ascontiguousarray(ortho[:1024, :1024]), 1024 / 832
    out = np.empty((832, 832, 3), np.uint8)
    start = ratio / 2 - 0.5
    work = lambda: resample(block, out, x0=start, y0=start, rx=ratio, ry=ratio, interpolation="bicubic")[0]  # noqa: E731
    measured(RESIZE, f"fastpyr {cpu_path}", work, _like_pillow(block), path=cpu_path)


def test_resample_pillow(measured, ortho):
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(ortho[:1024, :1024])
    measured(RESIZE, "Pillow, no conversion", lambda: picture.resize((832, 832), image.BICUBIC), lambda _: True,
             rival=version("pillow"))  # fmt: skip


def test_resample_pillow_simd(measured, ortho, pillow_simd, tmp_path):
    block = np.ascontiguousarray(ortho[:1024, :1024])
    np.save(tmp_path / "in.npy", block)
    pillow_simd.ask(f"load {tmp_path / 'in.npy'}")

    def right(_):
        pillow_simd.ask(f"save {tmp_path / 'out.npy'}")
        return _like_pillow(block)(np.load(tmp_path / "out.npy"))

    measured(RESIZE, "Pillow-SIMD, no conversion, with a pipe", lambda: pillow_simd.ask("resize 832"), right,
             rival=pillow_simd.version)  # fmt: skip


def _like_pillow(block):
    from PIL import Image

    wanted = np.asarray(Image.fromarray(block).resize((832, 832), Image.BICUBIC)).astype(int)
    # its edges drop taps, ours mirror them: compare inside; it rounds between its two passes, ours once
    return lambda out: float(np.mean(np.abs(out.astype(int) - wanted)[4:-4, 4:-4] <= 2)) > 0.999
