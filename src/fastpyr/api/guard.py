"""What every request passes and every answer carries: names of hosts, origins, sizes, headers."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["EXTRA_HEADERS", "Guard", "is_known_host"]

EXTRA_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        b"form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""Of all answers that do not have them with another value."""

_MAX_BODY = 1 << 20
_UPLOADS = ("/data", "/md5")
_SAFE = ("GET", "HEAD", "OPTIONS")
_DRAINED = 64 << 20
"""Bytes of a refused body that are still taken: a client that is sending would not hear the answer."""


class Guard:
    """ASGI middleware.

    ``hosts``: names under which the server may be called, None for any: a page that lets its own name point to this
    machine must not get in. A browser's request that changes something must come from a page of ours. Bodies are
    limited to 1 MiB, those of files to ``max_upload`` bytes and a little more for their wrapping.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = None, max_upload: int = 1 << 40) -> None:
        self._app = app
        self._hosts = hosts
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        refusal = self._refusal(scope["method"], host, headers.get(b"origin"))
        if refusal:
            await _refuse(send, 403, refusal)
            return
        limit = self._max_upload + (1 << 16) if scope["path"].endswith(_UPLOADS) else _MAX_BODY
        length = headers.get(b"content-length", "0")
        if len(length) > 18 or (length.isascii() and length.isdigit() and int(length) > limit):
            await _drain(receive)
            await _refuse(send, 400, f"the body of {length[:18]} bytes is larger than the {limit} that are taken")
            return
        await self._app(scope, _limited(receive, limit), _with_headers(send))

    def _refusal(self, method: str, host: str, origin: str | None) -> str | None:
        if not is_known_host(host, self._hosts):
            return f"this server does not answer to the name {host[:100]!r}"
        if origin is not None and method not in _SAFE and origin.partition("://")[2] != host:
            return f"a page of {origin[:100]!r} may change nothing here"
        return None


def is_known_host(host: str, hosts: Collection[str] | None) -> bool:
    """Whether the header Host has one of the names in ``hosts`` (None: any), with or without a port."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return hosts is None or name.strip("[]").lower() in hosts


def _limited(receive: Receive, limit: int) -> Receive:
    """``receive`` that ends the connection when a body is longer than it may be."""
    got = 0

    async def limited() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return {"type": "http.disconnect"} if got > limit else message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message.get("headers", [])}
            extra = [(name, value) for name, value in EXTRA_HEADERS if name not in known]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending


async def _drain(receive: Receive) -> None:
    got = 0
    while got < _DRAINED:
        message = await receive()
        got += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": "forbidden" if status == 403 else "bad_request", "error_description": [text]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *EXTRA_HEADERS]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
