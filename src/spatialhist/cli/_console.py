"""How the command line speaks: progress that fits a log, errors in one line, exit codes."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO

import typer

from spatialhist._runtime.quiet import loggers_at
from spatialhist._runtime.text import paragraph, printable

if TYPE_CHECKING:
    import pandas as pd

USER_ERRORS = (ValueError, KeyError, TypeError, MemoryError, RuntimeError, ImportError, OSError)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of the operating system: no space, no quota, or a file above a limit."""
FULL_WORDS = ("No space left on device", "File too large", "Disk quota exceeded")
"""In messages of libraries that write files without Python."""
OPTIONS = {
    "mpp=": "--mpp",
    "out=": "--out",
    "groups=": "--groups",
    "genes=": "--n-genes",
    "always=": "--genes",
    "slides=": "--slide",
    "models=": "--model",
    "spacing=": "--spacing",
    "key_added=": "--key-added",
    "seed=": "--seed",
    "layer=": "--layer",
    "image=": "--image",
    "encoder=": "--encoder",
    "path=": "--out",
    "layers=": "--layer",
    "table_key=": "--table",
}
"""What a message of the package calls an argument, and what it is called here."""
MENDABLE, INTERRUPTED = 2, 130
"""Exit codes: that of wrong usage, which click has too, and what shells return for Ctrl-C (128 + 2)."""
LOG_SECONDS = 30
"""Between two lines of a progress bar where the output is no terminal."""


class LogLines(io.TextIOBase):
    """A stream in which a progress bar leaves lines, since a file cannot go back to the start of one."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text, with a new line wherever it would return to the start of the line."""
        self.stream.write(text.replace("\r", "\n") if text.strip() else text.replace("\r", ""))
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self.stream.flush()


@contextmanager
def speaking() -> Iterator[None]:
    """Turn problems a user can fix into one line and exit code 2, an interruption into 130; leave other errors as they are.

    Where the output is no terminal, progress is written as lines, one in half a minute.
    """
    stream: Any = sys.stderr
    if not stream.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", str(LOG_SECONDS))
        stream = LogLines(stream)
    with warnings.catch_warnings(), _third_parties_silenced(), redirect_stderr(stream):
        warnings.showwarning = _show  # type: ignore[assignment]
        try:
            yield
        except KeyboardInterrupt as error:
            typer.echo("\nspatialhist: interrupted; run the same command again to resume", err=True)
            raise typer.Exit(INTERRUPTED) from error
        except USER_ERRORS as error:
            if logging.getLogger("spatialhist").level == logging.INFO:
                raise
            say(f"spatialhist: {as_options(_in_a_sentence(error))}", err=True)
            raise typer.Exit(MENDABLE) from error


def say(text: str, *, err: bool = False) -> None:
    """Print text that may hold names from files; only ends of lines work on the terminal."""
    typer.echo(paragraph(text), err=err)


class Printable(logging.Formatter):
    """Messages of a log, of which the terminal executes nothing."""

    def format(self, record: logging.LogRecord) -> str:
        """The message in one line or in several."""
        return paragraph(super().format(record))


def _in_a_sentence(error: BaseException) -> str:
    """What went wrong, and for a full disk and too little memory what helps."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if _is_full(error):
        return f"the disk is full, or a file would be larger than is allowed ({text}): free some space, then run the same command again to resume"
    if isinstance(error, MemoryError):
        return f"not enough memory: {text or 'Python did not say for what'}; fewer slides, genes or --workers take less"
    return text or type(error).__name__


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is of a full disk."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in FULL) or any(words in str(error) for words in FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def as_options(text: str) -> str:
    """A message of the package, with the options of the command line in the place of arguments."""
    return re.sub(r"\b(\w+=)(?=[\s,.:;)]|$)", lambda found: OPTIONS.get(found[1], found[1]), text)


def _show(message: Warning | str, *_: Any) -> None:
    """Print a warning in one line, without the line of Python that gave it."""
    say(f"spatialhist: warning: {as_options(str(message))}", err=True)


def print_json(facts: dict[str, Any]) -> None:
    """Print facts for programs; what JSON cannot hold becomes text, and missing values become ``null``."""
    typer.echo(json.dumps(_plain(facts), indent=1, default=str, allow_nan=False))


def in_words(value: Any) -> str:
    """What a list or a dictionary holds, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{printable(key)} {in_words(v)}" for key, v in value.items()) or "not known"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(v) for v in value)
    return f"{value:.3f}" if isinstance(value, float) else printable(value)


def print_scores(scores: pd.DataFrame) -> None:
    """Print the score table with both headlines, oracles apart."""
    import spatialhist as sh
    from spatialhist.tl._scores.metrics import LOWER_BOUND, NO_DEPTH

    table = sh.tl.summarize(scores).round(3).rename(index=printable)
    fair, oracles = table[table["kind"] != "oracle"], table[table["kind"] == "oracle"]
    width = max(80, shutil.get_terminal_size((160, 24)).columns)
    typer.echo("\nwithin-slide Pearson (mean) and the same beyond depth, genes -> slides -> groups")
    typer.echo(fair.to_string(line_width=width))
    typer.echo(LOWER_BOUND + ("" if table["beyond_depth"].notna().any() else f" {NO_DEPTH}"))
    typer.echo("\nupper references, which use the measured data of the scored slide")
    typer.echo(oracles.drop(columns=["wins", "wins_beyond_depth"]).to_string(line_width=width))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and value != value else value


@contextmanager
def _third_parties_silenced() -> Iterator[None]:
    """Hide what libraries say about themselves, on which a user of the command cannot act."""
    warnings.filterwarnings("ignore", message="zarr v3 autosharding")
    for module in ("docrep", "squidpy", "zarr", "anndata", "spatialdata", "ome_zarr", "xarray", "dask", "numba"):
        warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
    with loggers_at(logging.ERROR, "spatialdata", "ome_zarr", "lightning.pytorch"):
        yield


def print_verdicts(counts: dict[str, int]) -> None:
    """Print how many genes to trust."""
    text = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    say(f"genes by out-of-fold score: {text or 'accuracy is unknown, this model was not evaluated'}")
