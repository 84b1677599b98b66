"""Draw the modules of the package and what they import: python scripts/draw_architecture.py.

The arrows are read from the imports, the words from the docstrings of the packages. Needs `dot` of Graphviz, as in
`apt install graphviz`, `brew install graphviz` or `conda install graphviz`.
"""

from __future__ import annotations

import ast
import html
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from import_graph import find_circle, fold, parse, read_imports

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "spatialhist"
PICTURE = ROOT / "docs" / "_static" / "architecture.svg"

# the module whose sub-packages are floors of their own; those of other modules are named in the module's box
OPENED = "tl"
PRIVATE = "#e8e8e8"
PUBLIC = "#d5e6f5"
OPENED_COLOR = "#eef5fb"
# letters on a line of a box
WIDTH = 32
FONT = "Helvetica,Arial,sans-serif"


def main() -> None:
    if shutil.which("dot") is None:
        sys.exit(__doc__)
    dot = subprocess.run(["dot", "-Tsvg"], input=write_dot(SRC), capture_output=True, text=True, check=True)
    PICTURE.write_text(dot.stdout, encoding="utf-8")


def write_dot(src: Path) -> str:
    """Return the picture in the language of Graphviz."""
    arrows = arrows_between_boxes(src)
    boxes = sorted(arrows)
    opened = [box for box in boxes if box.partition("/")[0] == OPENED]
    lines = [
        "digraph architecture {",
        f'graph [fontname="{FONT}", nodesep=0.25, ranksep=0.4]',
        f'node [fontname="{FONT}", shape=plain]',
        'edge [color="#808080", arrowsize=0.6]',
        *(draw_box(box, src) for box in boxes if box not in opened),
        f'subgraph cluster_opened {{ style=filled; color="{OPENED_COLOR}"; margin=10',
        *(draw_box(box, src) for box in opened),
        "}",
        *(f'"{box}" -> "{other}"' for box in boxes for other in sorted(arrows[box])),
        "}",
    ]
    return "\n".join(lines) + "\n"


def arrows_between_boxes(src: Path) -> dict[str, set[str]]:
    """Return what each box imports, without the arrows that follow from two others."""
    graph = fold(read_imports(src), box_of)
    # the root of the package only names its modules
    graph.pop("__init__")
    graph = {box: imported - {"__init__"} for box, imported in graph.items()}
    if circle := find_circle(graph):
        raise ValueError(f"imports run in a circle: {' -> '.join(circle)}")
    return {box: imported - behind(imported, graph) for box, imported in graph.items()}


def box_of(file: str) -> str:
    parts = Path(file).with_suffix("").parts
    return "/".join(parts[:2]) if parts[0] == OPENED and len(parts) > 2 else parts[0]


def behind(boxes: set[str], graph: dict[str, set[str]]) -> set[str]:
    """Return everything that these boxes import, directly or not."""
    following = set().union(*(graph[box] for box in boxes))
    return following | behind(following, graph) if following else following


def draw_box(box: str, src: Path) -> str:
    # browsers have other letters than dot, which are a little wider
    name, *words = (f"&#160;{html.escape(line)}&#160;" for line in words_of(box, src))
    rows = [f"<B>{name}</B>", *(f'<FONT POINT-SIZE="10">{line}</FONT>' for line in words)]
    cells = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
    color = PRIVATE if "_" in box else PUBLIC
    return f'"{box}" [label=<<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="1" BGCOLOR="{color}">{cells}</TABLE>>]'


def words_of(box: str, src: Path) -> list[str]:
    """Return the lines in a box: its name, what it is for, the private packages in it."""
    inside = " ".join(private_packages(src / box)) if box != OPENED else ""
    return [box, *textwrap.wrap(purpose(box, src), WIDTH), *textwrap.wrap(inside, WIDTH)]


def purpose(box: str, src: Path) -> str:
    """Return how the docstring of a package begins."""
    file = src / f"{box}.py"
    docstring = ast.get_docstring(parse(file if file.exists() else src / box / "__init__.py")) or ""
    return re.split(r"[.:;]\s|[.]$", " ".join(docstring.split()))[0].replace("`", "")


def private_packages(folder: Path) -> list[str]:
    return sorted(init.parent.name for init in folder.glob("_*/__init__.py"))


if __name__ == "__main__":
    main()
