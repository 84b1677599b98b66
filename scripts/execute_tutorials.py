"""Run tutorials in full and keep their outputs: scripts/execute_tutorials.py [01 02 ...], all if none is named.

Each runs in an empty folder and is written back only when it went through, with the processor time it took in its first
lines. Run it with one thread (OMP_NUM_THREADS=1). Read the text again afterwards: it has to be true of what is shown.
"""

from __future__ import annotations

import re
import resource
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
TIMEOUT = 1800
TIME_LEFT = "by the first fit of each model"
TAKES = re.compile(r"about \d+ seconds on one processor core")
STEP_S = 10


def main() -> None:
    chosen = sys.argv[1:] or [""]
    for path in sorted(p for start in chosen for p in FOLDER.glob(f"{start}*.ipynb")):
        start = processor_seconds()
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": folder}}).execute()
        took = processor_seconds() - start
        state_time(notebook, took)
        nbformat.write(without_times(notebook), path)
        print(f"{path.name}: {took:.0f} s")


def processor_seconds() -> float:
    """Time of the kernels that have ended, which does not depend on what else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def state_time(notebook: nbformat.NotebookNode, seconds: float) -> None:
    """Write into the first lines how long it takes, in steps of ten seconds."""
    rounded = STEP_S * max(1, round(seconds / STEP_S))
    first = notebook.cells[0]
    first.source, found = TAKES.subn(f"about {rounded} seconds on one processor core", first.source)
    if found != 1:
        raise ValueError(f"the first lines have to say once how long it takes, as in {TAKES.pattern!r}")


def without_times(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out when cells ran, and how long fits took on the machine that ran them."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if not o.get("text", "").startswith(TIME_LEFT)]
    return notebook


if __name__ == "__main__":
    main()
