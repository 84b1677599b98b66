"""Tables that steps add beside the one they were made from."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.elements import put_element
from spatialhist._sdata.layers import recorded

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.cohort import Cohort


def check_free(cohort: Cohort, key: str, step: str, *, shapes: Iterable[str] = ()) -> None:
    """Refuse the name of a table, or of shapes that go with it, that something else has.

    Parameters
    ----------
    cohort
        The slides, with the table that is read.
    key
        Name of the table to add.
    step
        What adds it: a table that the same step made is replaced.
    shapes
        Endings of the shapes that go with it: a slide ``S1`` has ``S1_<ending>``.

    Raises
    ------
    ValueError
        With a name that is free.
    """
    sdata, ours = cohort.sdata, regions_of(cohort.sdata, key, step)
    made = key in sdata.tables and bool(recorded(sdata.tables[key], step))
    taken = [f"sdata[{key!r}]"] if key in sdata and not made else []
    names = [_keys.pooled(slide, end) for slide in cohort.slides for end in shapes]
    taken += [f"sdata.shapes[{name!r}]" for name in names if name in sdata and name not in ours]
    # a call that is made again replaces what it made, and nothing else
    if key == cohort.table_key or taken:
        what = "the table that is read" if key == cohort.table_key else f"taken: {taken} were not made by this step"
        raise ValueError(f"key_added={key!r} is {what}; choose another name, as key_added={_free(cohort, key)!r}")


def _free(cohort: Cohort, key: str) -> str:
    n = 2
    while any(name in cohort.sdata for name in (f"{key}_{n}", *(_keys.pooled(s, f"{key}_{n}") for s in cohort.slides))):
        n += 1
    return f"{key}_{n}"


def regions_of(sdata: SpatialData, key: str, step: str) -> set[str]:
    """Slides of a table that a step made; none where it did not."""
    if key not in sdata.tables or not recorded(sdata.tables[key], step):
        return set()
    return set(sdata.tables[key].obs[_keys.REGION].astype(str).unique())


def put_table(sdata: SpatialData, key: str, table: AnnData, regions: list[str]) -> AnnData:
    """Add a table, annotated by its regions, in the place of one of that name, and return it.

    Warns
    -----
    UserWarning
        Naming the layers that are lost with the one of that name.
    """
    from spatialdata.models import TableModel

    lost = sorted(set(layer_names(sdata.tables[key])) - set(layer_names(table))) if key in sdata.tables else []
    if lost:
        warnings.warn(f"table {key!r} is replaced; with it go its layers {lost}", stacklevel=4)
    parsed = TableModel.parse(table, region=regions, region_key=_keys.REGION, instance_key=_keys.INSTANCE)
    put_element(sdata.tables, key, parsed)
    return parsed
