"""Which of GDAL's drivers may open what strangers deliver.

A driver is chosen by a file's content, whatever its name: some kinds of files only name others, of this machine or of
any server, and hand out their pixels. What is delivered may be one raster and nothing that it names.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache

__all__ = ["drivers_to_skip"]

_ALLOWED = frozenset(("AAIGrid", "COG", "EHdr", "GTiff", "JP2ECW", "JP2KAK", "JP2OpenJPEG", "JPEG", "MEM", "PNG"))
_LIST = "from rasterio.env import Env\nwith Env() as env: print(*env.drivers(), sep='\\n')"


@lru_cache(maxsize=1)
def drivers_to_skip() -> str:
    """All other drivers, as ``GDAL_SKIP`` takes them. Raises OSError when GDAL cannot be asked.

    They are asked for in another process: a driver cannot be left out any more where it has been loaded.
    """
    try:
        done = subprocess.run([sys.executable, "-c", _LIST], capture_output=True, text=True, check=True, timeout=120)
    except subprocess.SubprocessError as error:
        raise OSError(f"GDAL's drivers cannot be listed: {error}") from error
    return ",".join(sorted(set(done.stdout.splitlines()) - _ALLOWED))
