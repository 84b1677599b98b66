from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

import spatialhist
from spatialhist.cli import app

ROOT = Path(__file__).resolve().parents[1]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", spatialhist.__all__)
def test_api_page_lists_every_public_name(module):
    listed = re.findall(rf"^   {module}\.(\w+)$", API, flags=re.MULTILINE)
    assert sorted(listed) == sorted(importlib.import_module(f"spatialhist.{module}").__all__)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/install.md", "docs/testing.md"])
def test_make_targets_named_in_a_page_exist(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named
    assert named <= targets


def test_pages_link_to_files_that_exist():
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs").glob("*/*.md"),
    ]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_options_of_the_command_line_exist():
    commands = typer.main.get_command(app).commands
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = [call for page in pages for call in calls_of_the_command_line(page.read_text(encoding="utf-8"))]
    assert {command for command, _ in named} >= {"run", "predict", "explore", "benchmark"}
    for command, options in named:
        known = {name for parameter in commands[command].params for name in parameter.opts}
        assert set(options) <= known, f"spatialhist {command}"


def calls_of_the_command_line(text: str) -> list[tuple[str, list[str]]]:
    """Command and options of each call of `spatialhist` in code of a page."""
    code = re.findall(r"^```bash\n(.*?)^```$|(?<!`)`([^`\n]+)`(?!`)", text, flags=re.DOTALL | re.MULTILINE)
    lines = "\n".join(part for pair in code for part in pair).replace("\\\n", " ").splitlines()
    found = [re.match(r"spatialhist ([a-z]+)\b(.*)", line.split(" #")[0]) for line in lines]
    return [(each[1], re.findall(r"(?<= )--[a-z-]+", each[2])) for each in found if each]


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(\w+)$", index, flags=re.MULTILINE))
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} == listed - {"end"}


def test_what_the_ecosystem_asks_for_is_there():
    meta = yaml.safe_load((ROOT / ".github" / "scverse" / "meta.yaml").read_text(encoding="utf-8"))
    open_until_public = {"project_home", "documentation_home", "contact"}
    assert {key for key, value in meta.items() if not value} == open_until_public
    assert meta["license"] == "BSD-3-Clause"
    assert meta["version"] == f"v{spatialhist.__version__}"
    assert meta["primary_category"] in ("Spatial", "Imaging")


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, flags=re.MULTILINE).group(1) == spatialhist.__version__


def test_badges_say_what_the_project_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    least = re.search(r"--cov-fail-under=(\d+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    says = {
        "version": project["version"],
        "python": project["requires-python"].removeprefix(">=") + "+",
        "license": project["license"],
        "coverage": f"at least {least[1]} %",
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[(\w+): ([^\]]+)\]\(docs/_static/badges/\w+\.svg\)", readme))
    assert shown == says
    for name, value in says.items():
        drawn = (ROOT / "docs" / "_static" / "badges" / f"{name}.svg").read_text(encoding="utf-8")
        assert f"<title>{name}: {value}</title>" in drawn
        assert f">{value}</text>" in drawn
