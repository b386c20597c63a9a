"""The platform as one object."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import ConfigError, FastpyrError, StoreError
from .base import Place
from .database import Database
from .executions import Executions
from .jobs import Supervisor
from .publication import Configurations
from .stored import StoredDatas
from .uploads import Uploads

__all__ = ["Entrepot"]

Json = dict[str, Any]
_POLL_SECONDS = 0.05


class Entrepot:
    """Deliveries, checks, processings, stored pyramids and publications in a folder of this machine.

    Args:
        root: the folder; it is made when it is absent.
        database: an SQLAlchemy URL; None: a SQLite file in ``root``.
        jobs: executions that may run at once; 0: run none here, another process does.
        own_jobs_only: run only what this object was asked for, and leave the rest to another process.

    Use it as a context manager, or ``close()`` it: at the end the workers of this process end too. Several processes
    may have the same platform open.

    Attributes:
        uploads, executions, stored_data, configurations: the entities, as plain dictionaries like those of the API.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        database: str | None = None,
        *,
        jobs: int = 2,
        own_jobs_only: bool = False,
    ) -> None:
        if jobs < 0:
            raise ConfigError(f"jobs: {jobs}, expected 0 or more")
        self.root = Path(os.path.abspath(root))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be made: {error.strerror}") from error
        self.database = Database(self.root, database)
        self._place = Place(self.root, self.database)
        self.uploads = Uploads(self._place)
        self.executions = Executions(self._place)
        self.stored_data = StoredDatas(self._place)
        self.configurations = Configurations(self._place)
        self._supervisor = Supervisor(self._place, jobs, own_only=own_jobs_only)
        self._supervisor.start()

    def deliver(
        self,
        files: Mapping[str, str | os.PathLike[str]],
        *,
        name: str,
        srs: str,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        md5: Sequence[str | os.PathLike[str]] = (),
    ) -> Json:
        """A whole delivery: created, filled with ``files`` (paths on this machine by name in the delivery) and lists
        of signatures, closed, its checks awaited. Returns the upload: its status is CLOSED, or UNSTABLE when a check
        failed. A delivery that cannot be filled is deleted, and the error raised."""
        upload = self.uploads.create({"name": name, "description": description, "type": "RASTER", "srs": srs})
        try:
            if tags:
                self.uploads.add_tags(upload["_id"], tags)
            for relative, path in files.items():
                self.uploads.add_file(upload["_id"], Path(path), relative)
            for listing in map(Path, md5):
                self.uploads.add_file(upload["_id"], listing, listing.name)
            self.uploads.close(upload["_id"])
        except BaseException:
            with contextlib.suppress(FastpyrError):
                self.uploads.delete(upload["_id"])
            raise
        return self.wait_for_checks(upload["_id"])

    def wait_for_checks(self, upload_id: str, timeout: float | None = None) -> Json:
        """The upload once it is no longer being checked. Raises TimeoutError."""
        return _wait(lambda: self.uploads.get(upload_id), lambda upload: upload["status"] != "CHECKING", timeout)

    def wait_for(self, execution_id: str, timeout: float | None = None) -> Json:
        """The execution once it has ended. Raises TimeoutError."""
        done = ("SUCCESS", "FAILURE", "ABORTED")
        return _wait(lambda: self.executions.get(execution_id), lambda one: one["status"] in done, timeout)

    def close(self) -> None:
        """End the workers of this process and let go of the database."""
        self._supervisor.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wait(look: Any, ready: Any, timeout: float | None) -> Json:
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        found: Json = look()
        if ready(found):
            return found
        if end is not None and time.monotonic() > end:
            raise TimeoutError(f"{found['_id']} is still {found['status']} after {timeout:g} s")
        time.sleep(_POLL_SECONDS)
