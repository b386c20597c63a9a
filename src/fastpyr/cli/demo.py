"""``fastpyr demo``: a small delivery, its pyramid, the proof and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from .build import build_summary
from .common import human_bytes, print_facts, print_json
from .progress import BuildProgress

if TYPE_CHECKING:
    import numpy as np

    from ..planning import Plan

__all__ = ["demo"]

_CRS = "EPSG:2154"
_RESOLUTION = 0.5
_LEFT, _TOP = 920000.0, 6565000.0
_FILE, _OVERLAP = 900, 60
"""Side of a file and overlap of neighbours, in pixels."""
_COLUMNS, _ROWS = 3, 2
_MISSING = (2, 1)
"""The file (column, row) that was not delivered."""


def _deliver(folder: Path, seed: int) -> list[Path]:
    """Write the delivery: overlapping GeoTIFFs of one scene, one missing, one with a masked hole."""
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin

    from ..source.synthetic import ortho_scene

    pitch = _FILE - _OVERLAP
    scene = ortho_scene(pitch * _ROWS + _OVERLAP, pitch * _COLUMNS + _OVERLAP, seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            if (column, row) == _MISSING:
                continue
            x, y = column * pitch, row * pitch
            left, top = _LEFT + x * _RESOLUTION, _TOP - y * _RESOLUTION
            path = folder / f"demo-{int(left)}-{int(top)}-LA93-0M50.tif"
            profile: dict[str, Any] = {
                "driver": "GTiff",
                "width": _FILE,
                "height": _FILE,
                "count": 3,
                "dtype": "uint8",
                "crs": _CRS,
                "transform": from_origin(left, top, _RESOLUTION, _RESOLUTION),
                "tiled": True,
                "compress": "deflate",
                "predictor": 2,
                "photometric": "rgb",
            }
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as out:
                out.write(np.moveaxis(scene[y : y + _FILE, x : x + _FILE], 2, 0))
                if (column, row) == (1, 0):
                    out.write_mask(_hole())
            paths.append(path)
    return paths


def _hole() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mask of a file with a round hole, True at data."""
    import numpy as np

    y, x = np.ogrid[:_FILE, :_FILE]
    return (y - _FILE * 0.55) ** 2 + (x - _FILE * 0.5) ** 2 > (_FILE * 0.17) ** 2


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another landscape.")
@click.option("--overwrite", is_flag=True, help="Replace the demo of an earlier run.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def demo(folder: Path, seed: int, overwrite: bool, as_json: bool) -> None:
    """Make a small delivery in FOLDER, build its pyramid with masks, verify it, leave a preview.

    \b
    Example:
      fastpyr demo demo
    """
    descriptor = folder / "pyramid" / "DEMO.json"
    if descriptor.exists() and not overwrite:
        raise ConfigError(f"{descriptor} exists: choose another folder, or replace it with --overwrite")
    from ..pyramid.preview import preview
    from ..run import build as run_build

    sources = _deliver(folder / "delivery", seed)
    plans: list[Plan] = []
    with BuildProgress(quiet=as_json) as progress:
        pyramid = run_build(
            folder / "delivery",
            descriptor,
            tms="PM",
            compression="jpg",
            mask=True,
            overwrite=overwrite,
            progress=progress.update,
            on_plan=plans.append,
        )
    report = pyramid.verify()
    picture = folder / "preview.png"
    preview(pyramid, picture)
    summary = build_summary(pyramid, plans[0], progress)
    summary |= {"delivery": [str(path) for path in sources], "verified": report.ok, "preview": str(picture)}
    if as_json:
        print_json(summary)
    else:
        _tell(summary, folder)
    if not report.ok:
        for finding in report.findings:
            click.echo(f"fastpyr: {finding.message}", err=True)
        raise click.exceptions.Exit(1)


def _tell(summary: dict[str, Any], folder: Path) -> None:
    levels = summary["levels"]
    tiles = sum(level["tiles"] for level in levels)
    print_facts(
        [
            ("delivery", f"{len(summary['delivery'])} GeoTIFFs in {folder / 'delivery'} ({_CRS}, {_RESOLUTION} m)"),
            ("pyramid", summary["descriptor"]),
            ("levels", f"{levels[0]['level']} to {levels[-1]['level']} of {summary['tile_matrix_set']}, with masks"),
            ("tiles", f"{tiles} in {summary['slabs']} slabs, {human_bytes(summary['bytes'])}"),
            ("time", f"{summary['seconds']:.2f} s"),
            ("verified", "every check holds" if summary["verified"] else "NO"),
            ("preview", summary["preview"]),
        ]
    )
    click.echo(f"\nNext: fastpyr info {summary['descriptor']}")
