from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import spatialhist

ROOT = Path(__file__).resolve().parents[1]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", spatialhist.__all__)
def test_api_page_lists_every_public_name(room):
    listed = re.findall(rf"^   {room}\.(\w+)$", API, flags=re.MULTILINE)
    assert sorted(listed) == sorted(importlib.import_module(f"spatialhist.{room}").__all__)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/install.md", "docs/testing.md"])
def test_make_targets_named_in_a_page_exist(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named
    assert named <= targets


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, flags=re.MULTILINE).group(1) == spatialhist.__version__
