"""Fail where the installed torch is built for another device than asked for: scripts/check_torch_build.py cpu|cuda|mps.

Nothing of torch is imported, so that this can be said before several GB of CUDA libraries are installed beside it.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TO_FIX = {
    "CPU": f"make {CPU_INDEX} reachable or name a mirror of it in TORCH_INDEX_URL, or take the CUDA build, several GB "
    "larger, which computes on the CPU too: DEVICE=cuda",
    "GPU": "name the index of a build for the GPU in TORCH_INDEX_URL (pytorch.org lists them), or take the CPU build: "
    "DEVICE=cpu",
}


def main() -> None:
    (device,) = sys.argv[1:]
    version = read_version()
    asked, found = "GPU" if device == "cuda" else "CPU", built_for(version)
    if (found == "CPU") != (asked == "CPU"):
        sys.exit(
            f"spatialhist: device {device} asks for a torch built for the {asked}; pip found torch {version.__version__}, "
            f"built for {found}. To fix this, {TO_FIX[asked]}"
        )
    print(f"spatialhist: torch {version.__version__}, built for {found}")


def read_version() -> ModuleType:
    """`torch.version` alone: torch itself needs packages that may not be there yet."""
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        sys.exit("spatialhist: torch is not installed")
    spec: ModuleSpec = importlib.util.spec_from_file_location("version", Path(torch.origin).with_name("version.py"))
    version = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(version)
    return version


def built_for(version: ModuleType) -> str:
    """Name what a build of torch computes on: CUDA or ROCm with its version, or the CPU (MPS needs no build of its own)."""
    for name, number in (("CUDA", version.cuda), ("ROCm", version.hip)):
        if number:
            return f"{name} {number}"
    return "CPU"


if __name__ == "__main__":
    main()
