"""How the command line speaks: progress that fits a log, errors in one line, exit codes."""

from __future__ import annotations

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

if TYPE_CHECKING:
    import pandas as pd

USER_ERRORS = (
    ValueError,
    KeyError,
    FileNotFoundError,
    FileExistsError,
    TypeError,
    MemoryError,
    RuntimeError,
    ImportError,
    ConnectionError,
    PermissionError,
)
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
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            typer.echo(f"spatialhist: {as_options(str(text))}", err=True)
            raise typer.Exit(MENDABLE) from error


def as_options(text: str) -> str:
    """A message of the package, with the options of the command line in the place of arguments."""
    return re.sub(r"\b(\w+=)(?=[\s,.:;)]|$)", lambda found: OPTIONS.get(found[1], found[1]), text)


def _show(message: Warning | str, *_: Any) -> None:
    """Print a warning in one line, without the line of Python that gave it."""
    typer.echo(f"spatialhist: warning: {as_options(str(message))}", err=True)


def print_json(facts: dict[str, Any]) -> None:
    """Print facts for programs; what JSON cannot hold becomes text, and missing values become ``null``."""
    typer.echo(json.dumps(_plain(facts), indent=1, default=str, allow_nan=False))


def in_words(value: Any) -> str:
    """What a list or a dictionary holds, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(v)}" for key, v in value.items()) or "not known"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(v) for v in value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_scores(scores: pd.DataFrame) -> None:
    """Print the score table, oracles apart."""
    import spatialhist as sh

    table = sh.tl.summarize(scores).round(3)
    fair, oracles = table[table["kind"] != "oracle"], table[table["kind"] == "oracle"]
    width = max(80, shutil.get_terminal_size((160, 24)).columns)
    typer.echo("\nwithin-slide Pearson, genes -> slides -> groups")
    typer.echo(fair.to_string(line_width=width))
    typer.echo("\nfor scale: these see the scored slide's own truth")
    typer.echo(oracles.drop(columns="wins").to_string(line_width=width))


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
    typer.echo(f"genes by out-of-fold score: {text or 'accuracy is unknown, this model was not evaluated'}")
