"""Tiles that need no waiting, answered where their requests arrive: before HTTP parser, tasks and application.

A framework takes ten times as long for a request as the tile itself. A request whose bytes came in one piece, for a
tile of an open slab that is in the memory of the system, is answered at once; every other one, and every one that is
out of the ordinary, goes its usual way, which gives the same answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from ..frozen import frozen
from ..tiles.answer import Answer, Asked, NotNow, Origin
from ..tiles.service import ROOTS, TileService, matches
from .guard import EXTRA_HEADERS, is_known_host
from .tiles import TileSettings, answer_headers

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["FastTiles", "fast_protocol"]

_MAX_HEAD = 4096
_MAX_HEADS = 512
_MAX_TILES = 1 << 16
_ROOTS = tuple(f"/{root}".encode() for root in ROOTS)
_ORDINARY = frozenset(
    b"accept accept-encoding accept-language authorization cache-control connection cookie dnt host if-none-match "
    b"origin pragma priority referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode "
    b"sec-fetch-site sec-gpc user-agent".split()
)
"""Headers of a request that may come this way; what any other one asks for is left to those who know it."""


@frozen
class _Head:
    """What matters of the headers of a request. ``host`` is the value of that header."""

    host: str
    authorization: str | None
    if_none_match: str | None


@frozen
class _Known:
    """A tile that was answered before: where it is, and all but the date of its two answers."""

    origin: Origin
    etag: str
    found: bytes
    same: bytes


class FastTiles:
    """Answers to requests in bytes. For one event loop."""

    def __init__(self, service: TileService, settings: TileSettings, hosts: Collection[str] | None) -> None:
        self._service = service
        self._settings = settings
        self._hosts = hosts
        self._heads: dict[bytes, _Head | None] = {}
        self._tiles: dict[bytes, _Known] = {}

    def reply(self, target: bytes, rest: bytes) -> tuple[bytes, bytes | bytearray] | None:
        """Head (without date and empty line) and body of the answer to ``GET target``, ``rest`` what follows on it.

        None where the request should go its usual way.
        """
        try:
            head = self._heads[rest]
        except KeyError:
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            head = self._heads[rest] = self._read_head(rest)
        if head is None:
            return None
        access = self._settings.access
        if not access.is_open and not access.allows(head.authorization):
            return None
        known = self._tiles.get(target)
        if known is None:
            return self._first(target, head)
        origin = known.origin
        slab = self._service.slabs.fresh(origin.key)
        layer = origin.layer
        if slab is None or slab.generation != origin.generation or self._service.catalogue.ready(layer.id) is not layer:
            del self._tiles[target]
            return self._first(target, head)
        if head.if_none_match is not None and matches(head.if_none_match, known.etag):
            return known.same, b""
        data = slab.read_now(origin.offset, origin.size)
        if data is None:
            return None
        return known.found, origin.prefix + data if origin.prefix else data

    def _first(self, target: bytes, head: _Head) -> tuple[bytes, bytes | bytearray] | None:
        if not target.startswith(_ROOTS) or not target.isascii():
            return None
        path, _, query = target.decode("ascii").partition("?")
        if len(target) > 1000 or "#" in path:
            return None
        try:
            values = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=50)) if query else {}
            base = self._settings.public_url or f"http://{head.host}"
            asked = Asked(unquote(path) if "%" in path else path, values, base, None, False, True)
            if asked.path.split("/", 2)[1] not in ROOTS:
                return None
            answer = self._service.answer(asked)
        except (NotNow, ValueError):
            return None
        if answer.status != 200 or answer.etag is None or answer.origin is None:
            return None
        same = Answer(304, b"", answer.media_type, answer.etag, answer.headers)
        known = _Known(answer.origin, answer.etag, self._head_of(answer), self._head_of(same))
        if len(self._tiles) >= _MAX_TILES:
            self._tiles.clear()
        self._tiles[target] = known
        if head.if_none_match is not None and matches(head.if_none_match, answer.etag):
            return known.same, b""
        return known.found, answer.body

    def _head_of(self, answer: Answer) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}".encode()]
        headers = answer_headers(answer, self._settings)
        given = {name for name, _ in headers}
        headers += [(name, value) for name, value in EXTRA_HEADERS if name not in given]
        return b"\r\n".join(lines + [name + b": " + value for name, value in headers]) + b"\r\n"

    def _read_head(self, rest: bytes) -> _Head | None:
        """Headers of a request that is whole, alone and ordinary; None for any other."""
        if len(rest) > _MAX_HEAD or not rest.startswith(b" HTTP/1.1\r\n") or rest.find(b"\r\n\r\n") != len(rest) - 4:
            return None
        values: dict[bytes, str] = {}
        for line in rest[11:-4].split(b"\r\n"):
            name, colon, value = line.partition(b":")
            name = name.lower()
            if not colon or name not in _ORDINARY or name in values or b"\n" in line or b"\r" in line or b"\0" in line:
                return None
            values[name] = value.strip(b" \t").decode("latin-1")
        host = values.get(b"host", "")
        if not host or not is_known_host(host, self._hosts):
            return None
        if values.get(b"connection", "keep-alive").lower() != "keep-alive":
            return None
        return _Head(host, values.get(b"authorization"), values.get(b"if-none-match"))


def fast_protocol(fast: FastTiles) -> type[Any] | None:
    """The class of connections for uvicorn, None where the packages that it needs are missing."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return None

    class FastProtocol(HttpToolsProtocol):
        """A connection. Between two requests it looks at what arrives before the parser does."""

        _is_between = True
        _last = 0.0
        _dates: Any = None
        _date = b""

        def on_message_begin(self) -> None:
            self._is_between = False
            super().on_message_begin()

        def on_message_complete(self) -> None:
            self._is_between = True
            super().on_message_complete()

        def data_received(self, data: bytes) -> None:
            if (
                self._is_between
                and data.startswith(b"GET /")
                and (self.cycle is None or self.cycle.response_complete)
                and not self.flow.write_paused
                and not self.transport.is_closing()
            ):
                end = data.find(b" ", 5)
                reply = fast.reply(data[4:end], data[end:]) if end > 0 else None
                if reply is not None:
                    self._send(*reply)
                    return
            super().data_received(data)

        def _send(self, head: bytes, body: bytes | bytearray) -> None:
            dates = self.server_state.default_headers
            if dates is not self._dates:
                self._dates = dates
                self._date = b"".join(name + b": " + value + b"\r\n" for name, value in dates) + b"\r\n"
            self.transport.writelines((head + self._date, body) if body else (head + self._date,))
            self._last = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._watch(self.timeout_keep_alive)

        def _watch(self, seconds: float) -> None:
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def timeout_keep_alive_handler(self) -> None:
            left = self._last + self.timeout_keep_alive - self.loop.time()
            if left > 0:
                self._watch(left)
            else:
                super().timeout_keep_alive_handler()

    return FastProtocol
