"""Take the picture of docs/explore.md: python docs/draw_explore.py EXPLORE.html --gene IGKC.

Needs Chromium with its driver, as in `apt install chromium chromium-driver`, and selenium, which the tests need, too.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bokeh.palettes import Viridis256
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

TARGET = Path(__file__).parent / "_static" / "explore.png"
LAPTOP = (1440, 900)
WIDTH, COLORS = 1200, 256
SCALE = Viridis256[::4]
"""Colors that the picture keeps as they are."""
LASSO = [(-0.3, 0.05), (-0.02, -0.1), (0.1, 0.12), (-0.1, 0.25), (-0.3, 0.05)]
"""In widths and heights of a panel, from its middle."""
POINTED = (0.22, -0.12)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--gene", required=True)
    parser.add_argument("--slide", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as profile:
        browser = open_browser(profile)
        browser.get(args.page.resolve().as_uri())
        wait(browser)
        choose(browser, "slide", args.slide)
        choose(browser, "gene", args.gene)
        select(browser)
        save(browser.get_screenshot_as_png())
        browser.quit()


def open_browser(profile: str) -> Any:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    size = {"width": LAPTOP[0], "height": LAPTOP[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser


def wait(browser: Any) -> None:
    while browser.execute_script("return document.body.dataset.state") != "ready":
        time.sleep(0.1)
    time.sleep(0.5)


def choose(browser: Any, control: str, label: str) -> None:
    """Choose the first entry that starts with a label."""
    browser.execute_script(
        """const control = document.getElementById(arguments[0]);
        control.value = Array.from(control.options).find((o) => o.textContent.startsWith(arguments[1])).value;
        control.dispatchEvent(new Event("change"));""",
        control,
        label,
    )
    wait(browser)


def select(browser: Any) -> None:
    """Draw a lasso in the right panel, then point at a spot in the left one."""
    browser.find_element(By.CSS_SELECTOR, "[data-tool=lasso]").click()
    panel = browser.find_element(By.ID, "right-panel")
    width, height = panel.size["width"], panel.size["height"]
    corners = [(round(x * width), round(y * height)) for x, y in LASSO]
    chain = ActionChains(browser).move_to_element_with_offset(panel, *corners[0]).click_and_hold()
    for before, after in zip(corners, corners[1:], strict=False):
        chain = chain.move_by_offset(after[0] - before[0], after[1] - before[1])
    chain.release().perform()
    time.sleep(0.5)
    left = browser.find_element(By.ID, "left-panel")
    pointed = round(POINTED[0] * width), round(POINTED[1] * height)
    ActionChains(browser).move_to_element_with_offset(left, *pointed).perform()
    time.sleep(0.5)


def save(png: bytes) -> None:
    """Make it as small as a page of the documentation takes it."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)
    few = image.quantize(COLORS - len(SCALE), dither=Image.Dither.NONE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*few, *(int(color[i : i + 2], 16) for color in SCALE for i in (1, 3, 5))])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET} ({TARGET.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
