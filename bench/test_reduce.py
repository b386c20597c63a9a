"""2 x 2 mean of a block of 1024 x 1024 RGB."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest

GROUP = "reduce 2x2, 1024 x 1024 RGB"


@pytest.fixture(scope="session")
def block(ortho):
    return np.ascontiguousarray(ortho[:1024, :1024])


@pytest.fixture(scope="session")
def close_to_mean(block):
    exact = block.reshape(512, 2, 512, 2, 3).mean(axis=(1, 3))
    return lambda out: np.abs(out - exact).max() <= 1


def test_fastpyr(measured, block, close_to_mean, cpu_path):
    from fastpyr.kernels import reduce2x2

    out = np.empty((512, 512, 3), np.uint8)
    measured(GROUP, f"fastpyr {cpu_path}", lambda: reduce2x2(block, out)[0], close_to_mean, path=cpu_path)


def test_fastpyr_with_mask(measured, block, close_to_mean):
    from fastpyr.kernels import reduce2x2

    out, mask = np.empty((512, 512, 3), np.uint8), np.full((1024, 1024), 255, np.uint8)
    out_mask = np.empty((512, 512), np.uint8)
    measured(
        GROUP, "fastpyr, with a mask", lambda: reduce2x2(block, out, mask=mask, out_mask=out_mask)[0], close_to_mean
    )


def test_numpy(measured, block, close_to_mean):
    def work():
        wide = block.astype(np.uint16)
        total = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
        return ((total + 2) >> 2).astype(np.uint8)

    measured(GROUP, "NumPy", work, close_to_mean, rival=version("numpy"))


def test_numba(measured, block, close_to_mean):
    numba = pytest.importorskip("numba")

    @numba.njit(nogil=True)
    def mean(src, out):
        for j in range(out.shape[0]):
            for i in range(out.shape[1]):
                for c in range(out.shape[2]):
                    total = np.uint32(src[2 * j, 2 * i, c]) + src[2 * j, 2 * i + 1, c]
                    total += np.uint32(src[2 * j + 1, 2 * i, c]) + src[2 * j + 1, 2 * i + 1, c]
                    out[j, i, c] = (total + 2) >> 2
        return out

    out = np.empty((512, 512, 3), np.uint8)
    measured(GROUP, "Numba", lambda: mean(block, out), close_to_mean, rival=numba.__version__)


def test_cv2(measured, block, close_to_mean):
    cv2 = pytest.importorskip("cv2")
    cv2.setNumThreads(1)
    work = lambda: cv2.resize(block, (512, 512), interpolation=cv2.INTER_AREA)  # noqa: E731
    measured(GROUP, "cv2", work, close_to_mean, rival=cv2.__version__)


def test_pillow(measured, block, close_to_mean):
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(block)  # its own layout, made once: the figure is the kernel alone
    measured(GROUP, "Pillow, no conversion", lambda: picture.reduce(2), lambda r: close_to_mean(np.asarray(r)),
             rival=version("pillow"))  # fmt: skip


def test_pillow_simd(measured, block, close_to_mean, pillow_simd, tmp_path):
    np.save(tmp_path / "in.npy", block)
    pillow_simd.ask(f"load {tmp_path / 'in.npy'}")

    def right(_):
        pillow_simd.ask(f"save {tmp_path / 'out.npy'}")
        return close_to_mean(np.load(tmp_path / "out.npy"))

    measured(GROUP, "Pillow-SIMD, no conversion, with a pipe", lambda: pillow_simd.ask("reduce"), right,
             rival=pillow_simd.version)  # fmt: skip
