"""Leave in a store what others have saved since an object was read."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist.io._saving import changes, exchange, history
from spatialhist.io._saving.plan import PLACE, Plan

if TYPE_CHECKING:
    from spatialdata import SpatialData


def merge(plan: Plan, sdata: SpatialData, others: history.Digests, store: Path) -> None:
    """Take out of a plan what would undo changes of others; what this object has changed itself stays in it.

    Parameters
    ----------
    plan
        Changed in place.
    sdata
        The object; it gets attributes that others have added.
    others
        What parts held before others changed them.
    store
        Folder.

    Raises
    ------
    ValueError
        If a whole table would be written into which others have saved.
    """
    _check_tables(plan, others, store)
    kept = [path for path in plan.parts if path in others and _is_stale(plan, path, others[path])]
    for path in kept:
        del plan.parts[path]
    _keep_columns(plan, kept, store)
    kept += _keep_places(plan, sdata, others)
    kept += _keep_attrs(plan, sdata, others)
    both = [path for path in (*plan.parts, *(PLACE + name for name in plan.moved), *plan.attrs) if path in others]
    _warn(store, kept, both)


def _check_tables(plan: Plan, others: history.Digests, store: Path) -> None:
    """Refuse to put a table of other spots or genes where others have saved."""
    for path in plan.parts:
        inside = [other for other in others if path.startswith("tables/") and f"{other}/".startswith(f"{path}/")]
        if path.count("/") == 1 and inside:
            raise ValueError(
                f"another process has saved {sorted(inside)} into {store} since this object was read, and the spots or "
                f"genes of {path} differ: read the store again, sdata = sh.io.read(path), or keep this object in another "
                "one, sdata.write(another_path)"
            )


def _is_stale(plan: Plan, path: str, held: str | None) -> bool:
    """Whether the object does not have a part, or has it as it was before others changed it."""
    new = plan.parts[path]
    return new is None or (history.digest(new, path) == held != history.UNKNOWN)


def _keep_columns(plan: Plan, kept: list[str], store: Path) -> None:
    """Go on listing the columns of data frames that are kept."""
    for frame, columns in list(plan.columns.items()):
        stored = exchange.read_columns(store / frame)
        missed = [c for c in stored if f"{frame}/{c}" in kept and c not in columns]
        plan.columns[frame] = [*columns, *missed]
        touched = any(path.startswith(f"{frame}/") for path in plan.parts)
        if not touched and (columns == stored or (missed and set(plan.columns[frame]) == set(stored))):
            del plan.columns[frame]


def _keep_places(plan: Plan, sdata: SpatialData, others: history.Digests) -> list[str]:
    stale = [n for n in plan.moved if history.digest_json(changes.place(sdata[n])) == others.get(PLACE + n, "")]
    for name in stale:
        del plan.moved[name]
    return [PLACE + name for name in stale]


def _keep_attrs(plan: Plan, sdata: SpatialData, others: history.Digests) -> list[str]:
    """Give the object the attributes that others have changed, since all of them are written at once."""
    ours: dict[str, Any] = history.leaves(json.loads(json.dumps(dict(sdata.attrs))))
    stale = [path for path in plan.attrs if path in others and history.digest_json(ours.get(path)) == others[path]]
    for path in stale:
        if (value := plan.attrs.pop(path)) is not None:
            history.set_leaf(sdata.attrs, path, value)
    return stale


def _warn(store: Path, kept: list[str], both: list[str]) -> None:
    if kept:
        warnings.warn(
            f"another process has saved {sorted(kept)} into {store} since this object was read: they are kept; read the "
            "store again to have them",
            stacklevel=5,
        )
    if both:
        warnings.warn(
            f"another process has also changed {sorted(both)} in {store} since this object was read: they now hold what "
            "this object holds",
            stacklevel=5,
        )
