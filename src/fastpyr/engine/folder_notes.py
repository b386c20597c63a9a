"""A journal in a folder beside the tree that is built."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..store.atomic import store_error
from .facts import JournalState, slab_fact
from .logbook import Logbook, boot_id, parse_log
from .records import Part, write_at
from .written import SealedSlab, SlabKey

__all__ = ["FolderNotes", "files_are_whole", "read_journal"]

LOG_NAME = "journal"
"""The logbook's file in the folder: the last to go."""
_SPARE_FILES = 8
"""Scratch files kept to be overwritten: pages that exist already cost a third of fresh ones."""


def read_journal(folder: Path) -> JournalState:
    """The state of a journal folder, absent or empty ones included. Raises StoreError when it cannot be read.

    A build that was finished but for the removal of the folder is ``published``.
    """
    for path, published in ((folder / LOG_NAME, False), (_farewell(folder), True)):
        try:
            facts = parse_log(path.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise store_error("read", path, error) from error
        return JournalState.of([*facts, {"published": published}])
    return JournalState(None, {})


class FolderNotes:
    """Files in a folder that exists and belongs to this process: the logbook, and one per slab for its records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spare: list[str] = []
        self._log = Logbook(folder / LOG_NAME)
        self._log.append({"boot": boot_id()})

    @staticmethod
    def forget(folder: Path) -> None:
        """Remove what is said of an earlier build. Raises StoreError."""
        for path in (_farewell(folder), folder / LOG_NAME):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise store_error("remove", path, error) from error

    def note(self, fact: dict[str, Any]) -> None:
        self._log.append(fact)

    def begin(self, slab: SlabKey) -> None:
        if self._spare:
            path = self.location(slab)
            try:
                os.rename(self._spare.pop(), path)
            except OSError as error:
                raise store_error("write", path, error) from error

    def keep(self, slab: SlabKey, parts: Sequence[Part], offset: int) -> None:
        path = self.location(slab)
        try:
            write_at(path, parts, offset)
        except OSError as error:
            raise store_error("write", path, error) from error

    def seal(self, slab: SealedSlab, parents: Collection[SlabKey], done: Callable[[], None]) -> None:
        self._log.append(slab_fact(slab))
        done()

    def open(self, slab: SlabKey) -> tuple[BinaryIO, int]:
        path = self.location(slab)
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 # the caller closes it
            return file, os.fstat(file.fileno()).st_size
        except OSError as error:
            raise store_error("read", path, error) from error

    def free(self, slab: SlabKey) -> None:
        path = self.location(slab)
        if not os.path.exists(path):
            return
        if len(self._spare) < _SPARE_FILES:
            self._spare.append(path)
        else:
            with contextlib.suppress(OSError):  # removed at the end with all the others
                os.unlink(path)

    def keep_only(self, slabs: Collection[SlabKey]) -> None:
        self._spare.clear()
        self._remove_all({LOG_NAME, *(os.path.basename(self.location(slab)) for slab in slabs)})

    def location(self, slab: SlabKey) -> str:
        return os.path.join(self._folder, "{}-{}-{}".format(*slab))

    def close(self) -> None:
        self._log.close()

    def remove(self) -> None:
        """Remove all files. Raises StoreError."""
        self._log.close()
        self._remove_all({LOG_NAME})
        self.forget(self._folder)

    def say_farewell(self) -> None:
        """Leave nothing but a file beside the folder: whoever finds it knows that the build is finished."""
        self._log.close()
        self._remove_all({LOG_NAME})
        try:
            os.rename(self._folder / LOG_NAME, _farewell(self._folder))
        except OSError as error:
            raise store_error("write", _farewell(self._folder), error) from error

    def _remove_all(self, keep: Collection[str]) -> None:
        try:
            for name in os.listdir(self._folder):
                if name not in keep:
                    os.unlink(self._folder / name)
        except OSError as error:
            raise store_error("remove", self._folder, error) from error


def _farewell(folder: Path) -> Path:
    """The logbook of a finished build whose journal folder is being removed.

    A folder and what is in it cannot go in one step: between the two, this one file says that all is done.
    """
    return folder.with_name(f"{folder.name}-done")


def files_are_whole(tree: Path, boot: str) -> Callable[[SealedSlab], bool]:
    """Whether the files of a slab below ``tree`` are as they were written.

    ``boot``: the run of the operating system that wrote them. Only after a restart are their contents looked at.
    """
    trusted = bool(boot) and boot == boot_id()

    def is_whole(slab: SealedSlab) -> bool:
        for written, crc in slab.files:
            try:
                if os.stat(tree / written.key).st_size != written.size:
                    return False
                if not trusted and _file_crc(tree / written.key) != crc:
                    return False
            except OSError:
                return False
        return True

    return is_whole


def _file_crc(path: Path) -> int:
    from isal import isal_zlib

    crc = 0
    with open(path, "rb", buffering=0) as file:
        while part := file.read(1 << 22):
            crc = isal_zlib.crc32(part, crc)
    return crc
