"""Holding a name in object storage while a pyramid is built there, so that a second builder is refused.

Stores differ in what they can do atomically, so nothing but writing, listing and ages is used: every builder writes a
claim of its own and then looks at all claims. Whoever sees a claim of somebody alive withdraws, so two that come at
the same moment may both be refused, and never both go on. A claim is renewed while its builder lives; one that
was not renewed for two minutes, or whose process on this machine is gone, is of a dead builder.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from ..errors import StoreError
from .base import Chunk, StoreNotFound
from .transport import Stat

__all__ = ["Claim"]

_RENEW_SECONDS = 20.0
_DEAD_SECONDS = 120.0
_DOUBT_SECONDS = 90.0
"""A builder that could not renew its claim for that long asks whether it still has it before it writes more."""
_MAX_BYTES = 4096
_PREFIX = "claim-"
_live: set[str] = set()  # keys of the claims that this process holds


class _Claims(Protocol):
    """What is needed of the store."""

    def put(self, key: str, chunks: Sequence[Chunk]) -> None: ...

    def get(self, key: str) -> bytes: ...

    def stat(self, key: str) -> Stat: ...

    def keys(self, folder: str) -> Iterator[str]: ...

    def delete_all(self, keys: Sequence[str]) -> None: ...

    def location(self, key: str = "") -> str: ...


def _machine() -> str:
    """This machine and process space: process ids mean something only inside."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{socket.gethostname()} {file.read().strip()} {space}"
    except OSError:
        return ""


class Claim:
    """The claim of this builder on the tree ``name``, below the hidden ``folder`` (without slash at its end).

    Raises StoreError when another builder is at work. ``inherited``: dead builders left claims, and so maybe objects.
    """

    def __init__(self, store: _Claims, folder: str, name: str) -> None:
        self._store = store
        self._name = store.location(name)
        self._folder = f"{folder}/"
        self._key = f"{self._folder}{_PREFIX}{os.urandom(8).hex()}"
        owner = {"machine": _machine(), "host": socket.gethostname(), "pid": os.getpid()}
        self._content = json.dumps(owner).encode()
        self._ended = threading.Event()
        _live.add(self._key)
        try:
            store.put(self._key, [self._content])
            dead = self._dead_claims()
            store.delete_all(dead)
        except BaseException:
            _live.discard(self._key)
            with contextlib.suppress(StoreError):
                store.delete_all([self._key])
            raise
        self.inherited = bool(dead)
        self._renewed = _now()
        self._renewer = threading.Thread(target=self._renew, name="claim", daemon=True)
        self._renewer.start()

    def _dead_claims(self) -> list[str]:
        """Keys of all other claims. Raises StoreError when one of them is of somebody alive."""
        now = self._store.stat(self._key).modified
        dead = []
        for key in list(self._store.keys(self._folder)):
            if key == self._key or not key.removeprefix(self._folder).startswith(_PREFIX):
                continue
            try:
                age = now - self._store.stat(key).modified
                owner = _owner(self._store.get(key)[:_MAX_BYTES])
            except StoreNotFound:
                continue
            if age < _DEAD_SECONDS and _may_live(owner, key):
                who = f"process {owner.get('pid')} on {owner.get('host')}"
                raise StoreError(
                    f"{self._name} is being built by {who[:120]}: wait for its end, or stop it (when it is dead "
                    f"already, its claim ends {_DEAD_SECONDS:.0f} s after its last sign of life)"
                )
            dead.append(key)
        return dead

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            try:
                self.check()
                asked = _now()
                self._store.put(self._key, [self._content])
                self._renewed = asked
            except StoreNotFound:
                return
            except StoreError:
                continue  # the store may answer again before the claim is taken for dead

    def hold(self) -> None:
        """As ``check``, but asks the store only when the claim may have been taken for dead: call it before writing."""
        if _now() - self._renewed > _DOUBT_SECONDS:
            self.check()

    def check(self) -> None:
        """Raise StoreNotFound when the claim was taken away: another builder held this one for dead."""
        try:
            self._store.stat(self._key)
        except StoreNotFound:
            raise StoreNotFound(
                f"{self._name}: another builder took the name over while this one could not be heard: start again"
            ) from None

    def abandon(self) -> None:
        """Stop renewing: the claim stays as that of a dead builder, so that the next one cleans up."""
        self._ended.set()
        _live.discard(self._key)
        self._renewer.join()

    def release(self) -> None:
        """Give the name free. Raises StoreError when the store cannot be told."""
        self.abandon()
        self._store.delete_all([self._key])


def _now() -> float:
    """Seconds of a clock that also runs while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _owner(data: bytes) -> dict[str, object]:
    try:
        owner = json.loads(data)
    except (ValueError, RecursionError):
        owner = None
    return owner if isinstance(owner, dict) else {}


def _may_live(owner: dict[str, object], key: str) -> bool:
    """False only when the owner of the claim ``key`` is a process of this machine that is gone, or gave it up."""
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid < 1 or not owner.get("machine") or owner["machine"] != _machine():
        return True
    if pid == os.getpid():
        return key in _live
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
