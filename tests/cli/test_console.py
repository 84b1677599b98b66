from __future__ import annotations

import errno
import io
import json
import logging
import sys
import warnings

import pytest
import typer
from tqdm import tqdm

from spatialhist.cli._console import LogLines, Printable, as_options, in_words, print_json, say, speaking


def test_a_progress_bar_leaves_lines_in_a_log():
    log = io.StringIO()
    with tqdm(range(3), file=LogLines(log), mininterval=0, ascii=True) as bar:
        for _ in bar:
            pass
    text = log.getvalue()
    assert "\r" not in text
    assert "3/3" in text.splitlines()[-1]


def test_lines_are_for_logs_only(monkeypatch, capsys):
    with speaking():
        assert isinstance(sys.stderr, LogLines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    terminal = sys.stderr
    with speaking():
        assert sys.stderr is terminal
    assert sys.stderr is terminal


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyError("no slide"), 2, "spatialhist: no slide"),
        (ConnectionError("put the file there"), 2, "spatialhist: put the file there"),
        (KeyboardInterrupt(), 130, "spatialhist: interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full, or a file would be larger"),
        (OSError(errno.EFBIG, "File too large"), 2, "free some space, then run the same command again"),
        (RuntimeError("SafetensorError: No space left on device (os error 28)"), 2, "the disk is full"),
        (OSError(errno.ESTALE, "Stale file handle"), 2, "Stale file handle"),
        (MemoryError(), 2, "not enough memory: Python did not say for what"),
        (MemoryError("Unable to allocate 3 TiB"), 2, "not enough memory: Unable to allocate 3 TiB; fewer slides"),
        (ValueError("no \x1b[2Jslide\nspatialhist: done"), 2, "spatialhist: no \\x1b[2Jslide\n  spatialhist: done"),
    ],
)
def test_exit_codes(error, code, said, capsys):
    with pytest.raises(typer.Exit) as ended, speaking():
        raise error
    assert ended.value.exit_code == code
    assert said in capsys.readouterr().err


def test_a_disk_that_is_full_is_told_from_what_it_led_to(capsys):
    with pytest.raises(typer.Exit) as ended, speaking():
        try:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        except OSError as error:
            raise ValueError("the array cannot be stored") from error
    assert ended.value.exit_code == 2
    assert "the disk is full" in capsys.readouterr().err


def test_names_reach_the_terminal_written_out(capsys):
    say("patient: " + in_words(["P1", "x\x1b[2J"]))
    record = logging.LogRecord("spatialhist", logging.WARNING, "", 1, "slide %s\x07", ("\x1b]0;title",), None)
    with speaking():
        warnings.warn("layer '\x9b31m'", UserWarning, stacklevel=1)
    streams = capsys.readouterr()
    assert streams.out == "patient: P1, x\\x1b[2J\n"
    assert streams.err == "spatialhist: warning: layer '\\x9b31m'\n"
    assert Printable("%(message)s").format(record) == "slide \\x1b]0;title\\x07"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), speaking():
        1 / 0  # noqa: B018


def test_libraries_speak_again_afterwards():
    libraries = [logging.getLogger(name) for name in ("spatialdata", "ome_zarr", "lightning.pytorch")]
    before = [library.level for library in libraries]
    filters = list(warnings.filters)
    with pytest.raises(typer.Exit), speaking():
        assert {library.level for library in libraries} == {logging.ERROR}
        raise ValueError("bad input")
    assert [library.level for library in libraries] == before
    assert warnings.filters == filters


def test_json_has_no_nan(capsys):
    print_json({"scores": [{"mean": float("nan"), "wins": "2/3"}]})
    assert json.loads(capsys.readouterr().out) == {"scores": [{"mean": None, "wins": "2/3"}]}


@pytest.mark.parametrize(
    ("value", "said"),
    [({"ridge": 0.12345, "n": 3}, "ridge 0.123, n 3"), (["S1", "S2"], "S1, S2"), ({}, "not known"), (None, "None")],
)
def test_facts_in_words(value, said):
    assert in_words(value) == said


def test_messages_name_options_not_arguments():
    assert as_options("has no scale: pass mpp= or slides=") == "has no scale: pass --mpp or --slide"
    assert as_options("groups='x' is no column; pixels= too") == "groups='x' is no column; pixels= too"


def test_a_warning_is_one_line_without_the_code_that_gave_it(capsys):
    with speaking():
        warnings.warn("no scale: pass mpp=", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "spatialhist: warning: no scale: pass --mpp\n"
