"""Clearing away what processes that died have left lying about."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ..errors import FastpyrError
from ..updates.inplace import kept_name
from .base import Place
from .changes import drop_old
from .models import StoredData, Upload

__all__ = ["is_old", "sweep"]

_OLD_SECONDS = 3600.0


def sweep(place: Place) -> None:
    """Remove folders whose deletion was interrupted, old folders of no entity, old files that never arrived, and old
    slabs of changes that are written down."""
    for folder, model in ((place.root / "uploads", Upload), (place.root / "stored_data", StoredData)):
        if not folder.is_dir():
            continue
        for doomed in folder.glob(".*.deleted"):
            shutil.rmtree(doomed, ignore_errors=True)
        for left in [one for one in folder.iterdir() if not one.name.startswith(".") and is_old(one)]:
            if not _is_known(place, model, left.name):
                shutil.rmtree(left, ignore_errors=True)
    for kept in (place.root / "stored_data").glob(f"*/{kept_name('*')}"):
        with place.database.write() as session:  # nobody begins to change it meanwhile
            row = session.get(StoredData, kept.parent.name, with_for_update=True)
            if row is not None and row.status == "GENERATED":
                with contextlib.suppress(FastpyrError):
                    drop_old(place.descriptor(row))
    for file in (place.root / "uploads").glob("*/incoming/*"):
        if is_old(file):
            file.unlink(missing_ok=True)


def is_old(path: Path) -> bool:
    """Whether a file has not been touched for an hour: what is younger may be somebody's work."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > _OLD_SECONDS
    return False


def _is_known(place: Place, model: Any, id: str) -> bool:
    with place.database.read() as session:
        return session.scalar(select(model.id).where(model.id == id)) is not None
