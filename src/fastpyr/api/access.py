"""Who may come in: everybody, a user with a password, or the bearer of a token."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from dataclasses import dataclass, field

__all__ = ["EXPIRES_IN", "Access"]

EXPIRES_IN = 3600
"""Seconds that a token from ``POST /token`` is good for."""
_MAX_TOKENS = 10_000


@dataclass(slots=True)
class Access:
    """The credentials asked for. With neither ``user`` nor ``token``, all are welcome.

    A user comes with his password, in the header of each request or to get a token by it; ``token`` is one that is
    always good.
    """

    user: str | None = None
    password: str | None = None
    token: str | None = None
    _issued: dict[str, float] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.user is None and self.token is None

    @property
    def challenge(self) -> str:
        """What is asked of somebody who has not come in, as the header WWW-Authenticate has it."""
        return f'{"Bearer" if self.user is None else "Basic"} realm="fastpyr"'

    def issue(self, user: str, password: str) -> str | None:
        """A new token, None for wrong credentials. An open platform takes any."""
        if not self.is_open and not self._knows(user, password):
            return None
        now = time.monotonic()
        if len(self._issued) >= _MAX_TOKENS:
            self._issued = {token: end for token, end in self._issued.items() if end > now}
        token = secrets.token_urlsafe(32)
        if not self.is_open:
            self._issued[token] = now + EXPIRES_IN
        return token

    def allows(self, authorization: str | None) -> bool:
        """Whether a request with that header may come in."""
        if self.is_open:
            return True
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            known = self.token is not None and _same(value, self.token)
            return known or self._issued.get(value, 0.0) > time.monotonic()
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
            except ValueError:
                return False
            return self._knows(user, password)
        return False

    def _knows(self, user: str, password: str) -> bool:
        if self.user is None:
            return False
        right_user, right_password = _same(user, self.user), _same(password, self.password or "")
        return right_user and right_password


def _same(given: str, wanted: str) -> bool:
    """Equality in a time that tells nothing about where two texts differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
