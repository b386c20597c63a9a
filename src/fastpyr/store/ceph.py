"""Ceph pools through librados' own Python module (Debian: ``apt install python3-rados``)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigError
from .layout import Layout, StorageType
from .objects import ObjectStore
from .retry import RetryPolicy
from .transport import Entry, ObjectMissing, Part, Stat, TransportError, number

__all__ = ["CephTransport", "ceph_store"]

_PIECE = 16 * 2**20
"""Bytes of one operation: a cluster refuses those of more than 90 MB."""

_PAGE = 1000


def ceph_store(pool: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """The store of a pool. Raises ConfigError when the cluster cannot be configured or joined."""
    retry = RetryPolicy.from_environment(environ)
    transport = CephTransport(pool, environ)
    layout = Layout(StorageType.CEPH, pool)
    return ObjectStore(transport, layout, f"ceph://{pool}", retry, lambda other: ceph_store(other, environ))


class CephTransport:
    """Operations on one pool. The cluster is joined at the first one."""

    def __init__(self, pool: str, environ: Mapping[str, str] = os.environ) -> None:
        try:
            import rados
        except ImportError:
            raise ConfigError(
                "Ceph needs the Python module rados, which comes with Ceph (Debian: apt install python3-rados)"
            ) from None
        self._rados: Any = rados
        self._pool = pool
        user = environ.get("ROK4_CEPH_USERNAME") or "client.admin"
        self._options = {
            "conffile": environ.get("ROK4_CEPH_CONFFILE") or "",  # empty: the usual places
            "name": user if user.startswith("client.") else f"client.{user}",
            "clustername": environ.get("ROK4_CEPH_CLUSTERNAME") or "ceph",
        }
        seconds = number(environ, "ROK4_NETWORK_TIMEOUT", 0.001, 86400) or 120.0
        self._limits = {name: str(max(round(seconds), 1)) for name in ("rados_osd_op_timeout", "rados_mon_op_timeout")}
        self._lock = threading.Lock()
        self._pool_handle: Any = None

    def _handle(self) -> Any:
        with self._lock:
            if self._pool_handle is None:
                cluster = self._rados.Rados(**self._options)
                for name, value in self._limits.items():
                    cluster.conf_set(name, value)
                cluster.connect()
                try:
                    self._pool_handle = cluster.open_ioctx(self._pool)
                except self._rados.ObjectNotFound:
                    reason = f"pool {self._pool} does not exist: create it, or check its name"
                    raise TransportError(reason) from None
            return self._pool_handle

    def _ask(self, verb: str, *args: Any) -> Any:
        try:
            return getattr(self._handle(), verb)(*args)
        except self._rados.ObjectNotFound:
            if self._pool_handle is None:
                raise TransportError("no Ceph configuration: set ROK4_CEPH_CONFFILE") from None
            raise ObjectMissing from None
        except (self._rados.PermissionError, self._rados.PermissionDeniedError) as error:
            reason = f"access denied ({error}): check ROK4_CEPH_USERNAME and its keyring"
            raise TransportError(reason) from None
        except (self._rados.TimedOut, self._rados.InterruptedOrTimeoutError, self._rados.IOError) as error:
            raise TransportError(str(error), retry=True, unreachable=self._pool_handle is None) from None
        except self._rados.Error as error:
            raise TransportError(str(error)) from None

    def put(self, key: str, data: bytes) -> None:
        """In one operation up to 16 MiB; a larger object grows piece by piece, so put what leads to it afterwards."""
        self._ask("write_full", key, data[:_PIECE])
        for start in range(_PIECE, len(data), _PIECE):
            self._ask("write", key, data[start : start + _PIECE], start)

    def get(self, key: str, offset: int, size: int) -> Part:
        total, modified = self._ask("stat", key)
        data = self._ask("read", key, max(min(size, total - offset), 0), offset) if offset < total else b""
        return Part(data, total, str(modified))

    def stat(self, key: str) -> Stat:
        size, modified = self._ask("stat", key)
        seconds = modified.timestamp() if hasattr(modified, "timestamp") else _seconds(modified)
        return Stat(int(size), seconds)

    def list(self, folder: str, after: str | None) -> Iterator[Sequence[Entry]]:
        """A pool has no order and no folders: all its names are looked through."""
        found = (entry.key for entry in self._ask("list_objects"))
        keys = sorted(key for key in found if key.startswith(folder) and (after is None or key > after))
        for start in range(0, len(keys), _PAGE):
            yield [Entry(key) for key in keys[start : start + _PAGE]]

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                self._ask("remove_object", key)
            except ObjectMissing:
                continue

    def copy(self, source: str, target: str) -> None:
        size = self.stat(source).size
        self._ask("write_full", target, self._ask("read", source, min(size, _PIECE), 0))
        for start in range(_PIECE, size, _PIECE):
            self._ask("write", target, self._ask("read", source, min(size - start, _PIECE), start), start)


def _seconds(modified: Any) -> float:
    """librados gives a time.struct_time of local time."""
    import time

    return time.mktime(modified)
