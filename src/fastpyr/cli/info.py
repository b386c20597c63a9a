"""``fastpyr info``: facts of a pyramid, of a slab, or of the machine."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from .common import human_bytes, print_facts, print_json, print_table, tms_option

if TYPE_CHECKING:
    from ..pyramid import Pyramid

__all__ = ["info"]


@click.command()
@click.argument("path", required=False, metavar="[DESCRIPTOR|SLAB]")
@click.option("--cpu", is_flag=True, help="Which native code paths run on this machine.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.option("--tiles", is_flag=True, help="Of a slab: list every tile (JSON always does).")
@tms_option
def info(path: str | None, cpu: bool, as_json: bool, tiles: bool, tms: str | None) -> None:
    """Facts of a pyramid (NAME.json), of one slab (any other file), or of the CPU paths in use.

    \b
    Examples:
      fastpyr info out/ORTHO.json
      fastpyr info out/ORTHO/DATA/18/06/5B/RF.tif --tiles
      fastpyr info --cpu
    """
    if cpu == (path is not None):
        raise click.UsageError("give a descriptor or a slab, or --cpu alone")
    if path is None:
        _cpu(as_json)
    elif path.endswith(".json"):
        from ..pyramid import open_pyramid

        _pyramid(open_pyramid(path, tms), as_json)
    else:
        _slab(path, as_json, tiles)


def _cpu(as_json: bool) -> None:
    from .._native import cpu_paths

    live, available = list(cpu_paths()), list(cpu_paths(available=True))
    if as_json:
        print_json({"live": live, "available": available, "cores": os.cpu_count(), "machine": platform.machine()})
        return
    print_facts(
        [
            ("live paths", " ".join(live)),
            ("available", " ".join(available)),
            ("disabled by", os.environ.get("FASTPYR_DISABLE_CPU") or "nothing (FASTPYR_DISABLE_CPU is not set)"),
            ("cores", os.cpu_count()),
            ("machine", platform.machine()),
        ]
    )


def _pyramid(pyramid: Pyramid, as_json: bool) -> None:
    from ..pyramid import pyramid_stats

    stats = pyramid_stats(pyramid)
    tms, pixels = pyramid.tile_matrix_set, pyramid.format
    if as_json:
        print_json(
            {
                "name": pyramid.name,
                "descriptor": pyramid.uri,
                "format": pixels.format.name,
                "channels": pixels.channels,
                "nodata": list(pixels.nodata),
                "mask": pyramid.has_masks,
                "interpolation": pyramid.descriptor.interpolation.value,
                "tile_matrix_set": tms.name,
                "crs": tms.crs,
                "kind": tms.kind,
                "extent": list(pyramid.extent),
                "bytes": stats.bytes,
                "levels": [
                    {"resolution": level.matrix.cell_size, "limits": level.limits._asdict()} | one.to_json()
                    for level, one in zip(pyramid.levels, stats.levels, strict=True)
                ],
            }
        )
        return
    first = pyramid.levels[0]
    facts = [
        ("pyramid", pyramid.uri),
        ("grid", f"{tms.name} ({tms.crs}, {tms.kind})"),
        ("format", f"{pixels.format.name}, {pixels.channels} channel(s), nodata {pixels.nodata_text}"),
        ("masks", "stored" if pyramid.has_masks else "none"),
        ("interpolation", pyramid.descriptor.interpolation.value),
        ("slabs of", f"{first.tiles_per_width} x {first.tiles_per_height} tiles"),
        ("extent", f"{pyramid.extent} left, bottom, right, top"),
        ("size", f"{human_bytes(stats.bytes)} in {stats.slabs} slabs, {stats.tiles} tiles"),
    ]
    print_facts(facts)
    click.echo()
    header = ("LEVEL", "RESOLUTION", "COLUMNS", "ROWS", "TILES", "SLABS", "SIZE", "MEAN TILE")
    rows = [
        (
            level.id,
            f"{level.matrix.cell_size:.10g}",
            f"{level.limits.min_col}-{level.limits.max_col}",
            f"{level.limits.min_row}-{level.limits.max_row}",
            one.tiles_in_limits,
            one.slabs,
            human_bytes(one.slab_bytes + one.mask_bytes),
            human_bytes(round(one.mean_tile)),
        )
        for level, one in zip(pyramid.levels, stats.levels, strict=True)
    ]
    print_table(header, rows)


def _slab(path: str, as_json: bool, tiles: bool) -> None:
    from ..slab.reader import index_problems, read_index
    from ..store import open_location

    store, key = open_location(path)
    size = store.size(key)
    if size == 0:
        raise ConfigError(f"{path} is empty: not a slab")
    header, index = read_index(lambda offset, count: store.get_range(key, offset, count), name=path)
    problems = index_problems(header, index, size)
    columns = header.columns or len(index)
    listed = [
        {"column": number % columns, "row": number // columns, "offset": offset, "size": length}
        for number, (offset, length) in enumerate(zip(index.offsets.tolist(), index.sizes.tolist(), strict=True))
    ]
    kind = "vector tiles" if header.is_vector else "pixels"
    facts: dict[str, Any] = {"slab": path, "holds": kind, "bytes": size, "tiles": len(index)}
    if not header.is_vector:
        facts |= {
            "width": header.width,
            "height": header.height,
            "tile_width": header.tile_width,
            "tile_height": header.tile_height,
            "channels": header.channels,
            "bits": header.bits,
            "sample_format": header.sample_format,
            "compression": header.compression,
            "photometric": header.photometric,
        }
    if as_json:
        print_json(facts | {"index": listed, "problems": problems})
        return
    sizes = [one["size"] for one in listed]
    summary = f"{min(sizes)} to {max(sizes)}, mean {sum(sizes) / len(sizes):.0f}"
    print_facts([*facts.items(), ("tile bytes", summary), ("problems", "; ".join(problems) or "none")])
    if tiles:
        click.echo()
        print_table(("COLUMN", "ROW", "OFFSET", "SIZE"), [tuple(one.values()) for one in listed])
