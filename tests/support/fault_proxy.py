"""A proxy in front of an HTTP server that misbehaves on demand."""

import asyncio
import contextlib
import struct
import threading
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import urlsplit

_STATUSES = {
    "500": ("500 Internal Server Error", "InternalError"),
    "503": ("503 Service Unavailable", "SlowDown"),
    "429": ("429 Too Many Requests", "TooManyRequests"),
    "400": ("400 Bad Request", "InvalidArgument"),
    "400-timeout": ("400 Bad Request", "RequestTimeout"),
    "403": ("403 Forbidden", "AccessDenied"),
    "key": ("403 Forbidden", "InvalidAccessKeyId"),
    "clock": ("403 Forbidden", "RequestTimeTooSkewed"),
    "region": ("400 Bad Request", "AuthorizationHeaderMalformed"),
    "moved": ("301 Moved Permanently", "PermanentRedirect"),
    "token": ("400 Bad Request", "ExpiredToken"),
    "quota": ("403 Forbidden", "QuotaExceeded"),
    "no bucket": ("404 Not Found", "NoSuchBucket"),
}

RETRYABLE = ["500", "503", "429", "400-timeout", "reset", "reset-after", "truncate", "short", "stall", "slow"]
"""What a client should survive. ``reset`` breaks the connection before the server sees the request, ``reset-after``
when it has answered; ``truncate`` ends in the middle of the body, ``short`` too but with a header that agrees;
``stall`` says nothing for ``stall`` seconds, ``slow`` lets bytes trickle."""

FATAL = ["403", "400"]


class FaultProxy:
    """Context manager; ``url`` is its address. ``fault(number, method, target)`` names the fault for each request.

    ``rate``: bytes per second of uploads and downloads together, None for as fast as possible.
    """

    def __init__(self, upstream, fault=None, stall=3.0, rate=None):
        parts = urlsplit(upstream)
        self._upstream = parts.hostname, parts.port
        self.fault = fault or (lambda number, method, target: None)
        self.requests = 0
        self.log = []
        self.faults = 0
        self._stall = stall
        self._rate = rate
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc_info):
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    async def _serve(self):
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self._line = asyncio.Lock()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _client(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._request(reader, writer):
                pass
        writer.close()

    async def _request(self, reader, writer):
        """Handle one request; whether the connection may go on."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        body = await reader.readexactly(_length(head))
        await self._pass(len(body))
        self.requests += 1
        self.log.append((method, target))
        fault = self.fault(self.requests, method, target)
        self.faults += fault is not None
        if fault == "400-timeout" and method == "HEAD":
            fault = None  # servers say this about a body that came too slowly
        if fault in _STATUSES:
            status, code = _STATUSES[fault]
            text = b"" if method == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
            return True
        if fault == "reset":
            return _reset(writer)
        if fault == "stall":
            await asyncio.sleep(self._stall)
            return _reset(writer)
        answer_head, answer = await self._forward(method, head, body)
        await self._pass(len(answer))
        if fault == "reset-after":
            return _reset(writer)
        if fault == "slow":
            await _trickle(writer, answer_head + answer)
            return True
        if fault == "truncate" and answer:
            writer.write(answer_head + answer[: len(answer) // 2])
            await writer.drain()
            return False
        if fault == "short" and len(answer) > 1:
            half = answer[: len(answer) // 2]
            lines = [line for line in answer_head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
            lines.insert(1, b"Content-Length: %d" % len(half))
            writer.write(b"\r\n".join(lines) + half)
            await writer.drain()
            return True
        writer.write(answer_head + answer)
        await writer.drain()
        return True

    async def _pass(self, size):
        """Take the time that so many bytes need on the line, which all connections share."""
        if self._rate:
            async with self._line:
                await asyncio.sleep(size / self._rate)

    async def _forward(self, method, head, body):
        """The server's answer: head and body, the body's length always in the head."""
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            lines.insert(1, b"Connection: close")
            writer.write(b"\r\n".join(lines) + body)
            await writer.drain()
            answer_head = await reader.readuntil(b"\r\n\r\n")
            answer = b"" if method == "HEAD" else await reader.read(-1)
        finally:
            writer.close()
        lowered = answer_head.lower()
        if b"transfer-encoding: chunked" in lowered:
            answer = _joined(answer)
        dropped = (b"connection:", b"transfer-encoding:", *((b"content-length:",) if method != "HEAD" else ()))
        lines = [line for line in answer_head.split(b"\r\n") if not line.lower().startswith(dropped)]
        if method != "HEAD" and not lines[0].split(b" ")[1].startswith((b"1", b"204")):
            lines.insert(1, b"Content-Length: %d" % len(answer))
        return b"\r\n".join(lines), answer


def _length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _joined(chunked):
    """The body of a chunked answer."""
    body = b""
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        length = int(size, 16)
        body, chunked = body + chunked[:length], chunked[length + 2 :]
    return body


def _reset(writer):
    """Break the connection so that the client sees a reset, not an end."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def _trickle(writer, data):
    """Send in 20 pieces with pauses, and a few single bytes first."""
    for start in range(8):
        writer.write(data[start : start + 1])
        await writer.drain()
        await asyncio.sleep(0.005)
    step = max(len(data) // 20, 1)
    for start in range(8, len(data), step):
        writer.write(data[start : start + step])
        await writer.drain()
        await asyncio.sleep(0.005)
