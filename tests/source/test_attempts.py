"""Reads that fail are tried again, a bounded number of times, and their error stays what it was."""

import time

import numpy as np
import pytest

from fastpyr import ArraySource
from fastpyr.errors import SourceError
from fastpyr.formats import SampleType
from fastpyr.source import Attempts, ChunkCache, build_mosaic


@pytest.fixture
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


class Flaky:
    def __init__(self, failures, error):
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


@pytest.mark.parametrize("error", [SourceError("x.tif: cut"), OSError(5, "Input/output error")])
def test_as_often_as_asked_and_not_more(waits, error):
    flaky = Flaky(2, error)
    assert Attempts(3)(flaky) == 3
    assert waits == [0.2, 0.8]
    flaky = Flaky(3, error)
    with pytest.raises(type(error)) as caught:
        Attempts(3)(flaky)
    assert caught.value is error
    assert flaky.calls == 3


def test_waits_are_bounded(waits):
    with pytest.raises(SourceError):
        Attempts(12)(Flaky(99, SourceError("x")))
    assert max(waits) == 30
    assert len(waits) == 11


def test_mistakes_are_not_repeated(waits):
    flaky = Flaky(1, ValueError("window"))
    with pytest.raises(ValueError, match="window"):
        Attempts(5)(flaky)
    assert flaky.calls == 1
    assert waits == []
    with pytest.raises(ValueError, match="at least 1"):
        Attempts(0)


def test_a_mosaic_tries_again(waits, monkeypatch):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    source = ArraySource(pixels, bbox=(0, 0, 4, 4), crs="EPSG:3857")
    flaky, real = Flaky(2, SourceError("array: hiccup")), source.read

    def read(*window):
        flaky()
        return real(*window)

    monkeypatch.setattr(source, "read", read)
    out, mask = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    hasty = build_mosaic([source], ChunkCache(1 << 20), 3, SampleType.UINT8)
    with pytest.raises(SourceError, match="hiccup"):
        hasty.packs[0].read(0, 0, 4, 4, out, mask)
    with build_mosaic([source], ChunkCache(1 << 20), 3, SampleType.UINT8, Attempts(2)) as mosaic:
        mosaic.packs[0].read(0, 0, 4, 4, out, mask)
    np.testing.assert_array_equal(out, pixels)
