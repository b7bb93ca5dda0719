"""Debian's Chromium, driven by playwright: what tests of pages share."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; the test is skipped, visibly, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium isn't installed")
    arguments = ["--autoplay-policy=no-user-gesture-required", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Witness:
    """What a page does that it shouldn't: complaints on the console, errors, dialogs, requests."""

    def __init__(self, page: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    @property
    def outward(self) -> list[str]:
        """Requests for anything but files and what is part of the page."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


def violations(page: Any) -> list[str]:
    """What axe finds wrong with a page's accessibility."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe isn't installed")
    found = axe.Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]
