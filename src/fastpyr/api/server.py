"""Running the application in this process."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from .fast import fast_protocol

__all__ = ["listen", "loopback_names", "serve"]


def loopback_names(host: str) -> frozenset[str] | None:
    """Names under which a server on ``host`` may be called: those of this machine for a loopback address, None (any)
    for another."""
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(host).is_loopback:
            return None
        return frozenset((host, "localhost", "127.0.0.1", "::1"))
    return frozenset(("localhost", "127.0.0.1", "::1")) if host == "localhost" else None


def listen(host: str, port: int, *, shared: bool = False, is_first: bool = True) -> socket.socket:
    """A socket that listens; ``shared``: others of this user may listen there too, once the first one has seen that
    nobody does yet. Raises ConfigError when the address cannot be had."""
    if shared and is_first and port:
        listen(host, port).close()
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return bound


def serve(app: Any, bound: socket.socket, ready: Callable[[], object]) -> None:
    """Answer requests until the process is asked to end (Ctrl-C, SIGTERM). ``ready`` is called when it begins."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(
        app,
        http=fast_protocol(app.state.fast) or "auto",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=30,
        server_header=False,
    )
    Server(config).run(sockets=[bound])
