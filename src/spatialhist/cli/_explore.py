"""The interactive page of a store or a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist._runtime.files import UNDECODABLE, inside, intact

if TYPE_CHECKING:
    import pandas as pd
    from spatialdata import SpatialData

STORE, SCORES = "data.zarr", "scores.parquet"


def write_pages(source: Path, out: Path, *, run: Path | None, table: str | None, **shown: Any) -> list[Path]:
    """Write the page of a table, or one a table where the slides were predicted without spots of their own.

    Parameters
    ----------
    source
        A store, anything else that :func:`spatialhist.io.read` takes, or a run folder.
    out
        The page.
    run
        Run that predicted the slides: its scores give the verdicts, its measurements the range of colors.
    table
        Name of the table.
    shown
        Genes, layers and slides.
    """
    import spatialhist as sh

    is_run = (source / "manifest.json").exists()
    sdata = slides_of_run(source) if is_run else sh.io.read(source)
    shown |= {"scores": scores_of_run(source if is_run else run), "title": _title(source)}
    shown["training"] = slides_of_run(run) if run is not None and not is_run else None
    keys = [table] if table else _tables(sdata)
    paths = [out if len(keys) == 1 else out.with_name(f"{out.stem}_{key}{out.suffix}") for key in keys]
    return [sh.report.explore(sdata, path, table_key=key, **shown) for key, path in zip(keys, paths, strict=True)]


def slides_of_run(run: Path) -> SpatialData:
    """The slides that a run was made of, with its predictions.

    Raises
    ------
    FileNotFoundError
        If it holds none: a run of a notebook keeps them elsewhere.
    """
    import spatialhist as sh

    store = inside(run, STORE)
    if not store.exists():
        raise FileNotFoundError(
            f"{run} has no {STORE}, which spatialhist run leaves there: for a run of a notebook, give the store of its slides"
        )
    return sh.io.read(store)


def scores_of_run(run: Path | None) -> pd.DataFrame | None:
    """The score table of a run, None where there is none."""
    import pandas as pd

    path = None if run is None else inside(run, SCORES)
    if path is None or not path.exists():
        return None
    with intact(path, errors=UNDECODABLE):
        return pd.read_parquet(path)


def _tables(sdata: SpatialData) -> list[str]:
    from spatialhist import _keys

    return [_keys.TABLE] if _keys.TABLE in sdata.tables else list(sdata.tables) or [_keys.TABLE]


def _title(source: Path) -> str:
    """Name of the folder or file; of the store in a run, that of the run."""
    real = source.resolve()
    return real.parent.name if real.name == STORE else real.name.removesuffix(".zarr")
