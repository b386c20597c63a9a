"""Merged pyramids against what NumPy makes of the sources' decoded tiles, and against single builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interruptions import tree
from object_builds import LEVEL, OPTIONS
from tile_pyramids import SIDES, TILE, TINY, Planes, read_tiny, side, tiny_format, write_tiny

import fastpyr
from fastpyr.formats import SlabKind
from fastpyr.kernels import convert_channels, reference_overlay
from fastpyr.pyramid import Pyramid, open_pyramid
from fastpyr.pyramid.slabs import SlabRef
from fastpyr.store import MemoryStore
from fastpyr.updates import merge_pyramids


def footprint(rng: np.random.Generator, count: int) -> np.ndarray:
    """A mask of a whole matrix: full tiles, empty ones, and ones with a slanted edge."""
    kinds = rng.choice([0, 0, 1, 2], (count, count))
    kinds[tuple(rng.integers(0, count, 2))] = 2
    mask = np.kron(kinds == 2, np.ones((TILE, TILE))).astype(np.uint8)
    y, x = np.mgrid[: count * TILE, : count * TILE]
    edge = (x * rng.integers(-3, 4) + y * rng.integers(-3, 4)) % 16 < rng.integers(1, 16)
    return np.where((mask != 0) | (np.kron(kinds == 1, np.ones((TILE, TILE))) != 0) & edge, 255, 0).astype(np.uint8)


def planes(rng: np.random.Generator, level: str, channels: int, dtype: str) -> Planes:
    size = side(level)
    pixels = rng.integers(0, 256, (size, size, channels))
    pixels[rng.random((size, size)) < 0.2] = 255
    values = pixels.astype(np.uint8) if dtype == "uint8" else (pixels * 3.3 - 100).astype(np.float32)
    return values, footprint(rng, SIDES[level])


class Expected:
    """The merge of pyramids, the first on top, worked out tile by tile with the slow kernels."""

    def __init__(self, sources: list[Pyramid], merged: Pyramid, method: str, transparent: Any) -> None:
        self.sources, self.merged = sources, merged
        self.method, self.transparent = method, transparent

    def owners(self, level: str, col: int, row: int) -> list[Pyramid]:
        """The sources that have the slab of a tile."""
        found = []
        for source in self.sources:
            if level in {one.id for one in source.levels}:
                described = source.level(level).descriptor
                slab = SlabRef(SlabKind.DATA, level, *described.slab_of(col, row)[:2])
                if slab in set(source.slabs()):
                    found.append(source)
        return found[:1] if self.method == "replace" else found

    def tile(self, level: str, col: int, row: int) -> tuple[np.ndarray, np.ndarray, bytes | None]:
        """Pixels, mask, and the bytes that the tile must have (None: it was encoded)."""
        fmt = self.merged.format
        owners = self.owners(level, col, row)
        layers = [(source, source.tile(level, col, row), source.mask(level, col, row)) for source in owners]
        layers = [(s, t, m) for s, t, m in layers if t is not None and m is not None and m.any()]
        blank = np.full((TILE, TILE, fmt.channels), fmt.nodata, fmt.dtype), np.zeros((TILE, TILE), np.uint8)
        if not layers:
            return *blank, None
        covering = next((n for n, (_, _, mask) in enumerate(layers) if mask.all()), None)
        if len(layers) == 1 or (self.method == "top" and covering == 0):
            source, tile, mask = layers[0]
            alike = (source.format.format, source.format.channels) == (fmt.format, fmt.channels)
            pixels = tile if alike else np.where(mask[..., None] != 0, convert_channels(tile, fmt.channels), blank[0])
            return pixels, mask, source.tile_bytes(level, col, row) if alike else None
        pixels, mask = reference_overlay.overlay(
            [(tile, mask) for _, tile, mask in reversed(layers)],
            fmt.channels,
            method=self.method,
            background=fmt.nodata,
            transparent=self.transparent,
        )
        return pixels, mask, None

    def check(self) -> None:
        merged = self.merged
        for level in merged.levels:
            for row in range(SIDES[level.id]):
                for col in range(SIDES[level.id]):
                    pixels, mask, encoded = self.tile(level.id, col, row)
                    found = merged.tile(level.id, col, row)
                    if found is None:
                        assert not mask.any(), (level.id, col, row)
                        continue
                    np.testing.assert_array_equal(found, pixels, str((level.id, col, row)))
                    if merged.has_masks:
                        np.testing.assert_array_equal(merged.mask(level.id, col, row), mask)
                    if encoded is not None:
                        assert merged.tile_bytes(level.id, col, row) == encoded


def number_of_shared(sources: list[Pyramid]) -> int:
    """Slabs of data that several sources have."""
    refs = [ref for source in sources for ref in source.slabs() if ref.kind is SlabKind.DATA]
    return sum(refs.count(ref) > 1 for ref in set(refs))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["replace", "top", "alphatop", "multiply"]),
    formats=st.lists(
        st.sampled_from(
            [("PNG", 1), ("PNG", 2), ("PNG", 3), ("PNG", 4), ("ZIP", 3), ("RAW", 4), ("LZW", 3), ("JPG", 3)]
        ),
        min_size=2,
        max_size=4,
    ),
    masks=st.lists(st.booleans(), min_size=4, max_size=4),
    slab=st.sampled_from([(1, 1), (2, 2), (3, 2), (4, 4)]),
    seed=st.integers(0, 2**32),
)
def test_equals_numpy(
    method: str, formats: list[tuple[str, int]], masks: list[bool], slab: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    uris = [f"mem://merge-numpy/{name}.json" for name in "ABCD"[: len(formats)]]
    sources = [
        write_tiny(
            uri,
            tiny_format(f"TIFF_{packing}_UINT8", channels, [int(rng.choice([0, 7, 255]))]),
            {level: planes(rng, level, channels, "uint8") for level in SIDES},
            mask=mask,
            slab=slab,
        )
        for uri, (packing, channels), mask in zip(uris, formats, masks, strict=False)
    ]
    lossless = {"compression": "png"} if formats[0][0] == "JPG" else {}
    result = merge_pyramids(
        uris, "mem://merge-numpy/M.json", method=method, overwrite=True, tms=TINY, workers=2, **lossless
    )
    merged = open_pyramid("mem://merge-numpy/M.json", TINY)
    assert merged.has_masks == any(source.has_masks for source in sources)
    transparent = (255, 255, 255) if method == "alphatop" else None
    Expected(sources, merged, method, transparent).check()
    if method != "replace":
        assert result.composed == number_of_shared(sources) * (1 + merged.has_masks)
    wrong = {finding.check for finding in merged.verify(all_tiles=True).findings}
    # Levels are of random pixels; tiles keep another nodata colour; without masks, a product may be all of that colour.
    assert wrong <= {"upper-level", "mask-nodata"} | (set() if merged.has_masks else {"nodata-slab"})


@settings(max_examples=8)
@given(method=st.sampled_from(["top", "multiply", "alphatop"]), seed=st.integers(0, 2**32))
def test_elevations(method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    uris = [f"mem://merge-float/{name}.json" for name in "AB"]
    fmt = tiny_format("TIFF_ZIP_FLOAT32", 1)
    sources = [write_tiny(uri, fmt, {level: planes(rng, level, 1, "float32") for level in SIDES}) for uri in uris]
    merge_pyramids(uris, "mem://merge-float/M.json", method=method, overwrite=True, tms=TINY)
    Expected(sources, open_pyramid("mem://merge-float/M.json", TINY), method, None).check()


SIZE = 1400


def is_left() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return x + y / 3 < 900


@pytest.fixture(scope="module", params=["png", "zip"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of WHOLE, of its parts LEFT and RIGHT, and of MERGED, which is made of them."""
    folder = tmp_path_factory.mktemp("halves")
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    mask = np.full((SIZE, SIZE), 255, np.uint8)
    mask[300:500, 300:900] = 0
    masks = {"WHOLE": mask, "LEFT": np.where(is_left(), mask, 0), "RIGHT": np.where(is_left(), 0, mask)}
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    left, top = (matrix.origin_x + 34_646_100 * matrix.cell_size, matrix.origin_y - 23_834_050 * matrix.cell_size)
    transform = (matrix.cell_size, 0.0, left, 0.0, -matrix.cell_size, top)
    for name, part in masks.items():
        part = part.astype(np.uint8)
        source = fastpyr.ArraySource(pixels, transform=transform, crs="EPSG:3857", mask=part, name=name)
        fastpyr.build(source, str(folder / f"{name}.json"), **{**OPTIONS, "compression": request.param})
    before = tree(folder)
    sources = [folder / "LEFT.json", folder / "RIGHT.json"]
    result = merge_pyramids(sources, folder / "MERGED.json", method="top")
    pyramids = [fastpyr.open(str(source)) for source in sources]
    assert result.composed == 2 * number_of_shared(pyramids)
    everything = {ref for pyramid in pyramids for ref in pyramid.slabs()}
    assert result.linked == len(everything) - result.composed > 0
    assert {name: value for name, value in tree(folder).items() if not name.startswith("MERGED")} == before
    return folder


class TestHalves:
    """Two disjoint parts of a scene, merged, against the scene built at once: acceptance of fusions."""

    def test_only_shared_slabs_are_written(self, built: Path) -> None:
        written = [p for p in (built / "MERGED").rglob("*.tif") if not p.is_symlink()]
        left, right = fastpyr.open(str(built / "LEFT.json")), fastpyr.open(str(built / "RIGHT.json"))
        assert len(written) == len(set(left.slabs()) & set(right.slabs())) > 0
        for path in (built / "MERGED").rglob("*.tif"):
            if path.is_symlink():
                assert path.resolve().parts[len(built.parts)] in ("LEFT", "RIGHT")

    def test_the_bottom_is_that_of_one_build(self, built: Path) -> None:
        whole, merged = (fastpyr.open(str(built / f"{name}.json")) for name in ("WHOLE", "MERGED"))
        assert whole.levels[0].limits == merged.levels[0].limits
        assert set(whole.slabs()) == set(merged.slabs())
        for one, other in zip(whole.read(LEVEL), merged.read(LEVEL), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_above_it_all_is_equal_but_where_both_halves_meet(self, built: Path) -> None:
        """An upper pixel with data of one half below it is the one of a single build, mask included; where pixels of
        both halves are below it, it was averaged of each half's own, and the half on top is seen."""
        whole, merged, left, right = (
            fastpyr.open(str(built / f"{name}.json")) for name in ("WHOLE", "MERGED", "LEFT", "RIGHT")
        )
        for count, level in enumerate(whole.levels):
            assert level.limits == merged.level(level.id).limits
            window = level.window()
            both = np.ones((window.height, window.width), bool)
            for half in (left, right):
                scale = 2**count
                bottom = whole.levels[0].id
                wide = type(window)(*(value * scale for value in window))
                has = half.read_window(bottom, wide)[1] != 0
                both &= has.reshape(window.height, scale, window.width, scale).any(axis=(1, 3))
            assert both.any() == (count > 0)
            assert both.mean() < 0.05
            (pixels, mask), (found, found_mask) = (p.read_window(level.id, window) for p in (whole, merged))
            np.testing.assert_array_equal(found_mask[~both], mask[~both])
            np.testing.assert_array_equal(found[~both], pixels[~both])
            top, below = left.read_window(level.id, window), right.read_window(level.id, window)
            expected = np.where(top[1][..., None] != 0, top[0], below[0])
            np.testing.assert_array_equal(found[both], expected[both])


def test_jpeg_tiles_that_are_not_shared_keep_their_bytes() -> None:
    """Also inside shared slabs; a tile of pixels of both is encoded once more, and only that one."""
    rng = np.random.default_rng(4)
    fmt = tiny_format("TIFF_JPG_UINT8", 3)
    size = side("1")
    masks = np.zeros((2, size, size), np.uint8)
    masks[0, :, : 3 * TILE], masks[1, :, 3 * TILE :] = 255, 255
    masks[0, :TILE, 3 * TILE - 4 : 3 * TILE + 4] = 255
    uris = [f"mem://merge-jpeg/{name}.json" for name in "AB"]
    sources = [
        write_tiny(uri, fmt, {"1": (planes(rng, "1", 3, "uint8")[0], m)}) for uri, m in zip(uris, masks, strict=True)
    ]
    result = merge_pyramids(uris, "mem://merge-jpeg/M.json", method="top", tms=TINY)
    merged = open_pyramid("mem://merge-jpeg/M.json", TINY)
    changed = [
        (col, row)
        for row in range(8)
        for col in range(8)
        if merged.tile_bytes("1", col, row) != sources[col >= 3].tile_bytes("1", col, row)
    ]
    assert changed == [(3, 0)]
    assert result.composed == 8  # the second column of slabs, of 2 x 2 tiles, with masks


def test_any_number_of_workers_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(11)
    fmt = tiny_format("TIFF_PNG_UINT8", 4)
    uris = [f"mem://merge-workers/{name}.json" for name in "ABC"]
    for uri in uris:
        write_tiny(uri, fmt, {level: planes(rng, level, 4, "uint8") for level in SIDES})
    store = MemoryStore.named("merge-workers")
    found = []
    for workers in (1, 2, 7):
        merge_pyramids(uris, "mem://merge-workers/M.json", method="alphatop", workers=workers, overwrite=True, tms=TINY)
        found.append({key: store.get(key) for key in store.list("M")} | {"list": store.get("M.list")})
    assert found[0] == found[1] == found[2]


def test_masks_may_be_left_out_and_are_used_all_the_same() -> None:
    rng = np.random.default_rng(3)
    fmt = tiny_format("TIFF_PNG_UINT8", 3)
    uris = [f"mem://merge-unmasked/{name}.json" for name in "AB"]
    sources = [write_tiny(uri, fmt, {"1": planes(rng, "1", 3, "uint8")}) for uri in uris]
    merge_pyramids(uris, "mem://merge-unmasked/M.json", method="top", mask=False, tms=TINY)
    merge_pyramids(uris, "mem://merge-unmasked/N.json", method="top", tms=TINY)
    one, other = (open_pyramid(f"mem://merge-unmasked/{name}.json", TINY) for name in "MN")
    assert not one.has_masks
    assert not any(ref.kind is SlabKind.MASK for ref in one.slabs())
    np.testing.assert_array_equal(read_tiny(one)["1"][0], read_tiny(other)["1"][0])
    Expected(sources, one, "top", None).check()
