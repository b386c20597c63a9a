"""Who may come in: everybody, a user with a password, or the bearer of a token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field

__all__ = ["EXPIRES_IN", "Access"]

EXPIRES_IN = 3600
"""Seconds that a token from ``POST /token`` is good for."""


@dataclass(slots=True)
class Access:
    """The credentials asked for. With neither ``user`` nor ``token``, all are welcome.

    A user comes with his password, in the header of each request or to get a token by it; ``token`` is one that is
    always good. Tokens that are given out are signed with ``secret``: whoever has it knows them.
    """

    user: str | None = None
    password: str | None = None
    token: str | None = None
    secret: str = field(default_factory=lambda: secrets.token_hex(32))

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
        stamp = f"{int(time.time()) + EXPIRES_IN}-{secrets.token_hex(8)}"
        return f"{stamp}-{self._signature(stamp)}"

    def allows(self, authorization: str | None) -> bool:
        """Whether a request with that header may come in."""
        if self.is_open:
            return True
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            known = self.token is not None and _same(value, self.token)
            return known or self._is_issued(value)
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
            except ValueError:
                return False
            return self._knows(user, password)
        return False

    def _signature(self, stamp: str) -> str:
        return hmac.new(self.secret.encode(), stamp.encode(), hashlib.sha256).hexdigest()

    def _is_issued(self, token: str) -> bool:
        stamp, _, signature = token.rpartition("-")
        if not _same(signature, self._signature(stamp)):
            return False
        return int(stamp.partition("-")[0]) > time.time()

    def _knows(self, user: str, password: str) -> bool:
        if self.user is None:
            return False
        right_user, right_password = _same(user, self.user), _same(password, self.password or "")
        return right_user and right_password


def _same(given: str, wanted: str) -> bool:
    """Equality in a time that tells nothing about where two texts differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
