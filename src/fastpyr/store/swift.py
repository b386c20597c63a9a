"""OpenStack Swift containers through python-swiftclient (optional: ``pip install 'fastpyr[swift]'``)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .layout import Layout, StorageType
from .objects import ObjectStore
from .retry import RetryPolicy
from .transport import Entry, ObjectMissing, Part, Stat, TransportError, flag, number

__all__ = ["SwiftTransport", "swift_store"]

_PAGE = 1000
_RETRIED_STATUSES = (408, 409, 425, 429)
_CONTENT_RANGE = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]+)")


def swift_store(container: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """The store of a container. Raises ConfigError when the environment does not say how to get in."""
    retry = RetryPolicy.from_environment(environ)
    transport = SwiftTransport(container, environ)
    layout = Layout(StorageType.SWIFT, container)
    return ObjectStore(transport, layout, f"swift://{container}", retry, lambda other: swift_store(other, environ))


def _connection_options(environ: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a swiftclient Connection from the ROK4_SWIFT_* and ROK4_KEYSTONE_* variables."""
    options: dict[str, Any] = {
        "retries": 0,
        "insecure": flag(environ, "ROK4_SSL_NO_VERIFY"),
        "timeout": number(environ, "ROK4_NETWORK_TIMEOUT", 0.001, 86400) or 120.0,
    }
    storage = environ.get("ROK4_SWIFT_PUBLICURL")
    token_file = environ.get("ROK4_SWIFT_TOKEN_FILE")
    if storage and token_file and os.path.exists(token_file):
        try:
            token = Path(token_file).read_text().strip()
        except (OSError, ValueError) as error:
            raise ConfigError(f"ROK4_SWIFT_TOKEN_FILE: cannot read {token_file}: {error}") from None
        return options | {"preauthurl": storage, "preauthtoken": token}
    missing = [name for name in ("AUTHURL", "USER", "PASSWD") if not environ.get(f"ROK4_SWIFT_{name}")]
    if missing:
        raise ConfigError(f"no Swift credentials: set {', '.join(f'ROK4_SWIFT_{name}' for name in missing)}")
    user, account = environ["ROK4_SWIFT_USER"], environ.get("ROK4_SWIFT_ACCOUNT")
    options |= {"authurl": environ["ROK4_SWIFT_AUTHURL"], "key": environ["ROK4_SWIFT_PASSWD"]}
    domain = environ.get("ROK4_KEYSTONE_DOMAINID")
    if domain:
        keystone = {"user_domain_id": domain, "project_id": environ.get("ROK4_KEYSTONE_PROJECTID")}
        options |= {"user": user, "auth_version": "3", "os_options": keystone}
    else:
        options |= {"user": f"{account}:{user}" if account else user, "auth_version": "1"}
    if storage:
        options["os_options"] = {**options.get("os_options", {}), "object_storage_url": storage}
    return options


class SwiftTransport:
    """Requests to one container, over a connection per thread."""

    def __init__(self, container: str, environ: Mapping[str, str] = os.environ) -> None:
        try:
            import swiftclient
        except ImportError:
            raise ConfigError("Swift needs the package python-swiftclient: pip install 'fastpyr[swift]'") from None
        self._client: Any = swiftclient
        self._container = container
        self._options = _connection_options(environ)
        self._threads = threading.local()

    def _ask(self, verb: str, *args: Any, **options: Any) -> Any:
        """One call of a swiftclient Connection, its errors explained; a token that ran out is renewed once."""
        for last in (False, True):
            try:
                connection = getattr(self._threads, "connection", None)
                if connection is None:
                    connection = self._threads.connection = self._client.Connection(**self._options)
                return getattr(connection, verb)(self._container, *args, **options)
            except Exception as error:
                self._threads.connection = None
                status = getattr(error, "http_status", None)
                if last or status not in (400, 401, 403) or "preauthtoken" in self._options:
                    raise self._explained(error, status) from None
        raise AssertionError("unreachable")

    def _explained(self, error: Exception, status: int | None) -> TransportError | ObjectMissing:
        if status == 404:
            return ObjectMissing()
        known = isinstance(error, self._client.ClientException)
        if status in (401, 403):
            return TransportError(
                f"access denied, the server answered {status}: check ROK4_SWIFT_USER, ROK4_SWIFT_PASSWD and "
                "ROK4_SWIFT_ACCOUNT, and what they may do in this container"
            )
        if status:
            reason = getattr(error, "http_reason", "") or ""
            again = (status >= 500 and status != 501) or status in _RETRIED_STATUSES
            return TransportError(f"the server answered {status} {reason}", retry=again)
        if known and "not found" not in str(error).lower() and "connect" not in str(error).lower():
            return TransportError(str(error)[:300])
        # What remains comes from the network: connections refused, reset, timed out, answers cut short.
        return TransportError(str(error)[:300] or type(error).__name__, retry=True, unreachable=True)

    def put(self, key: str, data: bytes) -> None:
        try:
            self._ask("put_object", key, data, content_length=len(data))
        except ObjectMissing:
            raise TransportError(f"container {self._container} does not exist: create it, or check its name") from None

    def get(self, key: str, offset: int, size: int) -> Part:
        headers = {"Range": f"bytes={offset}-{offset + size - 1}"}
        try:
            found, data = self._ask("get_object", key, headers=headers)
        except TransportError as error:
            if "answered 416" not in str(error):
                raise
            return Part(b"", self.stat(key).size, None)
        match = _CONTENT_RANGE.fullmatch(found.get("content-range", ""))
        if match is None:  # the whole object, although a part was asked for
            return Part(data[offset : offset + size], len(data), found.get("etag"))
        return Part(data, int(match[1]), found.get("etag"))

    def stat(self, key: str) -> Stat:
        found = self._ask("head_object", key)
        return Stat(int(found["content-length"]), parsedate_to_datetime(found["last-modified"]).timestamp())

    def list(self, folder: str, after: str | None) -> Iterator[Sequence[Entry]]:
        while True:
            try:
                _, found = self._ask("get_container", prefix=folder or None, marker=after, limit=_PAGE)
            except ObjectMissing:
                reason = f"container {self._container} does not exist: create it, or check its name"
                raise TransportError(reason) from None
            if not found:
                return
            yield [Entry(entry["name"], entry["bytes"]) for entry in found]
            after = found[-1]["name"]

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                self._ask("delete_object", key)
            except ObjectMissing:
                continue

    def copy(self, source: str, target: str) -> None:
        self._ask("copy_object", source, destination=f"/{self._container}/{target}")
