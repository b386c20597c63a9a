"""Versions of what decodes, computes and encodes."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from .. import __version__

__all__ = ["versions_of"]


def versions_of(with_gdal: bool) -> dict[str, str]:
    """Versions of what decodes, computes and encodes: others may give other bytes."""
    import numpy
    import pyproj

    found = {"fastpyr": __version__, "PROJ": pyproj.proj_version_str, "numpy": numpy.__version__}
    found |= {package: _version(package) for package in ("imagecodecs", "isal")}
    if with_gdal:
        import rasterio

        found["GDAL"] = rasterio.__gdal_version__
    return found


def _version(package: str) -> str:
    """Version of an installed package, told by the name of the folder of its metadata: reading those takes longer."""
    spec = find_spec(package)
    if spec is None:
        return "unknown"
    start, end = f"{package}-", ".dist-info"
    names = os.listdir(Path(spec.origin).parents[1]) if spec.origin else []
    versions = [name[len(start) : -len(end)] for name in names if name.startswith(start) and name.endswith(end)]
    if len(versions) == 1:
        return versions[0]
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
