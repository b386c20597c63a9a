"""Requests and answers, whatever brings them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..frozen import frozen

__all__ = ["Answer", "Asked", "json_answer"]


@frozen
class Asked:
    """A request. ``path`` is decoded; ``base`` is the URL of the server's root, without a slash at its end."""

    path: str
    query: Mapping[str, str]
    base: str
    if_none_match: str | None = None
    takes_deflate: bool = False


@dataclass(slots=True)
class Answer:
    """An answer without what is the same for all."""

    status: int
    body: bytes
    media_type: str
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), "application/json")
