"""Runs gdal2tiles of PyPI's gdal-utils on the older GDAL bindings that a distribution has."""

from __future__ import annotations

import contextlib
import sys

from osgeo import gdal, ogr, osr


@contextlib.contextmanager
def _exceptions(useExceptions: bool = True):  # the name is GDAL's
    """What GDAL calls ExceptionMgr since 3.7."""
    yield


for module in (gdal, ogr, osr):
    if not hasattr(module, "ExceptionMgr"):
        module.ExceptionMgr = _exceptions

# it needs what is added above
from osgeo_utils import gdal2tiles  # noqa: E402

if __name__ == "__main__":
    sys.exit(gdal2tiles.main(["gdal2tiles", *sys.argv[1:]]))
