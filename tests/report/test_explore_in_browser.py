"""The interactive page in a headless Chromium: what a person sees, points at, selects and saves."""

from __future__ import annotations

import csv
import io
import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_matrix

import spatialhist as sh
from spatialhist._sdata.layers import record

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed"),
]

SWITCH_MS = 200
"""Within which half a million bins show another gene."""
EVIL = "</script><b>bold</b>"
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    downloads = tmp_path_factory.mktemp("downloads")
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1440,900"):
        options.add_argument(option)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(120)
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def cohort():
    """Two slides that are wider than they are high; a gene and a spot have names that must stay text."""
    rng, parts = np.random.default_rng(0), []
    xy = (np.indices((9, 15)).reshape(2, -1).T[:, ::-1] + 1) * 40.0
    for slide in ("S1", "S2"):
        image = np.full((400, 640, 3), 230, dtype=np.uint8)
        counts = rng.poisson(np.outer(1 + xy[:, 0] / 100, [1, 2, 3, 4]))
        parts.append(sh.io.from_arrays(image, xy, counts, genes=[EVIL, "B", "C", "D"], slide=slide, mpp=2.0))
    sdata = sh.io.concat(parts)
    sh.pp.log_normalize(sdata)
    table = sdata["table"]
    table.layers["oof"] = table.layers["log1p"] * 0.5
    table.layers["oof"][(table.obs["region"] == "S2").to_numpy(), 1] = np.nan
    record(table, "oof", {"target": "log1p", "kind": "model", "predictor": "ridge"})
    table.var["oof_verdict"], table.var["oof_score"] = (
        ["weak", "reliable", "unreliable", "weak"],
        [0.21, 0.5, -0.05, 0.2],
    )
    return sdata


@pytest.fixture
def page(browser, cohort, tmp_path_factory):
    path = sh.report.explore(cohort, tmp_path_factory.mktemp("page") / "explore.html")
    open_page(browser, path)
    return browser


def open_page(browser, path):
    browser.get(path.as_uri())
    wait_for(lambda: state(browser) == "ready")


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the page did not get there in time"
        time.sleep(0.05)


def state(browser):
    return browser.execute_script("return document.body.dataset.state")


def text(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def choose(browser, name, label):
    script = """const control = document.getElementById(arguments[0]);
    control.value = Array.from(control.options).find((o) => o.textContent.startsWith(arguments[1])).value;
    control.dispatchEvent(new Event("change"));"""
    browser.execute_script(script, name, label)
    wait_for(lambda: state(browser) == "ready")


def position(browser, xy):
    """Where a point of the slide, in micrometers, lies in a panel, from its middle."""
    x, y = browser.execute_script("""const model = (name) => Bokeh.documents[0].get_model_by_name(name);
        return ["x", "y"].map((name) => [model(name).start, model(name).end]);""")
    width, height = browser.execute_script("""const figure = Bokeh.documents[0].get_model_by_name("left");
        return [figure.inner_width, figure.inner_height];""")
    right = (xy[0] - sum(x) / 2) / (x[1] - x[0]) * width
    return right, -(-xy[1] - sum(y) / 2) / (y[1] - y[0]) * height


def drag(browser, side, corners):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    panel = browser.find_element(By.ID, f"{side}-panel")
    places = [position(browser, corner) for corner in corners]
    chain = ActionChains(browser).move_to_element_with_offset(panel, *map(round, places[0])).click_and_hold()
    for before, after in zip(places, places[1:], strict=False):
        chain = chain.move_by_offset(round(after[0]) - round(before[0]), round(after[1]) - round(before[1]))
    chain.release().perform()


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def test_opens_with_measured_beside_predicted(page):
    assert text(page, "left-title") == "B, measured"
    assert text(page, "right-title") == "B: reliable (r .50 held out)"
    assert text(page, "left-unit") == text(page, "right-unit") == "log1p(CP10k)"
    assert "135 spots" in text(page, "chosen")
    errors = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_nothing_is_loaded_beside_the_file(page):
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []


def test_names_stay_text(page):
    choose(page, "gene", EVIL)
    assert text(page, "right-title") == f"{EVIL}: weak (r .21 held out)"
    assert page.execute_script("return document.querySelectorAll('b').length") == 0


def test_a_gene_and_a_slide_are_switched(page, cohort):
    choose(page, "gene", "C")
    assert text(page, "right-title") == "C: unreliable (r −.05 held out)"
    choose(page, "gene", "B")
    choose(page, "slide", "S2")
    assert text(page, "right-title") == "B: not modeled on this slide"
    table = cohort["table"]
    shown = page.execute_script("return Array.from(Bokeh.documents[0].get_model_by_name('spots').data.left)")
    wanted = table.layers["log1p"][(table.obs["region"] == "S2").to_numpy(), 1]
    np.testing.assert_allclose(shown, wanted, atol=1e-3)


def test_a_spot_is_named_where_the_pointer_is(page, cohort):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    panel = page.find_element(By.ID, "right-panel")
    spot = 3 * 15 + 11
    where = position(page, cohort["table"].obsm["spatial"][spot] * 2.0)
    ActionChains(page).move_to_element_with_offset(panel, *map(round, where)).perform()
    wait_for(lambda: page.find_element(By.ID, "tip").is_displayed())
    lines = page.find_element(By.ID, "tip").text.splitlines()
    table = cohort["table"]
    assert lines[:2] == [table.obs_names[spot], "B: reliable (r .50 held out)"]
    assert lines[lines.index("measured (log1p)") + 1] == f"{table.layers['log1p'][spot, 1]:.2f}"
    assert lines[lines.index("predicted (out of fold)") + 1] == f"{table.layers['oof'][spot, 1]:.2f}"


def test_a_tap_on_a_phone_names_the_spot_until_the_next_one(page, cohort):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.refresh()
    wait_for(lambda: state(page) == "ready")
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        for spot in (65, 66):
            tap(page, "left", cohort["table"].obsm["spatial"][spot] * 2.0)
            name = cohort["table"].obs_names[spot]
            wait_for(lambda name=name: page.find_element("id", "tip").text.startswith(f"{name}\n"))
            time.sleep(0.3)
            assert page.find_element("id", "tip").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def tap(browser, side, xy):
    middle = browser.execute_script(
        "const { left, top, width, height } = document.getElementById(arguments[0]).getBoundingClientRect();"
        "return [left + width / 2, top + height / 2]",
        f"{side}-panel",
    )
    x, y = (a + b for a, b in zip(middle, position(browser, xy), strict=True))
    touch = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", touch)
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize(("tool", "side"), [("box", "left"), ("lasso", "right")])
def test_selected_spots_are_averaged_and_saved(page, cohort, tool, side):
    click(page, f"[data-tool={tool}]")
    left, top, right, low = 300, 140, 700, 420
    corners = [(left, top), (right, low)]
    if tool == "lasso":
        corners = [(left, top), (right, top), (right, low), (left, low), (left, top)]
    drag(page, side, corners)
    table = cohort["table"]
    xy = table.obsm["spatial"][:135] * 2.0
    inside = (xy[:, 0] > left) & (xy[:, 0] < right) & (xy[:, 1] > top) & (xy[:, 1] < low)
    assert inside.sum() == 20
    wait_for(lambda: text(page, "chosen").startswith("20 of 135"))
    mean = table.layers["log1p"][:135][inside, 1].mean()
    assert f"{mean:.2f}" in page.find_element("id", "means").text
    for saved in page.downloads.iterdir():
        saved.unlink()
    click(page, "#save")
    wait_for(lambda: (page.downloads / "spots.csv").exists())
    rows = list(csv.DictReader((page.downloads / "spots.csv").open()))
    assert [row["spot"] for row in rows] == list(table.obs_names[:135][inside])
    assert {(row["slide"], row["gene"]) for row in rows} == {("S1", "B")}
    shown = [float(row["measured (log1p)"]) for row in rows]
    np.testing.assert_allclose(shown, table.layers["log1p"][:135][inside, 1], atol=1e-3)
    click(page, "#clear")
    assert text(page, "chosen").startswith("135 spots")


def color_at(browser, side, xy):
    """Color of the page at a point of the slide, in a panel."""
    panel = browser.execute_script(
        "const { left, top, width, height } = document.getElementById(arguments[0]).getBoundingClientRect();"
        "return [left + width / 2, top + height / 2]",
        f"{side}-panel",
    )
    image = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    scale = image.width / browser.execute_script("return innerWidth")
    return np.array(image.getpixel([int((a + b) * scale) for a, b in zip(panel, position(browser, xy), strict=True)]))


def test_spots_have_the_color_of_their_value_and_others_are_dimmed_by_a_selection(page, cohort):
    from bokeh.palettes import Viridis256

    table = cohort["table"]
    xy, values = table.obsm["spatial"][:135] * 2.0, table.layers["log1p"][:135, 1]
    page.execute_script(
        "const o = document.getElementById('opacity'); o.value = 100; o.dispatchEvent(new Event('input'))"
    )
    low, high = np.percentile(table.layers["log1p"][:, 1], (1, 99))
    inside, outside = 4 * 15 + 7, 14
    time.sleep(0.5)
    before = {spot: color_at(page, "left", xy[spot]) for spot in (inside, outside)}
    for spot, color in before.items():
        entry = Viridis256[int(np.clip((values[spot] - low) / (high - low) * 256, 0, 255))]
        np.testing.assert_allclose(color, [int(entry[i : i + 2], 16) for i in (1, 3, 5)], atol=6)
    click(page, "[data-tool=box]")
    drag(page, "right", [xy[inside] - 100, xy[inside] + 100])
    wait_for(lambda: "selected" in text(page, "chosen"))
    time.sleep(0.5)
    after = {spot: color_at(page, "left", xy[spot]) for spot in (inside, outside)}
    np.testing.assert_allclose(after[inside], before[inside], atol=2)
    assert np.abs(after[outside] - before[outside]).max() > 30
    click(page, "#clear")


def test_panels_share_their_window_at_one_scale(page):
    drag(page, "left", [(600, 300), (500, 350)])
    spans = page.execute_script("""const model = (name) => Bokeh.documents[0].get_model_by_name(name);
        const [left, right] = [model("left"), model("right")];
        return [left.x_range === right.x_range && left.y_range === right.y_range,
            (left.x_range.end - left.x_range.start) / left.inner_width, (left.y_range.end - left.y_range.start) / left.inner_height];""")
    assert spans[0] and spans[1] == pytest.approx(spans[2], rel=1e-3)


def processor_seconds(browser):
    """What the page's own thread has worked."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "ThreadTime")


def test_half_a_million_bins_switch_in_a_moment(browser, tmp_path):
    side, genes = 708, 6
    y, x = np.indices((side, side)).reshape(2, -1)
    xy = np.column_stack([x, y]) * 4.0 + 2
    waves = np.stack([1 + np.sin(x / (20 + 9 * g)) * np.cos(y / 40) for g in range(genes)], axis=1)
    counts = csr_matrix(np.random.default_rng(0).poisson(waves).astype(np.float32))
    image = np.full((side * 4, side * 4, 3), 220, dtype=np.uint8)
    sdata = sh.io.from_arrays(image, xy, counts, genes=[f"G{g}" for g in range(genes)], slide="S1", mpp=0.5)
    table = sdata["table"]
    table.layers["oof"] = waves.astype(np.float32)
    record(table, "oof", {"target": "X", "kind": "model", "predictor": "ridge"})
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    open_page(browser, sh.report.explore(sdata, tmp_path / "bins.html"))
    script = """const done = arguments[1], gene = document.getElementById("gene"), start = performance.now();
    gene.value = arguments[0];
    gene.dispatchEvent(new Event("change"));
    const look = () => document.body.dataset.shown === `0 ${gene.value}`
        ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)))
        : setTimeout(look, 1);
    look();"""
    before = processor_seconds(browser)
    took = [browser.execute_async_script(script, k % genes) for k in range(1, 13)]
    assert (processor_seconds(browser) - before) / len(took) < SWITCH_MS / 1000
    # a machine that is busy with other things takes longer by the clock
    assert min(took) < SWITCH_MS * max(1, os.getloadavg()[0] / os.cpu_count()), took
    # row by row from below: pixel (0, 5) shows the bin in column 5 of the lowest row
    shown = browser.execute_script(
        "return Array.from(Bokeh.documents[0].get_model_by_name('right_raster_data').data.image[0].slice(0, 20))"
    )
    np.testing.assert_allclose(shown, waves[(side - 1) * side :][:20, 0], atol=0.02)
    drag(browser, "left", [(300, 300), (300, 300)])
    click(browser, "[data-tool=box]")
    drag(browser, "left", [(100, 100), (300, 200)])
    wait_for(lambda: "of 501,264 spots selected" in text(browser, "chosen"))
    assert int(text(browser, "chosen").split()[0].replace(",", "")) == pytest.approx(100 * 50, rel=0.05)
