"""The steps that bring a store to where a plan wants it, with everything that takes a place staged before.

While they are carried out the store can be read: it has no summary then, which would say what does not lie there, and
announces no column that may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr

from spatialhist import _keys
from spatialhist.io._saving import history
from spatialhist.io._saving.exchange import METADATA, STAGE, Step, read_columns
from spatialhist.io._saving.plan import Plan

if TYPE_CHECKING:
    from spatialdata import SpatialData

_KINDS = ("images", "labels")


class Metadata:
    """Metadata of some nodes of a store, copied into its stage and changed there.

    Parameters
    ----------
    store
        Folder.
    name
        Of the folder of the copies in the stage.
    """

    def __init__(self, store: Path, name: str):
        self.store, self.name, self.folder = store, name, store / STAGE / name
        self.group("")

    def group(self, path: str) -> zarr.Group:
        """Copy of a node, in copies of those it lies in; an empty group where the store has none."""
        if path:
            self.group(path.rpartition("/")[0])
        folder, stored = self.folder / path, self.store / path / METADATA
        if not (folder / METADATA).exists():
            zarr.create_group(folder)
            if stored.exists():
                metadata = json.loads(stored.read_text())
                # the summary would hide what is about to change
                metadata.pop("consolidated_metadata", None)
                (folder / METADATA).write_text(json.dumps(metadata))
        return zarr.open_group(folder, mode="r+", use_consolidated=False)

    def step(self, path: str) -> Step:
        """Let the copy of a node take its place."""
        name = f"{path}/{METADATA}".lstrip("/")
        return Step(name, f"{self.name}/{name}")


def list_steps(plan: Plan, sdata: SpatialData, store: Path, saves: Sequence[history.Save]) -> list[Step]:
    """Stage metadata and history, and list all steps in their order.

    Parameters
    ----------
    plan
        Its parts are staged.
    sdata
        The object.
    store
        Folder.
    saves
        Into the store; the last is this one.

    Returns
    -------
    list[Step]
        What readers must not believe any more comes first, attributes come last.
    """
    stage, before, after = store / STAGE, Metadata(store, "before"), Metadata(store, "after")
    parts = [Step(path, None if new is None else new.relative_to(stage).as_posix()) for path, new in plan.parts.items()]
    sure = {frame: _never_missing(frame, plan, store) for frame in plan.columns}
    hidden = [before.step(""), *_list_columns(sure, before), *_add_kinds(plan, before)]
    shown = [*_list_masks(plan, after), *_list_columns(plan.columns, after), *_move(plan, sdata, after)]
    history.write_history(stage / history.HISTORY, saves)
    noted = Step(f"{_keys.STORE_FOLDER}/{history.HISTORY}", history.HISTORY)
    return [*hidden, *parts, *shown, noted, _describe(sdata, saves[-1].name, after)]


def _never_missing(frame: str, plan: Plan, store: Path) -> list[str]:
    return [c for c in read_columns(store / frame) if f"{frame}/{c}" not in plan.parts]


def _list_columns(columns: Mapping[str, list[str]], copies: Metadata) -> list[Step]:
    for frame, names in columns.items():
        copies.group(frame).attrs["column-order"] = names
    return [copies.step(frame) for frame in columns]


def _add_kinds(plan: Plan, before: Metadata) -> list[Step]:
    """Add the groups of kinds of elements that the store has none of."""
    kinds = sorted({path.split("/")[0] for path in plan.parts})
    new = [kind for kind in kinds if not (before.store / kind).exists()]
    for kind in new:
        before.group(kind)
    return [Step(kind, f"{before.name}/{kind}") for kind in new]


def _list_masks(plan: Plan, after: Metadata) -> list[Step]:
    """List new masks where OME-Zarr wants them listed."""
    masks = [path.split("/")[1] for path in plan.parts if path.startswith("labels/")]
    if not masks:
        return []
    group = after.group("labels")
    ome: dict[str, Any] = dict(group.attrs.get("ome", {}))
    group.attrs["ome"] = {**ome, "labels": sorted({*ome.get("labels", []), *masks})}
    return [after.step("labels")]


def _move(plan: Plan, sdata: SpatialData, after: Metadata) -> list[Step]:
    """Write the transformations of images and masks that were only moved."""
    import spatialdata as sd

    paths = {name: f"{kind}/{name}" for kind in _KINDS for name in getattr(sdata, kind) if name in plan.moved}
    moved = sd.SpatialData.init_from_elements({name: _pixel(sdata[name]) for name in paths})
    moved.path = after.folder
    for name, path in paths.items():
        after.group(path)
        moved.write_transformations(name)
    return [after.step(path) for path in paths.values()]


def _pixel(element: Any) -> Any:
    """One pixel that lies where an image or mask does."""
    import xarray as xr
    from spatialdata.transformations import get_transformation, set_transformation

    from spatialhist._sdata.images import levels_of

    array = levels_of(element)[0]
    pixel = xr.zeros_like(array.isel(dict.fromkeys(array.dims, slice(1))))
    set_transformation(pixel, get_transformation(element, get_all=True), set_all=True)
    return pixel


def _describe(sdata: SpatialData, save: str, after: Metadata) -> Step:
    """Write attributes; whoever reads them has seen every save until now, which the object itself may not have."""
    import spatialdata as sd

    ours = {**sdata.attrs.get(_keys.ROOT, {}), history.SAVED: [save]}
    sd.SpatialData(attrs={**sdata.attrs, _keys.ROOT: ours}).write_attrs(zarr_group=after.group(""))
    return after.step("")
