"""Frozen classes behave as the dataclasses that they stand for."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest

from fastpyr.formats import Compression, PixelFormat, SampleType, TileFormat
from fastpyr.frozen import frozen


class Plain:
    a: int
    b: str = "x"
    c: tuple[int, ...] = (1, 2)

    def twice(self) -> int:
        return 2 * self.a

    @property
    def text(self) -> str:
        return self.b * self.a

    @classmethod
    def of(cls, a: int) -> Plain:
        return cls(a)  # type: ignore[call-arg]


class One:
    only: float


class Nothing:
    pass


@frozen
class Point:
    x: int
    y: int = 7


FROZEN, STANDARD = frozen(Plain), dataclasses.dataclass(frozen=True, slots=True)(Plain)
PAIRS = [(frozen(kind), dataclasses.dataclass(frozen=True, slots=True)(kind)) for kind in (One, Nothing)]


@pytest.mark.parametrize("given", [(1,), (1, "y"), (1, "y", ()), (2,)])
def test_values(given):
    ours, theirs = FROZEN(*given), STANDARD(*given)
    assert repr(ours) == repr(theirs)
    assert hash(ours) == hash(theirs)
    assert (ours.twice(), ours.text) == (theirs.twice(), theirs.text)
    assert ours == FROZEN(*given)
    assert ours != theirs
    assert (ours == FROZEN(1)) == (theirs == STANDARD(1))
    assert FROZEN.of(3) == FROZEN(a=3, c=(1, 2))
    for kind in (FROZEN, STANDARD):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
            kind()
        with pytest.raises(TypeError, match="unexpected keyword argument 'd'"):
            kind(1, d=2)


def test_one_and_no_value():
    (one, standard), (none, empty) = PAIRS
    assert repr(one(1.5)) == repr(standard(1.5))
    assert hash(one(1.5)) == hash(standard(1.5))
    assert one(1.5) == one(1.5) != one(2.5)
    assert repr(none()) == repr(empty())
    assert none() == none()


def test_shape():
    assert [*inspect.signature(FROZEN).parameters] == [*inspect.signature(STANDARD).parameters]
    assert FROZEN.__match_args__ == STANDARD.__match_args__
    assert FROZEN.__slots__ == STANDARD.__slots__
    assert (FROZEN.__name__, FROZEN.__qualname__, FROZEN.__module__) == ("Plain", "Plain", __name__)
    assert not hasattr(FROZEN(1), "__dict__")


def test_frozen():
    value = FROZEN(1)
    for change in (lambda: setattr(value, "a", 2), lambda: delattr(value, "a"), lambda: setattr(value, "new", 2)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert value == FROZEN(1)


def test_copies_and_pickles():
    point = Point(3)
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_taken_for_a_dataclass():
    assert dataclasses.is_dataclass(FROZEN)
    assert [field.name for field in dataclasses.fields(FROZEN)] == ["a", "b", "c"]
    assert dataclasses.replace(FROZEN(1), b="z") == FROZEN(1, "z")
    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 7}
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_checks_and_own_comparisons():
    checked = PixelFormat(TileFormat(Compression.PNG, SampleType.UINT8), 1, (255,))
    with pytest.raises(Exception, match="channels"):
        dataclasses.replace(checked, channels=9)

    @frozen
    class Always:
        a: int

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert Always(1) == Always(2)
