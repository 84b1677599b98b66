"""A torch of any build in a folder, as far as its build can be read without importing it."""

from __future__ import annotations

from pathlib import Path

CUDA = {"version": "2.13.0+cu130", "cuda": "13.0"}
ROCM = {"version": "2.13.0+rocm7.2", "hip": "7.2.1"}
CPU = {"version": "2.13.0+cpu"}


def write_torch(folder: Path, *, version: str, cuda: str | None = None, hip: str | None = None) -> Path:
    torch = folder / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").write_text("raise ImportError('what torch needs is not there yet')\n")
    (torch / "version.py").write_text(f"__version__ = {version!r}\ncuda = {cuda!r}\nhip = {hip!r}\n")
    return folder
