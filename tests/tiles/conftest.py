"""Without the packages of the extra api only what needs no HTTP is tested."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("fastapi") is None or find_spec("sqlalchemy") is None:
    collect_ignore = ["test_http.py", "test_platform.py", "test_gdal.py", "test_fuzz.py", "test_objects.py"]
