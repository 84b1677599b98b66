"""The page of benchmarks: its tables and plots show what stands in `benchmarks/results.csv`."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("draw_benchmarks", ROOT / "docs" / "draw_benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(script):
    return script.read()


def test_tables_are_those_of_the_results(script, results):
    assert script.write_page(results) == PAGE, "run python docs/draw_benchmarks.py"


def test_every_step_has_a_table(results):
    assert sorted(re.findall(r"<!-- results: ([\w ]+) -->", PAGE)) == sorted(results["step"].unique())


def test_plots_are_of_these_figures(script, results):
    for name in script.PLOTS:
        drawn = (script.PICTURES / f"{name}.svg").read_text(encoding="utf-8")
        assert script.checksum(name, results) in drawn, f"run python docs/draw_benchmarks.py: {name} has changed"


def test_every_plot_is_shown(script):
    shown = re.findall(r"\(_static/benchmarks/(\w+)\.svg\)", PAGE)
    assert sorted(shown) == sorted(script.PLOTS) == sorted(path.stem for path in script.PICTURES.glob("*.svg"))


def test_a_changed_figure_changes_table_and_checksum(script, results):
    changed = results.assign(value=results["value"].mask(results["step"] == "grids", "0.123"))
    assert "| spot spacing of training | 0.123 |" in script.write_page(changed)
    assert script.checksum("grids", changed) != script.checksum("grids", results)
    assert script.checksum("noise", changed) == script.checksum("noise", results)


def test_figures_are_written_as_people_read_them(script):
    assert script.shown("15", "19", "times") == "15–19"
    assert script.shown("0", "", "of 1666") == "0 of 1,666"
    assert script.shown("0.190", "", "") == "0.190"
    assert script.heading("memory", "MB") == "memory, MB"


def test_bars_of_counts_are_fractions(script):
    rows = pd.DataFrame({"value": ["11", "0.50"], "to": ["", "0.98"], "unit": ["of 20", ""]})
    low, high = script.bounds(rows)
    assert low.tolist() == [0.55, 0.5]
    assert high.tolist() == [0.55, 0.98]


def test_commands_name_scripts_that_exist(results):
    for command in results["command"].unique():
        assert (ROOT / command.split()[1]).is_file(), command
