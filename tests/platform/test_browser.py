"""The page of ``fastpyr serve`` in Chromium: what it shows is what is there.

FASTPYR_TEST_SHOTS: a folder for pictures of what was seen. FASTPYR_TEST_BROWSER=required: no browser is a failure.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from browser import Visit, chromium
from platform_server import Server, serving, wait_until
from small_delivery import tiff

import fastpyr

HOSTILE = '<img src=x onerror="alert(1)">&amp;"\'${7*7}'
PINK = np.array([224, 33, 138])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("FASTPYR_TEST_SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class World(NamedTuple):
    """A platform with pyramids: their ids, and where their descriptors are."""

    server: Server
    ids: dict[str, str]
    descriptors: dict[str, Path]


@pytest.fixture(scope="module")
def world(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two deliveries that look different, and pyramids of them in two grids."""
    from rasterio.io import MemoryFile

    base = tiff(800)
    with MemoryFile(base) as memory, memory.open() as source:
        flat = np.full((3, 800, 800), 40, np.uint8)
        profile = source.profile
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(flat)
        dark = bytes(memory.read())
    root = tmp_path_factory.mktemp("page") / "platform"
    with serving(root) as server:
        bright_upload = server.deliver("Bright", {"a.tif": base})
        dark_upload = server.deliver(HOSTILE, {"b.tif": dark, "__notes.txt": b"x"})
        jobs = {
            "BRIGHT_PM": (bright_upload, {"compression": "png", "mask": True, "top": "12"}),
            "BRIGHT_LAMB93": (bright_upload, {"tms": "LAMB93_50cm", "compression": "png", "mask": True, "top": "9"}),
            HOSTILE: (dark_upload, {"tms": "LAMB93_50cm", "compression": "zip", "top": "9"}),
        }
        ids, descriptors = {}, {}
        for name, (upload, parameters) in jobs.items():
            server.checked(upload)
            ended = server.ended(server.launched(upload, name, **parameters))
            assert ended["status"] == "SUCCESS", ended
            ids[name] = ended["output"]["stored_data"]["_id"]
            (descriptors[name],) = (root / "stored_data" / ids[name]).glob("*.json")
        yield World(server, ids, descriptors)


@pytest.fixture
def visit(browser: Any, world: World, shots: Path) -> Iterator[Visit]:
    one = Visit(browser, world.server.url, shots)
    yield one
    one.close()
    assert one.complaints == []


def middle(visit: Visit, picture: Any, size: int = 200) -> Any:
    """The middle of the map in a picture."""
    left, top, width, height = visit.map_box()
    x, y = left + width // 2 - size // 2, top + height // 2 - size // 2
    return picture[y : y + size, x : x + size]


def settled(visit: Visit, name: str) -> Any:
    """What is seen once it no longer changes."""
    last = visit.picture(name)

    def look() -> bool:
        nonlocal last
        visit.page.wait_for_timeout(150)
        now = visit.picture(name)
        same = now.shape == last.shape and bool((now == last).all())
        last = now
        return same

    visit.page.wait_for_timeout(300)
    wait_until(look, bool)
    return last


def bright_tile(pyramid: fastpyr.Pyramid) -> tuple[str, int, int, Any, float, tuple[float, float]]:
    """A tile in the middle of the finest level: level, column, row, pixels, cell size, and its centre."""
    level = min(pyramid.levels, key=lambda one: one.matrix.cell_size)
    limits = level.limits
    col, row = (limits.min_col + limits.max_col) // 2, (limits.min_row + limits.max_row) // 2
    box = level.matrix.tile_bounds(col, row)
    centre = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    return level.id, col, row, pyramid.tile(level.id, col, row), level.matrix.cell_size, centre


def place(world: World, name: str, **more: Any) -> tuple[str, tuple[str, int, int, Any]]:
    """The address of the middle of a pyramid at its finest level, and the tile there."""
    pyramid = fastpyr.open(world.descriptors[name])
    level, col, row, pixels, cell, (x, y) = bright_tile(pyramid)
    words = "".join(f"&{key}={value}" for key, value in more.items())
    return f"map/{world.ids[name]}?x={x}&y={y}&r={cell}{words}", (level, col, row, pixels)


@pytest.mark.parametrize("name", ["BRIGHT_PM", "BRIGHT_LAMB93", HOSTILE])
def test_map_shows_the_pixels(world: World, visit: Visit, name: str) -> None:
    """In its own projection, pixel on pixel: PNG tiles as they are, others as pictures of them."""
    address, (_, _, _, tile) = place(world, name)
    visit.open(address)
    seen = middle(visit, settled(visit, f"map-{list(world.ids).index(name)}"))
    assert np.abs(seen - tile[28:228, 28:228].astype(int)).mean() < 2


def test_overlays(world: World, visit: Visit) -> None:
    address, _ = place(world, "BRIGHT_LAMB93")
    visit.open(address)
    visit.page.mouse.move(5, 5)
    plain = settled(visit, "plain")
    visit.page.get_by_label("Tile grid").check()
    gridded = settled(visit, "grid")
    changed = np.abs(gridded - plain).sum(axis=2) > 60
    assert 500 < changed.sum() < changed.size / 10
    visit.page.get_by_label("Tile grid").uncheck()
    again = settled(visit, "plain-again")
    assert (np.abs(middle(visit, again, 700) - middle(visit, plain, 700)) <= 1).all()

    visit.page.locator("#fit").click()
    fitted = settled(visit, "fit")
    visit.page.get_by_label("Nodata mask").check()
    masked = settled(visit, "mask")
    tinted = (masked[..., 0] > masked[..., 1] + 60) & (np.abs(masked - fitted).sum(axis=2) > 60)
    left, top, width, height = visit.map_box()
    middle_part = tinted[top + height // 2 - 100 :, left + width // 2 - 100 :][:200, :200]
    assert tinted.sum() > 2000
    assert middle_part.sum() == 0
    assert "mask=1" in visit.page.url


def test_pointer(world: World, visit: Visit) -> None:
    """Level, tile, slab and sizes are those of the files."""
    address, (level, col, row, _) = place(world, "BRIGHT_PM")
    visit.open(address)
    settled(visit, "pointer")
    left, top, width, height = visit.map_box()
    visit.page.mouse.move(left + width / 2 + 20, top + height / 2 + 30)
    data = fastpyr.open(world.descriptors["BRIGHT_PM"]).tile_bytes(level, col, row)
    assert data is not None
    wait_until(lambda: visit.fact("bytes"), lambda text: f"({len(data):,} B)" in text)
    assert visit.fact("level") == level
    assert visit.fact("tile") == f"{col}, {row}"
    assert visit.fact("state") == "data, TIFF_PNG_UINT8"
    slab = world.descriptors["BRIGHT_PM"].parent / visit.fact("slab").split(" · ")[1]
    assert slab.is_file()
    assert visit.fact("slab").startswith(f"{col // 16}, {row // 16} · ")
    index, offset = re.findall(r"[\d,]+", visit.fact("place"))
    assert int(index.rstrip(",")) == row % 16 * 16 + col % 16
    assert slab.read_bytes()[int(offset.replace(",", "")) :].startswith(data)
    text = visit.text(".coordinates")
    assert text.startswith("EPSG:3857")
    lon, lat = map(float, re.findall(r"([\d.]+)°", text))
    assert 5.84 < lon < 5.88
    assert 46.12 < lat < 46.16
    visit.open(f"map/{world.ids['BRIGHT_PM']}?x=0&y=0&r=1")
    wait_until(lambda: visit.fact("state"), lambda state: state == "outside the pyramid")


def test_swipe(world: World, visit: Visit) -> None:
    """One pyramid on the left, another one on the right; the divider moves by mouse and by keys; the address knows."""
    address, _ = place(world, "BRIGHT_LAMB93")
    visit.open(address)
    visit.page.get_by_label("Compare with").select_option(world.ids[HOSTILE])
    divider = visit.page.get_by_role("slider", name="Divider of the two pyramids")
    divider.wait_for()
    left, top, width, height = visit.map_box()
    visit.page.mouse.move(5, 5)
    half = settled(visit, "swipe")
    band = slice(top + height // 2 - 60, top + height // 2 - 30)
    assert half[band, left + width // 2 - 120 : left + width // 2 - 40].mean() > 70
    assert np.abs(half[band, left + width // 2 + 40 : left + width // 2 + 120] - 40).mean() < 6
    divider.focus()
    for _ in range(12):
        visit.page.keyboard.press("ArrowLeft")
    moved = settled(visit, "swipe-keys")
    assert np.abs(moved[band, left + width // 2 - 120 : left + width // 2 - 40] - 40).mean() < 6
    assert "at=26" in visit.page.url
    visit.page.mouse.move(left + width * 0.26, top + 300)
    visit.page.mouse.down()
    visit.page.mouse.move(left + width * 0.75, top + 300, steps=4)
    visit.page.mouse.up()
    wait_until(lambda: visit.page.url, lambda url: "at=75" in url)
    visit.page.reload()
    divider.wait_for()
    assert divider.get_attribute("aria-valuenow") == "75"
    visit.page.get_by_label("Compare with").select_option("")
    divider.wait_for(state="hidden")


def test_elevations(world: World, visit: Visit) -> None:
    """Values between the chosen ones are gray, nodata is transparent; the address knows."""
    from rasterio.io import MemoryFile

    ramp = np.tile(np.linspace(100, 300, 600, dtype=np.float32), (600, 1))
    ramp[:20] = -9999
    with MemoryFile(tiff(600)) as memory, memory.open() as source:
        profile = {**source.profile, "count": 1, "dtype": "float32", "nodata": -9999}
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(ramp, 1)
        upload = world.server.deliver("DEM", {"dem.tif": bytes(memory.read())})
    world.server.checked(upload)
    made = world.server.launched(upload, "DEM", tms="LAMB93_50cm", compression="zip", interpolation="nn", top="15")
    id = world.server.ended(made)["output"]["stored_data"]["_id"]
    visit.open(f"map/{id}?x=920150&y=6564850&r=0.5")
    visit.page.get_by_label("Black from").fill("150")
    visit.page.get_by_label("White from").fill("250")
    visit.page.keyboard.press("Tab")
    wait_until(lambda: visit.page.url, lambda url: "low=150&high=250" in url)
    rows = middle(visit, settled(visit, "elevations"))[100:190].mean(axis=(0, 2))
    wanted = (np.linspace(100, 300, 600)[200:400] - 150) * 2.55
    assert np.quantile(np.abs(rows - wanted), 0.95) < 4  # but for the outline of the tile


def test_address_brings_back_what_was_seen(world: World, visit: Visit) -> None:
    address, _ = place(world, "BRIGHT_PM", grid=1, o=40)
    visit.open(address)
    first = settled(visit, "address")
    assert visit.page.get_by_label("Tile grid").is_checked()
    assert visit.page.locator("#opacity").input_value() == "40"
    link = visit.page.url
    visit.page.locator("#fit").click()
    settled(visit, "elsewhere")
    visit.page.goto("about:blank")
    visit.page.goto(link)
    again = settled(visit, "address-again")
    assert np.abs(middle(visit, again, 700) - middle(visit, first, 700)).mean() < 0.5


def test_names_are_texts(world: World, visit: Visit) -> None:
    """Whatever they look like: in lists, details, forms and dialogs."""
    id = world.ids[HOSTILE]
    for address, selector in (
        ("stored", ".row .name"),
        (f"stored/{id}", "h2"),
        ("deliveries", ".row .name"),
        ("executions", ".row .name"),
        (f"map/{id}", "[data-fact=pyramid]"),
    ):
        visit.open(address)
        visit.page.get_by_text(HOSTILE, exact=True).first.wait_for(state="attached")
        wait_until(visit.page.locator(selector).all_inner_texts, lambda found: HOSTILE in found)
    visit.open(f"stored/{id}")
    visit.page.locator("#delete").click()
    assert HOSTILE in visit.text("dialog h2")
    visit.page.get_by_role("button", name="Cancel").click()
    visit.open("launch")
    visit.page.locator("#upload").wait_for()
    assert any(text.startswith(HOSTILE) for text in visit.page.locator("#upload option").all_inner_texts())
    assert visit.page.locator("img").count() == 0
    settled(visit, "launch")


def test_from_files_to_the_map(world: World, visit: Visit, tmp_path: Path) -> None:
    """A delivery, its checks, a processing with moving progress, its log, the pyramid, and its end."""
    page = visit.page
    file = tmp_path / "large.tif"
    file.write_bytes(tiff(3000))
    visit.open("deliveries")
    page.locator("#new-delivery").click()
    page.get_by_label("Name", exact=True).fill("From the page")
    page.get_by_label("Files").set_input_files(file)
    page.get_by_role("button", name="Deliver", exact=True).click()
    page.get_by_role("link", name="Make a pyramid").click()
    wait_until(
        lambda: page.locator("#upload option:checked").all_inner_texts(),
        lambda found: found == ["From the page (EPSG:2154)"],
    )
    page.locator("#output").fill("MADE")
    page.locator("#parameter-width").fill("7")
    page.locator("#launch").click()
    assert page.evaluate("document.querySelector('#parameter-width').validity.rangeUnderflow")
    page.locator("#parameter-width").fill("8")
    page.locator("#parameter-height").fill("8")
    page.locator("#parameter-compression").select_option("png")
    page.locator("#parameter-interpolation").select_option("lanczos")
    page.locator("#parameter-top").fill("wrong")
    page.locator("#launch").click()
    wait_until(lambda: visit.text(".problem"), lambda text: "top" in text)
    assert len(visit.complaints) == 1
    assert "400" in visit.complaints.pop()
    page.locator("#parameter-top").fill("14")
    page.locator("#launch").click()

    def value() -> float:
        return float(page.evaluate("document.querySelector('.detail progress')?.value ?? -1"))

    seen = slow_progress(world.server, value, lambda: settled(visit, "progress"))
    assert 0 < seen < 1
    page.locator(".detail .chip.success").wait_for()
    assert value() == 1
    assert page.locator(".lines li").count() > 5
    settled(visit, "execution")
    page.get_by_role("link", name="Open the map").click()
    page.locator("[data-fact=pyramid]").wait_for()
    wait_until(lambda: visit.fact("pyramid"), lambda name: name == "MADE")
    settled(visit, "made")
    page.goto(page.url.split("?")[0].replace("/map/", "/stored/"))
    page.locator("#delete").click()
    settled(visit, "confirm")
    page.get_by_role("button", name="Cancel").click()
    assert "MADE" in [one["name"] for one in world.server.get("/stored_data")]
    page.locator("#delete").click()
    page.locator("dialog button.danger").click()
    wait_until(lambda: [one["name"] for one in world.server.get("/stored_data")], lambda names: "MADE" not in names)
    wait_until(lambda: page.locator(".row .name").all_inner_texts(), lambda names: "MADE" not in names)


def slow_progress(server: Server, value: Any, picture: Any) -> float:
    """Let the worker go on in slices until the page shows that it is on its way; returns what it shows."""

    def workers() -> list[psutil.Process]:
        children = psutil.Process(server.process.pid).children()
        return [one for one in children if "fastpyr.platform.worker" in " ".join(one.cmdline())]

    def log() -> str:
        (execution,) = server.get("/processings/executions?status=PROGRESS&limit=1") or [{"_id": ""}]
        return str(server.call("GET", f"/processings/executions/{execution['_id']}/logs?limit=100").body)

    def look() -> float:
        worker.resume()
        time.sleep(0.05)
        worker.suspend()
        time.sleep(0.8)
        return float(value())

    (worker,) = wait_until(workers, bool)
    wait_until(log, lambda text: "Niveau" in text)
    worker.suspend()
    try:
        seen: float = wait_until(look, lambda shown: shown > 0)
        picture()
    finally:
        worker.resume()
    return seen


@pytest.mark.parametrize("way", ["user", "token"])
def test_with_access_control(browser: Any, shots: Path, world: World, tmp_path: Path, way: str) -> None:
    """The page asks who it is, and then shows all, tiles included."""
    options = ["--user", "me", "--password", "secret"] if way == "user" else ["--token", "very-secret"]
    root = world.descriptors["BRIGHT_PM"].parents[2]
    with serving(root, *options) as server:
        visit = Visit(browser, server.url, shots)
        page = visit.page
        visit.open("stored")
        page.get_by_role("heading", name="Sign in").wait_for()
        if way == "user":
            page.get_by_label("User").fill("me")
            page.get_by_label("Password").fill("wrong")
            page.get_by_role("button", name="Sign in").click()
            wait_until(lambda: visit.text(".problem"), bool)
            visit.picture("sign-in")
            page.get_by_label("Password").fill("secret")
        else:
            page.get_by_text("I have a token").click()
            page.get_by_label("Token", exact=True).fill("very-secret")
        page.get_by_role("button", name="Sign in").click()
        wait_until(lambda: page.locator(".row .name").all_inner_texts(), lambda names: "BRIGHT_PM" in names)
        address, (_, _, _, tile) = place(world, "BRIGHT_PM")
        visit.open(address)
        seen = middle(visit, settled(visit, f"access-{way}"))
        assert np.abs(seen - tile[28:228, 28:228].astype(int)).mean() < 2
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        visit.close()
        assert [one for one in visit.complaints if "401" not in one] == []


def test_tiles_without_a_platform(browser: Any, shots: Path, world: World) -> None:
    """``fastpyr serve DESCRIPTOR``: the map alone."""
    command = [
        sys.executable,
        "-m",
        "fastpyr",
        "serve",
        "--pyramid",
        str(world.descriptors["BRIGHT_PM"]),
        "--port",
        "0",
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(fastpyr.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            visit = Visit(browser, process.stdout.readline().split()[0], shots)
            visit.page.goto(visit.url)
            wait_until(lambda: visit.page.locator(".canvas").count(), bool)
            assert visit.page.locator("nav a:visible").all_inner_texts() == ["Map"]
            assert settled(visit, "tiles-only").std() > 10
            visit.close()
            assert visit.complaints == []
        finally:
            process.terminate()


def test_small_screens_and_dark_ones(browser: Any, shots: Path, world: World) -> None:
    """Nothing is wider than the screen; each section can be reached by keys."""
    visit = Visit(browser, world.server.url, shots, color_scheme="dark")
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 800})
    for section in ("deliveries", "launch", "executions", "stored", f"map/{world.ids['BRIGHT_PM']}"):
        visit.open(section)
        settled(visit, f"small-{section.split('/')[0]}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1360, "height": 850})
    visit.open("stored")
    page.locator(".row").first.wait_for()
    page.keyboard.press("Tab")
    reached = []
    for _ in range(16):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        page.keyboard.press("Tab")
    assert [f"nav-{one}" for one in ("deliveries", "launch", "executions", "stored", "map")] == [
        one for one in reached if one.startswith("nav-")
    ]
    assert any(one.startswith("row-") for one in reached)
    settled(visit, "dark")
    visit.close()
    assert visit.complaints == []
