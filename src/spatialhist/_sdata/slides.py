"""Which slides a call works on, and which rows of the table belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.adopt import adopt

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


@dataclass(frozen=True)
class Cohort:
    """The slides one call works on, with their table."""

    sdata: SpatialData
    table: AnnData
    slides: list[str]

    def rows(self, slide: str) -> np.ndarray:
        """Row numbers of a slide's spots in the table."""
        return np.flatnonzero((self.table.obs[_keys.REGION] == slide).to_numpy())

    def slide_of_row(self) -> np.ndarray:
        """Slide id of every row of the table, as ``str``."""
        return self.table.obs[_keys.REGION].astype(str).to_numpy()

    def measured(self) -> np.ndarray:
        """Boolean per row: the spot carries measurements."""
        if _keys.MEASURED not in self.table.obs:
            return np.ones(self.table.n_obs, dtype=bool)
        return self.table.obs[_keys.MEASURED].to_numpy(dtype=bool)

    def patient(self, slide: str) -> str | None:
        """Patient of a slide, None where it is not known.

        Raises
        ------
        ValueError
            If the spots of one slide name several patients.
        """
        if _keys.PATIENT not in self.table.obs:
            return None
        names = self.table.obs[_keys.PATIENT].iloc[self.rows(slide)].dropna().astype(str).unique()
        if len(names) > 1:
            raise ValueError(f"slide {slide!r} names several patients in obs['patient']: {sorted(names)}")
        return names[0] if len(names) else None

    def genes_measured(self, slide: str) -> np.ndarray:
        """Boolean per gene: the slide's data holds this gene (genes are outer-joined between slides)."""
        flags = self.table.varm.get(_keys.MEASURED)
        if flags is None or slide not in getattr(flags, "columns", []):
            return np.ones(self.table.n_vars, dtype=bool)
        return flags[slide].to_numpy(dtype=bool)


def open_cohort(
    sdata: SpatialData, slides: str | Sequence[str] | None = None, *, table_key: str = _keys.TABLE
) -> Cohort:
    """Check an object against the data contract, adopt it where needed, and pick slides.

    Every public function that takes a SpatialData starts here.

    Raises
    ------
    KeyError
        If the table or a slide is missing; the message lists what there is.
    ValueError
        If the table is not annotated by ``region`` and ``spot_id``, or has no slide.
    """
    table = get_table(sdata, table_key)
    known = _slides_of(table)
    chosen = known if slides is None else [slides] if isinstance(slides, str) else list(slides)
    unknown = [s for s in chosen if s not in known]
    if unknown:
        raise KeyError(f"no slide {unknown} in table {table_key!r}; it has {known}")
    missing = [s for s in chosen if s not in sdata.shapes]
    if missing:
        raise KeyError(f"slides {missing} have no spots in sdata.shapes; found {list(sdata.shapes)}")
    for slide in chosen:
        adopt(sdata, table, slide)
    return Cohort(sdata, table, chosen)


def get_table(sdata: SpatialData, table_key: str = _keys.TABLE) -> AnnData:
    """Return the table, or say which tables there are."""
    if table_key not in sdata.tables:
        raise KeyError(f"no table {table_key!r}; found {list(sdata.tables)}: choose one with table_key=")
    table = sdata.tables[table_key]
    for column in (_keys.REGION, _keys.INSTANCE):
        if column not in table.obs:
            raise ValueError(
                f"table {table_key!r} has no obs[{column!r}]; parse it with TableModel.parse(adata, region=<slide ids>, "
                f"region_key={_keys.REGION!r}, instance_key={_keys.INSTANCE!r})"
            )
    return table


def _slides_of(table: AnnData) -> list[str]:
    """Slide ids in order of first appearance, so that categories without spots do not count."""
    slides = [str(s) for s in table.obs[_keys.REGION].unique()]
    if not slides:
        raise ValueError("the table has no spots")
    return slides
