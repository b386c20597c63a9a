"""Chromium for tests of the page: its own complaints, and requests that leave the server, are failures."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

REQUIRED = os.environ.get("FASTPYR_TEST_BROWSER") == "required"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1360, "height": 850}


def _without(reason: str) -> Any:
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; a skip where there is none (a failure with FASTPYR_TEST_BROWSER=required)."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _without("package playwright is not installed")
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), None)
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            _without(f"no Chromium: apt-get install chromium, or playwright install chromium ({str(error)[:80]})")
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of a server, watched. ``page`` is Playwright's."""

    def __init__(self, browser: Any, url: str, shots: Path, **options: Any) -> None:
        self.url = url
        self.shots = shots
        self.complaints: list[str] = []
        self._context = browser.new_context(viewport=SIZE, **options)
        self.page = self._context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith(("blob:", "data:")) and urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"request to {request.url}")

    def open(self, place: str) -> None:
        """``place``: what follows ``#/``."""
        self.page.goto(f"{self.url}/#/{place}")

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())

    def fact(self, name: str) -> str:
        return self.text(f"[data-fact={name}]")

    def picture(self, name: str) -> Any:
        """What is seen, kept as ``name``: pixels of shape (rows, columns, 3)."""
        from PIL import Image

        data = self.page.screenshot(path=str(self.shots / f"{name}.png"))
        return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)

    def map_box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the map in the picture."""
        box = self.page.locator(".canvas").bounding_box()
        return round(box["x"]), round(box["y"]), round(box["width"]), round(box["height"])

    def close(self) -> None:
        self._context.close()
