from __future__ import annotations

import subprocess
import sys

import pytest

from spatialhist._runtime.lock import alone

HOLD = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"


def test_one_at_a_time_until_the_other_has_died(tmp_path):
    lock = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(RuntimeError, match="busy here"), alone(lock, busy="busy here"):
        pytest.fail("was entered")
    other.kill()
    with alone(lock, busy="busy here", wait_s=30):
        assert lock.exists()
    other.communicate()


def test_an_error_inside_is_not_taken_for_a_lock_that_is_held(tmp_path):
    with pytest.raises(TimeoutError, match="of the caller"), alone(tmp_path / "lock", busy="busy"):
        raise TimeoutError("of the caller")
    with alone(tmp_path / "lock", busy="busy"):
        pass


def test_a_link_is_refused(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="lock is a link"), alone(tmp_path / "lock", busy="busy"):
        pytest.fail("was entered")
    assert not (tmp_path / "elsewhere").exists()
