"""Which cluster and which credentials the environment gives."""

import pytest

from fastpyr.errors import ConfigError
from fastpyr.store.s3 import s3_store
from fastpyr.store.s3_access import S3Access, s3_access

TWO = {
    "ROK4_S3_URL": "http://one:9000, https://two.example.org",
    "ROK4_S3_KEY": "k1,k2",
    "ROK4_S3_SECRETKEY": "s1, s2",
}
AWS = {"AWS_ACCESS_KEY_ID": "ak", "AWS_SECRET_ACCESS_KEY": "as"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (None, ("http://one:9000", "k1", "s1")),
        ("one:9000", ("http://one:9000", "k1", "s1")),
        ("one", ("http://one:9000", "k1", "s1")),
        ("ONE", ("http://one:9000", "k1", "s1")),
        ("two.example.org", ("https://two.example.org", "k2", "s2")),
        ("two.example.org:443", ("https://two.example.org", "k2", "s2")),
    ],
)
def test_clusters(host, expected):
    access = s3_access(host, TWO)
    assert (access.endpoint, access.key, access.secret) == expected
    assert (access.region, access.virtual_host, access.token) == ("us-east-1", False, None)


@pytest.mark.parametrize("host", ["three", "one:9001", "two.example.org:80", ""])
def test_unknown_clusters(host):
    with pytest.raises(ConfigError, match=r"ROK4_S3_URL has one:9000, two\.example\.org"):
        s3_access(host, TWO)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ROK4_S3_KEY": "k1"}, "have 2, 1 and 2 values"),
        ({"ROK4_S3_SECRETKEY": ""}, "have 2, 2 and 0 values"),
        ({"ROK4_S3_URL": "http://one:9000,ftp://two"}, "'ftp://two' is not the address"),
        ({"ROK4_S3_URL": "http://one:9000,http://two:x"}, "is not the address"),
        ({"ROK4_S3_URL": "http://one:9000,"}, "'https:' is not the address|'' is not the address"),
    ],
)
def test_unusable_lists(change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        s3_access(None, TWO | change)
    assert "s2" not in str(caught.value)


def test_region_and_addressing():
    more = {"ROK4_S3_REGION": "gra", "AWS_REGION": "x", "ROK4_S3_USE_VIRTUAL_HOST": "1", "AWS_SESSION_TOKEN": "t"}
    access = s3_access(None, TWO | more)
    assert (access.region, access.virtual_host, access.token) == ("gra", True, None)
    assert s3_access(None, TWO | {"AWS_DEFAULT_REGION": "eu"}).region == "eu"


def test_aws_variables():
    assert s3_access(None, AWS) == S3Access(None, "us-east-1", True, "ak", "as")
    more = {"AWS_SESSION_TOKEN": "t", "AWS_DEFAULT_REGION": "eu", "AWS_ENDPOINT_URL": "http://localhost:1234/"}
    assert s3_access(None, AWS | more) == S3Access("http://localhost:1234", "eu", False, "ak", "as", "t")
    assert s3_access("localhost:1234", AWS | more).endpoint == "http://localhost:1234"
    assert s3_access("other:99", AWS | more).endpoint == "https://other:99"
    assert s3_access(None, AWS | more | {"AWS_ENDPOINT_URL_S3": "https://s3"}).endpoint == "https://s3"
    assert s3_access(None, {"AWS_SKIP_SIGNATURE": "true"}).anonymous
    assert s3_access(None, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}).key is None


@pytest.mark.parametrize("environ", [{}, {"AWS_ACCESS_KEY_ID": "k"}, {"ROK4_S3_KEY": "k", "ROK4_S3_SECRETKEY": "s"}])
def test_no_credentials(environ):
    with pytest.raises(ConfigError, match=r"no S3 credentials: set ROK4_S3_URL, .* AWS_ACCESS_KEY_ID"):
        s3_access(None, environ)


@pytest.mark.parametrize("tray", ["", "@host", "a b", "bucket@", "-x", "../x", "a" * 300])
def test_unusable_buckets(tray):
    with pytest.raises(ConfigError, match="is not the name of a bucket"):
        s3_store(tray, TWO)


def test_other_settings_are_checked():
    pytest.importorskip("obstore")
    for name in ("ROK4_NETWORK_TIMEOUT", "ROK4_OBJECT_WRITE_ATTEMPTS", "ROK4_OBJECT_ATTEMPTS_WAIT"):
        with pytest.raises(ConfigError, match=name):
            s3_store("bucket", TWO | {name: "soon"})
    with pytest.raises(ConfigError, match=r"AWS_CA_BUNDLE: cannot read /nowhere\.pem"):
        s3_store("bucket", TWO | {"AWS_CA_BUNDLE": "/nowhere.pem"})
    s3_store("bucket@two.example.org", TWO | {"ROK4_SSL_NO_VERIFY": "", "ROK4_S3_USE_VIRTUAL_HOST": "yes"})


def test_without_obstore(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match=r"pip install 'fastpyr\[s3\]'"):
        s3_store("bucket", TWO)
