"""Reading pyramids back, against GDAL and against the pixels they were written from."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
import rasterio
import small_pyramid
from PIL import Image
from shared_data import shared

import fastpyr
from fastpyr.encode import MASK_PIXELS
from fastpyr.errors import ConfigError, DecodeError, DescriptorError, GridError, SlabError, StoreError
from fastpyr.formats import SlabKind
from fastpyr.grid import BoundingBox, load_tms
from fastpyr.pyramid import PixelWindow, Pyramid, SlabRef, open_pyramid, parse_descriptor, pyramid_stats
from fastpyr.store import Layout, MemoryStore, StorageType
from fastpyr.store.naming import object_link


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(pyramid, canvases finest first, folder): PNG RGB with masks."""
    folder = tmp_path_factory.mktemp("small")
    key, canvases = small_pyramid.write(folder)
    return open_pyramid(folder / key), canvases, folder


def expected(canvas, window, nodata):
    """Pixels and mask of a window of absolute pixels, cut from a canvas."""
    height, width = window[3] - window[1], window[2] - window[0]
    pixels = np.empty((height, width, canvas.pixels.shape[2]), canvas.pixels.dtype)
    pixels[...] = nodata
    mask = np.zeros((height, width), np.uint8)
    x0, y0 = max(window[0], canvas.x0), max(window[1], canvas.y0)
    x1 = min(window[2], canvas.x0 + canvas.mask.shape[1])
    y1 = min(window[3], canvas.y0 + canvas.mask.shape[0])
    if x0 < x1 and y0 < y1:
        here = np.s_[y0 - window[1] : y1 - window[1], x0 - window[0] : x1 - window[0]]
        there = np.s_[y0 - canvas.y0 : y1 - canvas.y0, x0 - canvas.x0 : x1 - canvas.x0]
        pixels[here], mask[here] = canvas.pixels[there], canvas.mask[there]
    return pixels, mask


def test_facts(small):
    pyramid, _, folder = small
    assert pyramid.name == "SMALL"
    assert pyramid.uri == str(folder / "SMALL.json")
    assert pyramid.nodata == (255, 255, 255)
    assert pyramid.tile_matrix_set.name == "PM"
    assert [level.id for level in pyramid.levels] == ["12", "11", "10"]
    assert pyramid.has_masks
    files = list((folder / "SMALL").rglob("*.tif"))
    assert pyramid.size == sum(file.stat().st_size for file in files)
    assert len(list(pyramid.slabs())) == len(files)
    # The box of the tiles with data, from the definition of the PM grid.
    span = 2 * 20037508.3427892480 / 4096
    left, top = -20037508.3427892480 + 2073 * span, 20037508.3427892480 - 1409 * span
    np.testing.assert_allclose(pyramid.extent, (left, top - 3 * span, left + 3 * span, top), rtol=1e-12)


def test_public_open_is_the_same(small):
    pyramid, _, folder = small
    assert fastpyr.open(folder / "SMALL.json").extent == pyramid.extent


def test_every_tile_and_mask(small):
    pyramid, canvases, _ = small
    for level, canvas in zip(pyramid.levels, canvases, strict=True):
        limits = level.limits
        for row in range(limits.min_row - 1, limits.max_row + 2):
            for col in range(limits.min_col - 1, limits.max_col + 2):
                tile, mask = pyramid.tile(level, col, row), pyramid.mask(level, col, row)
                pixels, valid = canvas.tile(col, row)
                if not limits.contains(col, row):
                    assert tile is None
                    assert mask is None
                    assert pyramid.tile_bytes(level.id, col, row) is None
                    continue
                np.testing.assert_array_equal(tile, pixels)
                np.testing.assert_array_equal(mask, valid)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", ["golden/RGEALTI", "fixtures/TIFF_ZIP_FLOAT32"])
def test_tiles_equal_gdal(name):
    pyramid = open_pyramid(shared(f"rok4/{name}.json"))
    compared = 0
    for ref in pyramid.slabs():
        level = pyramid.level(ref.level)
        with rasterio.open(pyramid.store.path(pyramid.slab_key(ref))) as slab:
            whole = slab.read(1)
        for y in range(2):
            for x in range(2):
                col, row = ref.col * 2 + x, ref.row * 2 + y
                if level.limits.contains(col, row):
                    tile = pyramid.tile(level, col, row)
                    np.testing.assert_array_equal(tile[..., 0], whole[y * 256 : y * 256 + 256, x * 256 : x * 256 + 256])
                    compared += 1
    assert compared >= 4


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("format", ["TIFF_RAW_UINT8", "TIFF_ZIP_UINT8", "TIFF_LZW_UINT8", "TIFF_PKB_UINT8"])
def test_level_equals_gdal(tmp_path, format):
    key, _ = small_pyramid.write(tmp_path, format=format, levels=1, tiles=(2, 2), corner=(2072, 1408))
    pyramid = open_pyramid(tmp_path / key)
    (slab,) = [ref for ref in pyramid.slabs() if ref.kind is SlabKind.DATA]
    with rasterio.open(pyramid.store.path(pyramid.slab_key(slab))) as file:
        np.testing.assert_array_equal(pyramid.read("12")[0], np.moveaxis(file.read(), 0, 2))


@pytest.mark.parametrize("format", ["TIFF_JPG_UINT8", "TIFF_JPG90_UINT8"])
def test_jpeg_tile_equals_pillow(tmp_path, format):
    key, _ = small_pyramid.write(tmp_path, format=format, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    picture = Image.open(BytesIO(pyramid.tile_bytes("12", 2074, 1410)))
    np.testing.assert_array_equal(pyramid.tile("12", 2074, 1410), np.asarray(picture))


def test_read_snaps_outward(small):
    pyramid, canvases, _ = small
    level = pyramid.levels[0]
    cell, m = level.matrix.cell_size, level.matrix
    rng = np.random.default_rng(8)
    for _ in range(12):
        x0, y0 = rng.integers(-40, 600, 2) + 256 * np.array([2073, 1409])
        width, height = rng.integers(1, 300, 2)
        window = (int(x0), int(y0), int(x0 + width), int(y0 + height))
        inset = rng.uniform(0.05, 0.45, 4)
        bbox = BoundingBox(
            m.origin_x + (window[0] + inset[0]) * cell,
            m.origin_y - (window[3] - inset[1]) * cell,
            m.origin_x + (window[2] - inset[2]) * cell,
            m.origin_y - (window[1] + inset[3]) * cell,
        )
        assert level.window(bbox) == window
        pixels, mask = pyramid.read(level, bbox)
        wanted_pixels, wanted_mask = expected(canvases[0], window, pyramid.nodata)
        np.testing.assert_array_equal(mask, wanted_mask)
        np.testing.assert_array_equal(pixels, wanted_pixels)
        exact = level.window_bounds(level.window(bbox))
        assert level.window(exact) == window, "a box on the grid is not widened"
        assert pixels.shape[:2] == (round(exact.height / cell), round(exact.width / cell))


def test_read_whole_level_and_outside(small):
    pyramid, canvases, _ = small
    for level, canvas in zip(pyramid.levels, canvases, strict=True):
        pixels, mask = pyramid.read(level.id)
        wanted = expected(canvas, level.window(), pyramid.nodata)
        np.testing.assert_array_equal(pixels, wanted[0])
        np.testing.assert_array_equal(mask, wanted[1])
    pixels, mask = pyramid.read_window("12", PixelWindow(-300, -300, -100, -200))
    assert (pixels == 255).all()
    assert not mask.any()


def test_without_masks_stored_tiles_are_data(tmp_path):
    key, _ = small_pyramid.write(tmp_path, mask=False, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    (tmp_path / "SMALL.list").unlink()  # slabs are then found by looking
    refs = list(pyramid.slabs())
    assert refs
    gone = refs[0]
    pyramid.store.delete(pyramid.slab_key(gone))
    _, mask = pyramid.read("12")
    level = pyramid.level("12")
    covered = np.zeros(mask.shape, bool)
    x, y = (gone.col * 2 - level.limits.min_col) * 256, (gone.row * 2 - level.limits.min_row) * 256
    covered[max(y, 0) : y + 512, max(x, 0) : x + 512] = True
    assert set(np.unique(mask[covered])) == {0}
    assert set(np.unique(mask[~covered])) == {255}
    assert pyramid.mask("12", gone.col * 2 + 1, gone.row * 2 + 1) is None


def test_mask_values_other_than_255_are_data(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    ref = next(r for r in pyramid.slabs() if r.kind is SlabKind.MASK)
    mask = np.zeros((256, 256), np.uint8)
    mask[10, 20] = 63
    small_pyramid.replace_tile(pyramid.store.path(pyramid.slab_key(ref)), 3, zlib.compress(mask.tobytes()), MASK_PIXELS)
    read = pyramid.mask("12", ref.col * 2 + 1, ref.row * 2 + 1)
    assert np.argwhere(read).tolist() == [[10, 20]]
    assert read[10, 20] == 255


class CountingStore(MemoryStore):
    """Counts ranged reads."""

    def __init__(self):
        super().__init__("counting")
        self.reads = []
        self.count_lock = threading.Lock()

    def get_range(self, key, offset, size):
        with self.count_lock:
            self.reads.append((key, offset, size))
        return super().get_range(key, offset, size)


def opened(store, key):
    """The pyramid in a store of any kind."""
    descriptor = parse_descriptor(store.get(key), key.removesuffix(".json"))
    return Pyramid(store, key, descriptor, load_tms(descriptor.tile_matrix_set))


def test_one_read_per_tile_after_the_index():
    store = CountingStore()
    key, _ = small_pyramid.write(store, mask=False, levels=1, corner=(2072, 1408), tiles=(2, 2))
    pyramid = opened(store, key)
    for _ in range(2):
        for number in range(4):
            assert pyramid.tile("12", 2072 + number % 2, 1408 + number // 2) is not None
    assert store.reads[0][1:] == (0, 2048 + 8 * 4)
    assert len(store.reads) == 1 + 8


def test_many_threads_agree(small):
    _, canvases, folder = small
    fresh = open_pyramid(folder / "SMALL.json")
    fresh_cells = [(col, row) for row in range(1409, 1412) for col in range(2073, 2076)] * 6

    def check(cell):
        np.testing.assert_array_equal(fresh.tile("12", *cell), canvases[0].tile(*cell)[0])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, fresh_cells))


def test_object_links_one_hop():
    store = MemoryStore("tray", Layout(StorageType.S3, "tray"))
    key, canvases = small_pyramid.write(store, storage=StorageType.S3, levels=1)
    pyramid = opened(store, key)
    ref = next(pyramid.slabs())
    name = pyramid.slab_key(ref)
    store.put("OTHER/DATA_12_0_0", [store.get(name)])
    store.put(name, [object_link("tray/OTHER/DATA_12_0_0")])
    col, row = max(ref.col * 2, 2073), max(ref.row * 2, 1409)
    np.testing.assert_array_equal(opened(store, key).tile("12", col, row), canvases[0].tile(col, row)[0])

    store.put("OTHER/CHAIN", [object_link("tray/OTHER/DATA_12_0_0")])
    store.put(name, [object_link("tray/OTHER/CHAIN")])
    with pytest.raises(StoreError, match="chained"):
        opened(store, key).tile("12", col, row)
    store.put(name, [object_link("tray/OTHER/NOWHERE")])
    with pytest.raises(StoreError, match="does not exist"):
        opened(store, key).tile("12", col, row)
    store.put(name, [object_link("elsewhere/OTHER/DATA_12_0_0")])
    with pytest.raises(StoreError, match="another tray"):
        opened(store, key).tile("12", col, row)


def test_file_link_is_followed(tmp_path):
    key, canvases = small_pyramid.write(tmp_path, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    path = pyramid.store.path(pyramid.slab_key(next(pyramid.slabs())))
    path.rename(tmp_path / "real.tif")
    path.symlink_to(tmp_path / "real.tif")
    np.testing.assert_array_equal(pyramid.tile("12", 2074, 1410), canvases[0].tile(2074, 1410)[0])


def test_memory_uri():
    store = MemoryStore.named("reader-test")
    key, _ = small_pyramid.write(store, name="IN_MEMORY")
    pyramid = open_pyramid(f"mem://reader-test/{key}")
    assert pyramid.uri == "mem://reader-test/IN_MEMORY.json"
    assert pyramid.tile("12", 2073, 1409) is not None


def test_errors_name_the_place(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    ref = next(ref for ref in pyramid.slabs() if ref.kind is SlabKind.DATA)
    path = pyramid.store.path(pyramid.slab_key(ref))
    data = path.read_bytes()
    col, row = ref.col * 2 + 1, ref.row * 2 + 1
    path.write_bytes(data[:2000])
    with pytest.raises(SlabError, match=rf"level 12, slab column {ref.col}, row {ref.row} .*{path.name}.* 2000 bytes"):
        open_pyramid(tmp_path / key).tile("12", col, row)
    path.write_bytes(data[:-20])
    with pytest.raises(SlabError, match=rf"tile column {col}, row {row}: .*truncated"):
        open_pyramid(tmp_path / key).tile("12", col, row)
    path.write_bytes(data[:-30] + bytes(30))
    with pytest.raises(DecodeError, match=rf"level 12, tile column {col}, row {row}"):
        open_pyramid(tmp_path / key).read("12")
    with pytest.raises(DescriptorError, match="its levels are 12"):
        pyramid.tile("13", 0, 0)


def test_unusable_requests(small):
    pyramid, _, _ = small
    with pytest.raises(ConfigError, match=r"2147483648 of one read: read a smaller box .* export"):
        pyramid.read_window("12", PixelWindow(0, 0, 2**20, 2**20))
    with pytest.raises(ConfigError, match="export"):
        pyramid.read("12", BoundingBox(-2e7, -2e7, 2e7, 2e7))
    for box in [(1, 1, 1, 2), (2, 0, 1, 5), (0, 0, float("nan"), 1), (0, 0, float("inf"), 1)]:
        with pytest.raises(ConfigError, match="empty or not finite"):
            pyramid.read("12", BoundingBox(*box))
    with pytest.raises(ConfigError, match="beyond all pixels"):
        pyramid.read("12", BoundingBox(0, 0, 1e300, 1))


def test_unusable_descriptors(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    path = tmp_path / key
    text = path.read_text()
    with pytest.raises(DescriptorError, match=r"<name>\.json"):
        open_pyramid(tmp_path / "SMALL.list")
    with pytest.raises(StoreError, match="does not exist"):
        open_pyramid(tmp_path / "other.json")
    path.write_text(text.replace('"PM"', '"NO_SUCH"'))
    with pytest.raises(GridError, match=r"NO_SUCH.*--tms"):
        open_pyramid(path)
    assert open_pyramid(path, tms="PM").levels[0].id == "12"
    path.write_text(text.replace('"id": "12"', '"id": "77"'))
    with pytest.raises(DescriptorError, match="'77' is not in tile matrix set PM"):
        open_pyramid(path)
    path.write_text(text.replace('"min_col": 2073', '"min_col": 90073').replace('"max_col": 2075', '"max_col": 90075'))
    with pytest.raises(DescriptorError, match="outside its 4096 x 4096 tiles"):
        open_pyramid(path)


def test_statistics(small):
    pyramid, _, folder = small
    stats = pyramid_stats(pyramid)
    assert [level.level for level in stats.levels] == ["12", "11", "10"]
    assert stats.bytes == pyramid.size
    assert stats.slabs == len(list((folder / "SMALL/DATA").rglob("*.tif")))
    assert stats.tiles == 4 * stats.slabs
    assert stats.levels[0].tiles_in_limits == 9
    sizes = [len(pyramid.tile_bytes("12", col, row)) for row in range(1409, 1412) for col in range(2073, 2076)]
    assert stats.levels[0].largest_tile == max(sizes)
    with pytest.raises(StoreError):
        pyramid.tile_sizes(SlabRef(SlabKind.DATA, "12", 0, 0))
