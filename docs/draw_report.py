"""Take the pictures of docs/report.md: python docs/draw_report.py REPORT.html.

Needs a Chromium on the path and `pip install playwright`, which nothing else here does.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

TARGET = Path(__file__).parent / "_static"
LAPTOP, PHONE, PAPER = (1180, 760), (390, 760), (794, 1123)
SHARPNESS = 1.5
"""Pixels of a picture for one of the page."""


def main() -> None:
    address = Path(sys.argv[1]).resolve().as_uri()
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(browser, address, LAPTOP, "report_scores", height=900)
        take(browser, address, LAPTOP, "report_genes", section="#genes ~ h3", height=760)
        take(browser, address, PHONE, "report_phone", height=1000)
        take(browser, address, PAPER, "report_print", media="print", height=1123)
        browser.close()


def take(
    browser: Any,
    address: str,
    size: tuple[int, int],
    name: str,
    *,
    height: int,
    section: str = "",
    media: str = "screen",
) -> None:
    """Save what is seen from a section on."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, device_scale_factor=SHARPNESS)
    page.emulate_media(media=media)
    page.goto(address)
    if media == "print":
        # paper has margins, a screenshot has none
        page.add_style_tag(content="body { padding: 14mm !important; }")
    top = page.locator(section).first.bounding_box()["y"] - 12 if section else 0
    clip = {"x": 0, "y": top, "width": size[0], "height": height}
    page.screenshot(path=TARGET / f"{name}.jpg", quality=85, full_page=True, clip=clip)
    page.close()


if __name__ == "__main__":
    main()
