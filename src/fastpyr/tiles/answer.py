"""Requests and answers, whatever brings them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..frozen import frozen

if TYPE_CHECKING:
    from .layer import Layer
    from .slabs import SlabKey

__all__ = ["Answer", "Asked", "NotNow", "Origin", "json_answer"]


class NotNow(Exception):
    """The answer would have to wait for a disk, a network or a computation, and the request says not to."""


@frozen
class Asked:
    """A request. ``path`` is decoded; ``base`` is the URL of the server's root, without a slash at its end.

    ``now``: an answer that cannot be had without waiting raises NotNow.
    """

    path: str
    query: Mapping[str, str]
    base: str
    if_none_match: str | None = None
    takes_deflate: bool = False
    now: bool = False


@frozen
class Origin:
    """Where the bytes of an answer are: ``prefix``, then ``size`` bytes of a slab that is open."""

    layer: Layer
    key: SlabKey
    generation: int
    offset: int
    size: int
    prefix: bytes


@dataclass(slots=True)
class Answer:
    """An answer without what is the same for all."""

    status: int
    body: bytes | bytearray
    media_type: str
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    origin: Origin | None = None


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), "application/json")
