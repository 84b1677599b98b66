"""The picture of the modules shows the imports of today."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from draw_architecture import PICTURE, ROOT, SRC, arrows_between_boxes, words_of, write_dot

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ANEW = "draw the picture anew: python scripts/draw_architecture.py"


def titled(kind: str) -> dict[str, str]:
    """Return the words of the picture's nodes or edges, by what they stand for."""
    space = {"svg": "http://www.w3.org/2000/svg"}
    groups = ET.parse(PICTURE).iterfind(f".//svg:g[@class='{kind}']", space)
    return {group.find("svg:title", space).text: " ".join(_texts(group, space)) for group in groups}


def _texts(group: ET.Element, space: dict[str, str]) -> list[str]:
    return [text.text.replace("\N{NO-BREAK SPACE}", " ").strip() for text in group.iterfind(".//svg:text", space)]


def test_picture_shows_the_imports_of_today():
    arrows = arrows_between_boxes(SRC)
    assert set(titled("edge")) == {f"{box}->{other}" for box in arrows for other in arrows[box]}, ANEW


def test_picture_says_what_the_docstrings_say():
    assert titled("node") == {box: " ".join(words_of(box, SRC)) for box in arrows_between_boxes(SRC)}, ANEW


def test_architecture_page_shows_the_picture():
    assert f"({PICTURE.parent.name}/{PICTURE.name})" in PAGE


def test_files_named_on_the_architecture_page_exist():
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) > 10
    assert [file for file in named if not (SRC / file).exists() and not (ROOT / file).exists()] == []


def test_arrows_that_follow_from_others_are_left_out(tmp_path):
    write(tmp_path, {"__init__.py": "", "_keys.py": '"""Names: all of them."""', "a.py": "from ._keys import x"})
    write(tmp_path, {"b.py": "from .a import f\nfrom ._keys import x", "c.py": "from ._keys import y"})
    assert arrows_between_boxes(tmp_path) == {"_keys": set(), "a": {"_keys"}, "b": {"a"}, "c": {"_keys"}}


def test_only_one_module_is_opened(tmp_path):
    write(tmp_path, {"__init__.py": "", "tl/__init__.py": '"""Tools"""', "tl/_runs/__init__.py": "", "tl/_fit.py": ""})
    write(tmp_path, {"tl/_runs/plan.py": "from ...pp._stain import fit", "pp/__init__.py": '"""Steps; one a file."""'})
    write(tmp_path, {"pp/_stain/__init__.py": "", "pp/_stain/fit.py": ""})
    assert arrows_between_boxes(tmp_path) == {"tl": set(), "tl/_runs": {"pp"}, "pp": set()}
    assert words_of("pp", tmp_path) == ["pp", "Steps", "_stain"]
    assert words_of("tl", tmp_path) == ["tl", "Tools"]
    assert '"tl/_runs" -> "pp"' in write_dot(tmp_path)


def test_circle_is_not_drawn(tmp_path):
    write(tmp_path, {"__init__.py": "", "a.py": "from .b import f", "b.py": "from .a import g"})
    with pytest.raises(ValueError, match=r"circle: (a -> b -> a|b -> a -> b)"):
        arrows_between_boxes(tmp_path)


def write(src: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = src / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
