from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path

import nbformat
import pytest

import spatialhist as sh

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "tutorials").glob("*.ipynb"))
MAX_BYTES = 600_000

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


@functools.cache
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [c for c in read(path).cells if c.cell_type == "code"]


def outputs(path):
    return [o for c in code_cells(path) for o in c.outputs]


def shown_text(output) -> str:
    """Everything of an output that is read, pictures left out."""
    data = output.get("data", {})
    return "\n".join([output.get("text", ""), *(v for k, v in data.items() if k.startswith("text/"))])


def test_index_lists_every_notebook_and_no_other():
    index = (ROOT / "tutorials" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^(\d\d_\w+)$", index, flags=re.MULTILINE) == [p.stem for p in NOTEBOOKS]


@each_notebook
def test_is_committed_as_it_ran_from_top_to_bottom(path):
    assert [c.execution_count for c in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))
    assert any("image/png" in o.get("data", {}) or "image/jpeg" in o.get("data", {}) for o in outputs(path))
    assert path.stat().st_size < MAX_BYTES


@each_notebook
def test_has_no_error_and_no_warning_among_its_outputs(path):
    assert not [o for o in outputs(path) if o.output_type == "error"]
    assert not [t for t in map(shown_text, outputs(path)) if "Warning" in t or "Traceback" in t]


@each_notebook
def test_names_no_place_on_the_machine_that_ran_it(path):
    text = "\n".join([*(c.source for c in read(path).cells), *map(shown_text, outputs(path))])
    assert not re.findall(r"""(?:^|[\s"'=(])(?:/[a-z]+/[\w.]|[A-Z]:\\|~/)|0x[0-9a-f]{6,}""", text)


@each_notebook
def test_uses_public_names_only(path):
    source = "\n".join(c.source for c in code_cells(path))
    tree = ast.parse(re.sub(r"^%.*$", "", source, flags=re.MULTILINE))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not [m for m in imported if m.startswith("spatialhist.") and "._" in m]
    used = {tuple(ast.unparse(n).split(".")[1:]) for n in ast.walk(tree) if is_attribute_of_sh(n)}
    assert used
    for room, name in used:
        assert room in sh.__all__
        assert name in importlib.import_module(f"spatialhist.{room}").__all__


def is_attribute_of_sh(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and re.fullmatch(r"sh\.\w+\.\w+", ast.unparse(node)) is not None


@pytest.mark.slow
@each_notebook
def test_runs_from_top_to_bottom(path, tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
