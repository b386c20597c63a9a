"""Memory that is used again is never used twice at a time."""

import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr import _native
from fastpyr.kernels.memory import pooled_empty


def place(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_with_the_last_view():
    arena = _native.Arena(1 << 20)
    array = np.frombuffer(arena.take(1000), np.uint8)
    start, view = place(array), array[10:20]
    assert start % 64 == 0
    assert array.flags.writeable
    del array
    assert arena.used == 1024
    keep = arena.take(1)
    del view
    assert arena.used == 64
    again = np.frombuffer(arena.take(1000), np.uint8)
    assert place(again) == start
    del again, keep
    assert arena.used == 0
    assert arena.take(1 << 20) is not None


def test_no_room():
    arena = _native.Arena(4096)
    first = arena.take(4000)
    assert first is not None
    assert arena.take(128) is None
    assert arena.take(0) is None
    assert arena.take(1 << 62) is None
    with pytest.raises(MemoryError):
        _native.Arena(0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000), st.integers(0, 50)), max_size=120))
def test_pieces_never_overlap(steps):
    arena = _native.Arena(16384)
    lent = []
    for number, (takes, size, which) in enumerate(steps):
        if takes:
            loan = arena.take(size)
            if loan is not None:
                lent.append((np.frombuffer(loan, np.uint8), number % 251))
                lent[-1][0][:] = number % 251
            del loan
        elif lent:
            del lent[which % len(lent)]
        assert all((piece == value).all() for piece, value in lent)
        assert arena.used == sum(-(-piece.size // 64) * 64 for piece, _ in lent)
    lent.clear()
    assert arena.used == 0
    assert arena.take(16384) is not None


def test_many_threads_and_shared_arrays():
    failures = []

    def work(seed):
        rng = random.Random(seed)
        held = []
        for n in range(400):
            array = pooled_empty((rng.randint(1, 40), 2048, 3), np.uint8)
            array[...] = value = (seed * 61 + n) % 256
            held.append((array[rng.randint(0, len(array) - 1) :, 5:], value))
            if len(held) > 6:
                view, expected = held.pop(rng.randrange(len(held)))
                if not (view == expected).all():
                    failures.append((seed, n))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize(("shape", "dtype"), [((3, 4), "uint8"), ((512, 512, 3), "uint8"), ((300, 300, 1), "float32")])
def test_arrays_are_ordinary(shape, dtype):
    array = pooled_empty(shape, dtype)
    assert (array.shape, array.dtype, array.flags.c_contiguous, array.flags.writeable) == (shape, dtype, True, True)
