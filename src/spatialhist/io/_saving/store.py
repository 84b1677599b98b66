"""Put what is new or changed into an existing zarr store, without ever leaving it unreadable."""

from __future__ import annotations

import json
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist._runtime.files import inside, new_folder
from spatialhist.io._saving import changes, exchange, history, unchanged
from spatialhist.io._saving.merge import merge
from spatialhist.io._saving.plan import Plan
from spatialhist.io._saving.steps import list_steps

if TYPE_CHECKING:
    from spatialdata import SpatialData


def save_changes(sdata: SpatialData, *, progress: bool = False) -> list[str]:
    """Bring an object's store up to date.

    Everything is first written into a stage. Then each part changes places with the stored one by renaming. A call that
    is killed leaves the store as it was, or decided: then the next one that opens it here, or saves, carries out the rest.

    Parameters
    ----------
    sdata
        The object. Its images and masks read from the store afterwards.
    progress
        Show a bar for each image that is computed.

    Returns
    -------
    list[str]
        What was written or removed, by its path in the store.

    Raises
    ------
    ValueError
        If the object has no store, the store's format is old, or something cannot be stored; nothing has changed then.
    """
    store = _check_store(sdata)
    if unchanged.is_unchanged(sdata, store):
        return []
    changes.check_attrs(sdata)
    with exchange.staging(store) as stage:
        plan = _plan(sdata, store, stage, progress)
        others = _carry_out(plan, sdata, store)
        if not plan.summary() and not sdata.has_consolidated_metadata():
            exchange.consolidate(store)
        read_back(sdata, store)
        if not others:
            unchanged.note(sdata, store)
    return plan.summary()


def save_image(sdata: SpatialData, name: str, *, progress: bool = False) -> None:
    """Put one image into an object's store, with ``sdata.attrs``; all other elements there stay as they are.

    Parameters
    ----------
    sdata
        The object. The image reads from the store afterwards.
    name
        Of the image.
    progress
        Show a bar.

    Raises
    ------
    ValueError
        As :func:`save_changes`.
    """
    store, path = _check_store(sdata), f"images/{name}"
    with exchange.staging(store) as stage:
        parts = _stage_whole({path: sdata.images[name]}, store, stage / "elements.zarr", progress)
        _carry_out(Plan(parts=parts, attrs=_changed_attrs(sdata, _read_images(store))), sdata, store)
        read_back(sdata, store)


def _carry_out(plan: Plan, sdata: SpatialData, store: Path) -> Any:
    """Do what is staged, and return the saves of others that the object has not seen."""
    saves = history.read_history(store)
    _check_inside(plan, store)
    others = history.unseen(saves, history.known(sdata), store)
    merge(plan, sdata, others, store)
    if plan.summary():
        save = history.next_save(saves, sdata, plan.held(store))
        exchange.decide(store, list_steps(plan, sdata, store, [*saves, save]))
        history.remember(sdata, save)
        exchange.carry_out(store)
    return others


def _check_store(sdata: SpatialData) -> Path:
    if sdata.path is None:
        raise ValueError("the object has no store yet: write it once with sdata.write(path)")
    store = Path(sdata.path)
    if not store.exists():
        raise FileNotFoundError(f"{store} is not there any more: write the object anew with sdata.write(path)")
    if not (store / "zarr.json").exists():
        raise ValueError(f"{store} is not a zarr v3 store: write the object anew with sdata.write(another_path)")
    return store


def _plan(sdata: SpatialData, store: Path, stage: Path, progress: bool) -> Plan:
    """Find out what differs and write it into the stage."""
    stored = _read_images(store)
    plan = Plan(attrs=_changed_attrs(sdata, stored))
    whole = {f"points/{n}": e for n, e in sdata.points.items() if not (store / "points" / n).exists()}
    whole |= {f"shapes/{n}": e for n, e in sdata.shapes.items()}
    for name, table in sdata.tables.items():
        path = f"tables/{name}"
        parts = changes.stage_parts(table, store / path, stage / path)
        if parts is None:
            whole[path] = table
            continue
        plan.parts |= {f"{path}/{part}": new for part, new in parts.items()}
        for frame in ("obs", "var"):
            _plan_columns(plan, f"{path}/{frame}", list(getattr(table, frame).columns), store)
    whole |= _changed_images(sdata, stored, store, plan)
    plan.parts |= _stage_whole(whole, store, stage / "elements.zarr", progress)
    return plan


def _check_inside(plan: Plan, store: Path) -> None:
    """Refuse to write through a link of the store to somewhere else, before anything is changed."""
    moved = [f"{kind}/{name}" for kind in ("images", "labels") for name in plan.moved]
    kinds = {path.split("/")[0] for path in plan.parts}
    for group in ("", *kinds, *plan.columns, *moved):
        inside(store, group, exchange.METADATA)
    for path in plan.parts:
        inside(store, path)


def _changed_attrs(sdata: SpatialData, stored: SpatialData) -> dict[str, Any]:
    """What is stored at each path of the attributes that differs."""
    ours, theirs = (history.leaves(json.loads(json.dumps(dict(a)))) for a in (sdata.attrs, stored.attrs))
    return {path: theirs.get(path) for path in ours | theirs if ours.get(path) != theirs.get(path)}


def _read_images(store: Path) -> SpatialData:
    import spatialdata as sd

    return sd.read_zarr(store, selection=("images", "labels"))


def _changed_images(sdata: SpatialData, stored: SpatialData, store: Path, plan: Plan) -> dict[str, Any]:
    """Return the images and masks with new pixels; note in the plan those that were only moved."""
    changed = {}
    for kind in ("images", "labels"):
        for name, element in getattr(sdata, kind).items():
            there = getattr(stored, kind).get(name)
            path = f"{kind}/{name}"
            linked = there is not None and changes.reads_from(element, store / path)
            if there is None or not (linked or changes.same_pixels(element, there)):
                changed[path] = element
            elif changes.place(element) != changes.place(there):
                plan.moved[name] = changes.place(there)
    return changed


def _plan_columns(plan: Plan, frame: str, columns: list[str], store: Path) -> None:
    if any(path.startswith(f"{frame}/") for path in plan.parts) or columns != exchange.read_columns(store / frame):
        plan.columns[frame] = columns


def _stage_whole(elements: dict[str, Any], store: Path, stage: Path, progress: bool) -> dict[str, Path | None]:
    """Write whole elements into a store of their own, and return those that differ from what is stored."""
    import spatialdata as sd
    from dask.diagnostics import ProgressBar

    if not elements:
        return {}
    fresh = sd.SpatialData.init_from_elements({path.split("/")[1]: element for path, element in elements.items()})
    with warnings.catch_warnings(), ProgressBar() if progress else nullcontext():
        warnings.filterwarnings("ignore", message="The table is annotating")
        fresh.write(stage, update_sdata_path=False)
    return {path: stage / path for path in elements if not changes.same_files(stage / path, store / path)}


def save_new(sdata: SpatialData, store: Path) -> None:
    """Write all of an object into a store that appears when it is whole.

    Raises
    ------
    ValueError
        If zarr cannot hold something of the object.
    """
    with new_folder(store) as folder:
        try:
            sdata.write(folder, update_sdata_path=False)
        except OSError:
            raise
        except Exception as error:
            # anndata says where it was in notes
            said = "; ".join([str(error), *getattr(error, "__notes__", [])])
            raise ValueError(
                f"{store} was not written, since a store cannot hold part of the object: {said}. Leave this part out, or make "
                "it of numbers, text, arrays, lists and dicts"
            ) from error
    sdata.path = store
    read_back(sdata, store)


def read_back(sdata: SpatialData, store: Path) -> None:
    """Let images and masks read from the store, so that what was computed is not computed again."""
    stored = None
    for kind in ("images", "labels"):
        elements = getattr(sdata, kind)
        for name in list(elements):
            if not changes.reads_from(elements[name], store / kind / name):
                stored = stored or _read_images(store)
                del elements[name]
                elements[name] = getattr(stored, kind)[name]
