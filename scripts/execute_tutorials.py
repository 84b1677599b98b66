"""Run tutorials in full and keep their outputs: scripts/execute_tutorials.py [01 02 ...], all if none is named.

Each runs in an empty folder and is written back only when it went through. Read the text again afterwards: it has to be
true of what is shown.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
TIMEOUT = 1800
TIME_LEFT = "by the first fit of each model"


def main() -> None:
    chosen = sys.argv[1:] or [""]
    for path in sorted(p for start in chosen for p in FOLDER.glob(f"{start}*.ipynb")):
        start = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": folder}}).execute()
        nbformat.write(without_times(notebook), path)
        print(f"{path.name}: {time.monotonic() - start:.0f} s")


def without_times(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out when cells ran, and how long fits took on the machine that ran them."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if not o.get("text", "").startswith(TIME_LEFT)]
    return notebook


if __name__ == "__main__":
    main()
