"""What install_host.sh takes for which machine: run with stand-ins for uname, nvidia-smi and Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from torch_builds import CPU as CPU_BUILD
from torch_builds import CUDA as CUDA_BUILD
from torch_builds import write_torch

SCRIPT = Path(__file__).resolve().parents[1] / "install_host.sh"
CPU = "https://download.pytorch.org/whl/cpu"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are POSIX shell scripts")

# passes the version check, makes an "environment" with itself as interpreter, and writes down what pip is asked
PYTHON = """#!/bin/sh
case "$1 $2" in
    "--version "*) echo "Python 3.11.7" ;;
    "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-m pip") echo "$@" >>"$PIP_LOG" ;;
    "- "*) cat >/dev/null ;;
    scripts/check_torch_build.py*) PYTHONPATH=$TORCH exec "$REAL_PYTHON" "$@" ;;
esac
"""


def write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def install(
    tmp_path: Path,
    *args: str,
    system: str = "Linux",
    machine: str = "x86_64",
    gpu: bool = False,
    python: str = PYTHON,
    torch: dict | None = None,
    **env: str,
):
    """Run the script on a made-up machine, where pip finds a build of torch; return what it said and the calls of pip."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for tool in ("cat", "cp", "dirname", "mkdir", "sh"):
        (bin_dir / tool).symlink_to(shutil.which(tool))
    write_script(bin_dir / "uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {system} || echo {machine}\n')
    write_script(bin_dir / "nvidia-smi", f"#!/bin/sh\nexit {0 if gpu else 9}\n")
    write_script(bin_dir / "python3.11", python)
    log = tmp_path / "pip.log"
    log.touch()
    env["TORCH"] = str(write_torch(tmp_path / "torch", **(torch or (CUDA_BUILD if gpu else CPU_BUILD))))
    env["REAL_PYTHON"] = sys.executable
    done = subprocess.run(
        ["sh", SCRIPT, *args],
        env={"PATH": str(bin_dir), "VENV": str(tmp_path / "venv"), "PIP_LOG": str(log), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log.read_text().splitlines()


@pytest.mark.parametrize(
    ("machine", "device", "index"),
    [
        ({"system": "Linux"}, "cpu", CPU),
        ({"system": "Linux", "gpu": True}, "cuda", None),
        ({"system": "Darwin", "machine": "arm64"}, "mps", None),
        ({"system": "Darwin", "machine": "x86_64"}, "cpu", None),
        ({"system": "MINGW64_NT-10.0-22631"}, "cpu", None),
        ({"system": "MINGW64_NT-10.0-22631", "gpu": True}, "cuda", "https://download.pytorch.org/whl/cu130"),
        ({"system": "Linux", "gpu": True, "DEVICE": "cpu", "torch": CPU_BUILD}, "cpu", CPU),
        ({"system": "Linux", "TORCH_INDEX_URL": "https://example.org/torch"}, "cpu", "https://example.org/torch"),
    ],
)
def test_device_is_found_and_said(tmp_path, machine, device, index):
    done, calls = install(tmp_path, **machine)
    assert done.returncode == 0, done.stderr
    assert f"device {device}," in done.stdout
    (torch,) = [call.split() for call in calls if call.endswith(" torch")]
    assert ("--extra-index-url" in torch) == (index is not None)
    assert index is None or index in torch


def test_torch_is_installed_alone_and_before_the_rest(tmp_path):
    _, (pip, torch, rest) = install(tmp_path)
    assert pip.endswith("pip>=25.1")
    assert "--no-deps" in torch.split()
    assert rest.endswith("--constraint constraints.txt --group dev --group test --group doc --editable .")


@pytest.mark.parametrize(("device", "build"), [("cpu", CUDA_BUILD), ("cuda", CPU_BUILD)])
def test_another_build_than_the_device_named_is_an_error_before_the_rest(tmp_path, device, build):
    done, calls = install(tmp_path, DEVICE=device, torch=build)
    assert done.returncode == 1
    assert f"torch {build['version']}" in done.stderr and "To fix this, " in done.stderr
    assert [call.split()[-1] for call in calls] == ["pip>=25.1", "torch"]


@pytest.mark.parametrize(("gpu", "build"), [(False, CUDA_BUILD), (True, CPU_BUILD)])
def test_another_build_than_the_device_found_is_said_and_installed(tmp_path, gpu, build):
    done, calls = install(tmp_path, gpu=gpu, torch=build)
    assert done.returncode == 0
    assert f"torch {build['version']}" in done.stderr
    assert calls[-1].endswith("--editable .")


def test_arguments_replace_the_checkout(tmp_path):
    _, calls = install(tmp_path, "some.whl")
    assert calls[-1].endswith("--constraint constraints.txt some.whl")


def test_missing_python_is_said(tmp_path):
    done, calls = install(tmp_path, python="#!/bin/sh\nexit 1\n")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert calls == []


def test_pins_fit_the_first_python_that_is_promised():
    lines = SCRIPT.with_name("constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    installed = [d for d in distributions() if pins.get(canonicalize_name(d.metadata["Name"])) == d.version]
    assert len(installed) > 100
    needs = {d.metadata["Name"]: SpecifierSet(d.metadata.get("Requires-Python", "")) for d in installed}
    assert [name for name, pythons in needs.items() if "3.11.0" not in pythons] == []
