"""A torch built for another device than asked for is an error that says what was found and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch_builds import CPU, CUDA, ROCM, write_torch

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "check_torch_build.py"


def check(device: str, folder: Path) -> subprocess.CompletedProcess:
    # -S: no torch but the one in the folder
    command = [sys.executable, "-S", SCRIPT, device]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("device", "build", "says"),
    [
        ("cpu", CPU, "torch 2.13.0+cpu, built for CPU"),
        ("mps", {"version": "2.13.0"}, "torch 2.13.0, built for CPU"),
        ("cuda", CUDA, "torch 2.13.0+cu130, built for CUDA 13.0"),
        ("cuda", ROCM, "torch 2.13.0+rocm7.2, built for ROCm 7.2.1"),
    ],
)
def test_the_build_asked_for_is_named(tmp_path, device, build, says):
    done = check(device, write_torch(tmp_path, **build))
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout


@pytest.mark.parametrize(
    ("device", "build", "found", "to_fix"),
    [
        ("cpu", CUDA, "2.13.0+cu130, built for CUDA 13.0", "DEVICE=cuda"),
        ("cpu", ROCM, "2.13.0+rocm7.2, built for ROCm 7.2.1", "https://download.pytorch.org/whl/cpu reachable"),
        ("mps", CUDA, "2.13.0+cu130, built for CUDA 13.0", "TORCH_INDEX_URL"),
        ("cuda", CPU, "2.13.0+cpu, built for CPU", "DEVICE=cpu"),
    ],
)
def test_another_build_is_an_error_with_its_fix(tmp_path, device, build, found, to_fix):
    done = check(device, write_torch(tmp_path, **build))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"device {device} asks for" in done.stderr and found in done.stderr
    assert to_fix in done.stderr.partition("To fix this, ")[2]


def test_no_torch_is_an_error(tmp_path):
    done = check("cpu", tmp_path)
    assert done.returncode == 1
    assert "torch is not installed" in done.stderr
