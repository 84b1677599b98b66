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
    "epochs=20": "epochs=2", "genes=30": "genes=12", "genes=100": "genes=12", '"genes": 100': '"genes": 12',
    "size_px=(500, 400)": "size_px=(300, 240)", "size_px=(450, 350)": "size_px=(300, 260)",
}  # fmt: skip
"""What makes a tutorial quick without making it another one."""

STAND_IN = """
import spatialdata as sd
import spatialhist as sh

def simulated(slides, progress):
    return sh.io.concat([one_slide(name) for name in ([slides] if isinstance(slides, str) else slides)])

def one_slide(name):
    one = sh.datasets.synthetic(n_slides=1, size_px=(550, 420), max_offset=0, seed=ord(name[1]))
    table = one["table"]
    return sh.io.from_arrays(
        sd.get_pyramid_levels(one["S1_full_image"], n=0), table.obsm["spatial"], table.X, slide=name,
        patient=name[0], mpp=2.0, spot_diameter_px=27.5, genes=list(table.var_names),
    )

sh.datasets.her2st = simulated
"""
"""Simulated slides in the place of those that are downloaded, by the same names."""

REAL = """
import spatialhist as sh

sh.datasets.her2st = lambda slides, progress: sh.io.read_st({folder!r}, slides=slides, progress=progress)
"""
"""The same sections from a folder on this machine."""


def is_on_real_slides(path: Path) -> bool:
    return any("sh.datasets.her2st(" in c.source for c in code_cells(path))


ON_REAL_SLIDES = [path for path in NOTEBOOKS if is_on_real_slides(path)]
SIMULATED = [path for path in NOTEBOOKS if path not in ON_REAL_SLIDES]


def test_first_tutorials_are_on_real_slides():
    assert [path.stem[:2] for path in ON_REAL_SLIDES] == ["01", "02", "03", "04", "05"]


@each_notebook
def test_first_lines_name_the_data_and_the_time(path):
    first = read(path).cells[0].source
    assert re.search(r"takes about \d+ seconds on one processor core", first)
    names_its_source = re.search(r"doi\.org/10\.1038/s41467-021-26271-2.*CC BY 4\.0", first, flags=re.DOTALL)
    assert names_its_source if path in ON_REAL_SLIDES else "simulate" in first


def prepared(path: Path, *, setup: str = "", changes: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Put a cell before those of a notebook, and replace text in their code."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for old, new in (changes or {}).items():
                cell.source = cell.source.replace(old, new)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(setup))
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
    setup = STAND_IN if path in ON_REAL_SLIDES else ""
    run(prepared(path, setup=setup, changes=SMALLER), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", SIMULATED, ids=lambda p: p.stem)
def test_runs_from_top_to_bottom(path, tmp_path):
    run(prepared(path), tmp_path)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("path", ON_REAL_SLIDES, ids=lambda p: p.stem)
def test_runs_on_real_slides(path, data_root, tmp_path):
    run(prepared(path, setup=REAL.format(folder=str(data_root / "her2st"))), tmp_path)
