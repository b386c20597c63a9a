"""Which S3 cluster a bucket is in and how to get in, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import ConfigError
from .transport import flag

__all__ = ["S3Access", "s3_access"]

_ROLE_VARIABLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True, slots=True)
class S3Access:
    """A cluster and its credentials.

    ``endpoint`` is None for the provider's own (AWS). ``key`` is None when the credentials of a role are looked up at
    run time, or, with ``anonymous``, when requests are not signed.
    """

    endpoint: str | None
    region: str
    virtual_host: bool
    key: str | None = None
    secret: str | None = None
    token: str | None = None
    anonymous: bool = False


def s3_access(host: str | None, environ: Mapping[str, str] = os.environ) -> S3Access:
    """The cluster ``host[:port]`` of ROK4_S3_URL, or the first one there when ``host`` is None.

    Without ROK4_S3_URL the AWS_* variables decide; a host then names the endpoint. Raises ConfigError: lists of
    different length, an unknown host, no credentials at all.
    """
    if environ.get("ROK4_S3_URL", "").strip():
        return _rok4_access(host, environ)
    return _aws_access(host, environ)


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in environ.get(name, "").split(",")] if environ.get(name, "").strip() else []


def _url(text: str, name: str) -> str:
    """An endpoint without slash at its end; https where no scheme is given."""
    url = (text if "://" in text else f"https://{text}").rstrip("/")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{name}: {text[:100]!r} is not the address of a server: expected http(s)://host[:port]")
    return url


def _is_host(url: str, host: str) -> bool:
    """Whether ``host[:port]`` means the server at ``url``; a port may be left out."""
    parts = urlsplit(url)
    name, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    return host.lower() in (name, f"{name}:{port}")


def _rok4_access(host: str | None, environ: Mapping[str, str]) -> S3Access:
    names = ("ROK4_S3_URL", "ROK4_S3_KEY", "ROK4_S3_SECRETKEY")
    urls, keys, secrets = (_words(environ, name) for name in names)
    if not len(urls) == len(keys) == len(secrets):
        counts = f"{len(urls)}, {len(keys)} and {len(secrets)}"
        raise ConfigError(f"{', '.join(names)} have {counts} values: give one of each per cluster, separated by commas")
    urls = [_url(url, "ROK4_S3_URL") for url in urls]
    number = 0
    if host is not None:
        found = [i for i, url in enumerate(urls) if _is_host(url, host)]
        if not found:
            known = ", ".join(urlsplit(url).netloc for url in urls)
            raise ConfigError(f"no S3 cluster {host!r}: ROK4_S3_URL has {known}")
        number = found[0]
    return S3Access(
        urls[number],
        environ.get("ROK4_S3_REGION") or _aws_region(environ),
        flag(environ, "ROK4_S3_USE_VIRTUAL_HOST"),
        keys[number],
        secrets[number],
    )


def _aws_region(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _aws_access(host: str | None, environ: Mapping[str, str]) -> S3Access:
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None
    if endpoint is not None:
        endpoint = _url(endpoint, "AWS_ENDPOINT_URL")
    if host is not None and (endpoint is None or not _is_host(endpoint, host)):
        endpoint = _url(host, "the host of the bucket")
    region = environ.get("ROK4_S3_REGION") or _aws_region(environ)
    virtual_host = endpoint is None or flag(environ, "ROK4_S3_USE_VIRTUAL_HOST")
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return S3Access(endpoint, region, virtual_host, key, secret, environ.get("AWS_SESSION_TOKEN") or None)
    if flag(environ, "AWS_SKIP_SIGNATURE"):
        return S3Access(endpoint, region, virtual_host, anonymous=True)
    if any(environ.get(name) for name in _ROLE_VARIABLES):
        return S3Access(endpoint, region, virtual_host)
    raise ConfigError(
        "no S3 credentials: set ROK4_S3_URL, ROK4_S3_KEY and ROK4_S3_SECRETKEY, "
        "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL, AWS_REGION)"
    )
