"""S3 buckets through obstore (optional: ``pip install 'fastpyr[s3]'``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from .layout import Layout, StorageType
from .objects import ObjectStore
from .retry import RetryPolicy
from .s3_access import S3Access, s3_access
from .transport import Entry, ObjectMissing, Part, Stat, TransportError, flag, number

__all__ = ["S3Transport", "s3_store"]

_MULTIPART = 16 * 2**20
"""Objects of more bytes travel in parts of that size."""

_PARTS_AT_ONCE = 4
_SMALL = 2**20
_TIMEOUT = 60.0
_LARGE_TIMEOUT = 300.0
"""Seconds for one request when ROK4_NETWORK_TIMEOUT is not set, and for one that uploads more than 1 MiB."""

_STATUS = re.compile(r"status code: ([0-9]{3})(?: ([A-Za-z ]+))?")
_CODE = re.compile(r"<Code>([^<]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,200})</Message>")
_KIND = re.compile(r"kind: (Connect|Timeout)\b")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")
_RETRIED_CODES = ("RequestTimeout", "OperationAborted", "SlowDown", "InternalError")
_RETRIED_STATUSES = (408, 409, 425, 429)
_REGION = "the bucket is in another region, set ROK4_S3_REGION or AWS_REGION"
_TOKEN = "the session token has run out or is not valid: get a new one (AWS_SESSION_TOKEN), and run the command again"
_CURES = {
    "RequestTimeTooSkewed": "set this machine's clock",
    "RequestExpired": "set this machine's clock",
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "PermanentRedirect": _REGION,
    "ExpiredToken": _TOKEN,
    "InvalidToken": _TOKEN,
    "TokenRefreshRequired": _TOKEN,
    "QuotaExceeded": "the quota is used up: free some space, or have it raised",
    "ServiceQuotaExceeded": "the quota is used up: free some space, or have it raised",
}
"""What helps, by the code of the answer."""


def s3_store(tray: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """The store of ``bucket`` or ``bucket@host[:port]``.

    Raises ConfigError when the environment does not say how to get in, or obstore is not installed.
    """
    bucket, at, host = tray.partition("@")
    if not _BUCKET.fullmatch(bucket) or (at and not host):
        raise ConfigError(f"{tray[:100]!r} is not the name of a bucket: expected bucket or bucket@host[:port]")
    access = s3_access(host if at else None, environ)
    retry = RetryPolicy.from_environment(environ)
    transport = S3Transport(bucket, access, retry, environ)
    layout = Layout(StorageType.S3, bucket)
    return ObjectStore(transport, layout, f"s3://{tray}", retry, lambda other: s3_store(f"{other}{at}{host}", environ))


class S3Transport:
    """Requests to one bucket, signed with version 4."""

    def __init__(
        self, bucket: str, access: S3Access, retry: RetryPolicy, environ: Mapping[str, str] = os.environ
    ) -> None:
        try:
            import obstore
            import obstore.store
        except ImportError:
            raise ConfigError("S3 needs the package obstore: pip install 'fastpyr[s3]'") from None
        self._obstore: Any = obstore
        self._bucket = bucket
        asked = number(environ, "ROK4_NETWORK_TIMEOUT", 0.001, 86400)
        small, large = asked or _TIMEOUT, asked or _LARGE_TIMEOUT
        self._store = self._client(access, environ, small, {"max_retries": 0})
        self._large_store = self._client(access, environ, large, {"max_retries": 0})
        # The parts of a very large object are sent again one by one, by the client itself.
        pause = timedelta(seconds=retry.wait if retry.wait is not None else 0.25)
        self._parts_store = self._client(
            access,
            environ,
            large,
            {
                "max_retries": retry.write_attempts - 1,
                "backoff": {"init_backoff": pause, "max_backoff": max(pause, timedelta(seconds=15)), "base": 2},
                "retry_timeout": timedelta(seconds=retry.write_attempts * (large + 60)),
            },
        )

    def _client(self, access: S3Access, environ: Mapping[str, str], seconds: float, retry: dict[str, Any]) -> Any:
        options: dict[str, Any] = {
            "timeout": timedelta(seconds=seconds),
            "connect_timeout": timedelta(seconds=min(seconds, 10)),
            "allow_http": access.endpoint is not None and access.endpoint.startswith("http://"),
        }
        if flag(environ, "ROK4_SSL_NO_VERIFY"):
            options["allow_invalid_certificates"] = True
        elif environ.get("AWS_CA_BUNDLE"):
            options["root_certificate"] = _certificates(environ["AWS_CA_BUNDLE"])
        virtual_host = access.virtual_host and (access.endpoint is not None or "." not in self._bucket)
        config: dict[str, Any] = {"region": access.region, "virtual_hosted_style_request": virtual_host}
        if access.endpoint is not None:
            config["endpoint"] = _with_bucket(access.endpoint, self._bucket) if virtual_host else access.endpoint
        if access.anonymous:
            config["skip_signature"] = True
        provider = {}
        if access.key is not None:
            # Given this way, so that AWS_* variables meant for another cluster cannot mix in.
            fixed = {
                "access_key_id": access.key,
                "secret_access_key": access.secret,
                "token": access.token,
                "expires_at": None,
            }
            provider = {"credential_provider": lambda: fixed}
        try:
            return self._obstore.store.S3Store(
                self._bucket, config=config, client_options=options, retry_config=retry, **provider
            )
        except (self._obstore.exceptions.BaseError, ValueError) as error:
            raise ConfigError(f"S3 bucket {self._bucket}: {_first_line(error)}") from None

    def put(self, key: str, data: bytes) -> None:
        try:
            if len(data) <= _MULTIPART:
                client = self._store if len(data) <= _SMALL else self._large_store
                self._obstore.put(client, key, data, use_multipart=False)
            else:
                self._obstore.put(self._parts_store, key, data, chunk_size=_MULTIPART, max_concurrency=_PARTS_AT_ONCE)
        except Exception as error:
            failure = self._explained(error)
            if isinstance(failure, ObjectMissing):
                raise TransportError("the server says 404 Not Found to a write") from None
            raise failure from None

    def get(self, key: str, offset: int, size: int) -> Part:
        try:
            found = self._obstore.get(self._store, key, options={"range": (offset, offset + size)})
            return Part(found.bytes().to_bytes(), found.meta["size"], found.meta["e_tag"])
        except Exception as error:
            if "status code: 416" not in str(error):
                raise self._explained(error) from None
        # Nothing there at that offset: an empty object, or one that ends before.
        return Part(b"", self.stat(key).size, None)

    def stat(self, key: str) -> Stat:
        try:
            found = self._obstore.head(self._store, key)
        except Exception as error:
            raise self._explained(error) from None
        return Stat(found["size"], found["last_modified"].timestamp())

    def list(self, folder: str, after: str | None) -> Iterator[Sequence[Entry]]:
        try:
            for page in self._obstore.list(self._store, folder or None, offset=after, chunk_size=1000):
                yield [Entry(found["path"], found["size"]) for found in page]
        except Exception as error:
            raise self._explained(error) from None

    def delete(self, keys: Sequence[str]) -> None:
        try:
            self._obstore.delete(self._store, list(keys))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._explained(error) from None
        except Exception as error:
            raise self._explained(error) from None

    def copy(self, source: str, target: str) -> None:
        try:
            self._obstore.copy(self._store, source, target)
        except Exception as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> TransportError | ObjectMissing:
        """What an error of obstore means. Its first line ends with the server's answer."""
        text = str(error)
        status, code, message = _STATUS.search(text), _CODE.search(text), _MESSAGE.search(text)
        name = code[1] if code else ""
        if name == "NoSuchBucket":
            return TransportError(f"bucket {self._bucket} does not exist: create it, or check its name")
        if isinstance(error, FileNotFoundError):
            return ObjectMissing()
        if not status:
            return self._unanswered(error, text)
        detail = f" ({': '.join(part[1] for part in (code, message) if part)})" if code else ""
        answer = f"the server answered {status[1]} {(status[2] or '').strip()}".rstrip() + detail
        number = int(status[1])
        if name in _CURES:
            return TransportError(f"{answer}: {_CURES[name]}")
        if number == 400 and not name:  # answers to HEAD have no body
            return TransportError(f"{answer}: check the region (ROK4_S3_REGION, AWS_REGION) and the session token")
        if number in (401, 403):
            clock = "" if name else "this machine's clock, "  # answers to HEAD do not say what is denied
            return TransportError(
                f"access denied, {answer}: check the key and the secret key (ROK4_S3_KEY, ROK4_S3_SECRETKEY or AWS_*), "
                f"{clock}and what they may do in this bucket"
            )
        if number in (301, 307, 308) or "redirect" in text.partition("\n")[0].lower():
            return TransportError(f"{answer}: {_REGION}")
        # The client has sent the parts of a large object again already.
        again = (number >= 500 and number != 501) or number in _RETRIED_STATUSES or name in _RETRIED_CODES
        return TransportError(answer, retry=again and not _was_retried(text))

    def _unanswered(self, error: Exception, text: str) -> TransportError:
        """A request that got no answer, or only the beginning of one."""
        if isinstance(error, ValueError):
            return TransportError(_first_line(error))
        line = _first_line(error)
        if "redirect" in line.lower():
            return TransportError(_REGION)
        kind = _KIND.search(text)
        reason = line.rpartition(" - ")[2] or line
        if kind and kind[1] == "Connect":
            reason = "the server cannot be reached: check its address (ROK4_S3_URL, AWS_ENDPOINT_URL) and the network"
        elif kind:
            reason = "no complete answer in time (ROK4_NETWORK_TIMEOUT)"
        again = isinstance(error, self._obstore.exceptions.BaseError) and not _was_retried(text)
        return TransportError(reason, retry=again, unreachable=kind is not None and kind[1] == "Connect")


def _was_retried(text: str) -> bool:
    return re.search(r"after [1-9][0-9]* retries", text.partition("\n")[0]) is not None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]


def _with_bucket(endpoint: str, bucket: str) -> str:
    """The endpoint of a bucket that is part of the host's name."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{bucket}.{parts.netloc}"


def _certificates(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"AWS_CA_BUNDLE: cannot read {path}: {reason}") from None
