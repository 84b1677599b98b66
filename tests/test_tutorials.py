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
MAX_COLUMNS = 72

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
def test_lines_fit_the_column_of_a_laptop(path):
    assert not [line for c in code_cells(path) for line in c.source.splitlines() if len(line) > MAX_COLUMNS]


@each_notebook
def test_uses_public_names_only(path):
    source = "\n".join(c.source for c in code_cells(path))
    tree = ast.parse(re.sub(r"^%.*$", "", source, flags=re.MULTILINE))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not [m for m in imported if m.startswith("spatialhist.") and "._" in m]
    used = {tuple(ast.unparse(n).split(".")[1:]) for n in ast.walk(tree) if is_attribute_of_sh(n)}
    assert used
    for module, name in used:
        assert module in sh.__all__
        assert name in importlib.import_module(f"spatialhist.{module}").__all__


def is_attribute_of_sh(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and re.fullmatch(r"sh\.\w+\.\w+", ast.unparse(node)) is not None


SMALLER = {
    "size_px=(900, 700)": "size_px=(550, 450)", "epochs=20": "epochs=2", "genes=30": "genes=12",
    "size_px=(500, 400)": "size_px=(300, 240)", "size_px=(450, 350)": "size_px=(300, 260)",
}  # fmt: skip
"""What makes a tutorial quick without making it another one."""

HER2ST = {
    "02_train_validate_stack": {
        "sh.datasets.synthetic": "HER2ST",
        "n_slides=6, n_patients=3, size_px=(900, 700), seed=0": "['A1', 'B4', 'C2', 'C3']",
        "n_slides=1, size_px=(900, 700), seed=7": "['A2']",
        '["S1", "S3", "S5"]': '["A1", "B4", "C2"]',
    },
    "03_downstream_with_squidpy": {
        "sh.datasets.synthetic": "HER2ST",
        "n_slides=5, n_patients=5, size_px=(900, 700), seed=0": "",
        '"S1"': '"A1"', '"S2"': '"A2"', '"S3"': '"B4"', '"S4"': '"C2"', '"S5"': '"C3"', "S4_full": "C2_full",
    },
}  # fmt: skip
"""Tutorials on real slides of three patients: what replaces the synthetic ones."""


def rewritten(path: Path, changes: dict[str, str]) -> nbformat.NotebookNode:
    """Replace text in the code of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for old, new in changes.items():
                cell.source = cell.source.replace(old, new)
    return notebook


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run from top to bottom in an empty folder; an error or a warning is a failure."""
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [shown_text(o) for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert not [text for text in shown if "Warning" in text]


@pytest.mark.slow
@pytest.mark.tutorial
@each_notebook
def test_runs_on_a_small_cohort(path, tmp_path):
    run(rewritten(path, SMALLER), tmp_path)


@pytest.mark.slow
@each_notebook
def test_runs_from_top_to_bottom(path, tmp_path):
    run(nbformat.read(path, as_version=4), tmp_path)


@pytest.mark.parametrize("name", HER2ST)
def test_real_slides_replace_what_a_notebook_has(name):
    source = "\n".join(c.source for c in code_cells(ROOT / "tutorials" / f"{name}.ipynb"))
    assert not [old for old in HER2ST[name] if old not in source]


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", HER2ST)
def test_runs_on_real_slides(name, data_root, tmp_path):
    notebook = rewritten(ROOT / "tutorials" / f"{name}.ipynb", HER2ST[name])
    # the cells under a spot are known for synthetic slides only
    notebook.cells = [c for c in notebook.cells if "true_composition" not in c.source]
    load = (
        f"def HER2ST(slides=None): return sh.io.read_st({str(data_root / 'her2st')!r}, slides=slides, progress=False)"
    )
    first = next(i for i, c in enumerate(notebook.cells) if "import spatialhist" in c.source)
    notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(load))
    run(notebook, tmp_path)
