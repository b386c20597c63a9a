"""Background uploads: bounded memory, errors that surface, cancellation."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.errors import StoreError
from fastpyr.store.uploads import Uploads


def test_everything_arrives():
    written = {}
    uploads = Uploads(lambda key, data, stop: written.__setitem__(key, data), 4, 100, 10**9)
    buffer = bytearray(b"abc")
    for number in range(200):
        buffer[0] = number
        uploads.submit(str(number), [buffer, b"-", memoryview(b"end")])
    uploads.wait()
    uploads.close()
    assert written == {str(n): bytes([n]) + b"bc-end" for n in range(200)}
    assert uploads.held == 0
    with pytest.raises(RuntimeError, match="ended"):
        uploads.submit("x", [b""])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 40), max_size=40), st.integers(1, 5))
def test_the_budget_holds(sizes, threads):
    budget, travelling, most, lock = 50, [0], [0], threading.Lock()

    def put(key, data, stop):
        with lock:
            travelling[0] += len(data)
            most[0] = max(most[0], travelling[0])
        with lock:
            travelling[0] -= len(data)

    uploads = Uploads(put, threads, budget, 10**9)
    for number, size in enumerate(sizes):
        uploads.submit(str(number), [bytes(size)])
        assert uploads.held <= budget
    uploads.wait()
    uploads.close()
    assert most[0] <= budget


def test_callers_wait_only_when_the_budget_is_used_up():
    go = threading.Event()
    uploads = Uploads(lambda key, data, stop: go.wait(), 1, 100, 10**9)
    for number in range(10):
        uploads.submit(str(number), [bytes(10)])
    assert uploads.held == 100
    blocked = threading.Thread(target=uploads.submit, args=("late", [bytes(10)]))
    blocked.start()
    blocked.join(0.1)
    assert blocked.is_alive()
    go.set()
    blocked.join()
    uploads.wait()
    uploads.close()


def test_few_travel_at_a_time():
    travelling, most, lock = [0], [0], threading.Lock()

    def put(key, data, stop):
        with lock:
            travelling[0] += len(data)
            most[0] = max(most[0], travelling[0])
        stop.wait(0.005)
        with lock:
            travelling[0] -= len(data)

    uploads = Uploads(put, 8, 10**9, 30)
    for size in [10] * 20 + [100] + [25] * 5:
        uploads.submit("x", [bytes(size)])
    uploads.wait()
    uploads.close()
    assert most[0] == 100
    uploads = Uploads(put, 8, 10**9, 30)
    most[0] = 0
    for number in range(20):
        uploads.submit(str(number), [bytes(10)])
    uploads.wait()
    uploads.close()
    assert most[0] <= 30


def test_one_object_larger_than_the_budget_is_let_in():
    written = []
    uploads = Uploads(lambda key, data, stop: written.append(len(data)), 2, 10, 10**9)
    uploads.submit("a", [bytes(1000)])
    uploads.submit("b", [bytes(1000)])
    uploads.wait()
    uploads.close()
    assert written == [1000, 1000]


def test_waiting_for_one_object():
    go = threading.Event()

    def put(key, data, stop):
        if key == "slow":
            go.wait()

    uploads = Uploads(put, 2, 100, 10**9)
    uploads.submit("slow", [b"1"])
    uploads.submit("fast", [b"2"])
    uploads.wait("fast")
    uploads.wait("never asked for")
    go.set()
    uploads.wait("slow")
    uploads.close()


def test_the_first_failure_is_raised_by_all_that_follows():
    def put(key, data, stop):
        raise OSError(key)

    uploads = Uploads(put, 2, 10, 10**9)
    uploads.submit("a", [b"1"])
    for call in (uploads.wait, lambda: uploads.submit("b", [b"2"]), lambda: uploads.wait("a")):
        with pytest.raises(OSError, match="a"):
            call()
    uploads.close(cancel=True)


def test_a_failure_frees_callers_that_wait_for_room():
    go = threading.Event()

    def put(key, data, stop):
        go.wait()
        raise OSError("broken")

    uploads = Uploads(put, 1, 10, 10**9)
    uploads.submit("a", [bytes(10)])
    caught = []

    def late():
        try:
            uploads.submit("b", [bytes(10)])
        except OSError as error:
            caught.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    go.set()
    thread.join()
    assert len(caught) == 1
    uploads.close(cancel=True)


def test_cancelling_drops_what_waits_and_tells_what_travels():
    begun, written = threading.Event(), []

    def put(key, data, stop):
        begun.set()
        stop.wait()
        written.append(key)

    uploads = Uploads(put, 1, 100, 10**9)
    uploads.submit("a", [b"1"])
    uploads.submit("b", [b"2"])
    begun.wait()
    uploads.close(cancel=True)
    assert written == ["a"]


def test_who_waits_for_room_is_let_go():
    """What was taken over is written nevertheless."""
    line, written, failures = threading.Event(), [], []

    def put(key, data, stop):
        line.wait()
        written.append(key)

    uploads = Uploads(put, 1, 10, 10)
    uploads.submit("a", [b"x" * 8])

    def submit():
        try:
            uploads.submit("b", [b"x" * 8])
        except StoreError as error:
            failures.append(str(error))

    waiting = threading.Thread(target=submit)
    waiting.start()
    uploads.refuse()
    waiting.join()
    assert failures == ["the work was given up"]
    assert not uploads.wait("a", 0.01)
    line.set()
    assert uploads.wait("a", 60)
    assert uploads.arrived("a", 0)
    uploads.close()
    assert written == ["a"]
