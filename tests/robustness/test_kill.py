"""Killed at random moments, every long step goes on and ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork and SIGKILL")


def run(tmp_path, *options: str) -> list[str]:
    """Lines of the harness, which ends with an error where anything was lost."""
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(SUPPORT / "kill_jobs.py"), str(tmp_path / "kills"), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_a_few_kills(tmp_path):
    lines = run(tmp_path, "--kills", "2", "--jobs", "save", "feature cache")
    assert [line.split(":")[0] for line in lines] == ["save", "feature cache"]


@pytest.mark.slow
def test_fifty_kills(tmp_path):
    lines = run(tmp_path, "--kills", "50")
    assert sum(int(line.split(": ")[1].split(" kills")[0]) for line in lines) == 50
