"""Which slides a call works on, and which rows of the table belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.adopt import adopt, adopt_keys
from spatialhist._sdata.geometry import copied_centers, has_spots
from spatialhist._sdata.own_images import full_image
from spatialhist._sdata.slide import Slide, is_measured
from spatialhist._sdata.values import as_ids, check_positions

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from spatialdata import SpatialData


@dataclass(frozen=True)
class Cohort:
    """The slides one call works on, with their table."""

    sdata: SpatialData
    table: AnnData
    slides: list[str]
    table_key: str = _keys.TABLE
    _opened: dict[str, Slide] = field(default_factory=dict, repr=False, compare=False)

    def slide(self, name: str) -> Slide:
        """One slide; what it has answered once it knows."""
        if name not in self._opened:
            self._opened[name] = Slide(name, self.sdata, self.table, self.table_key)
        return self._opened[name]

    def every_slide(self) -> list[Slide]:
        """Slides of the call, in order."""
        return [self.slide(name) for name in self.slides]

    def slides_of_table(self) -> list[str]:
        """Every slide of the table, those of no call among them."""
        return [str(s) for s in self.table.obs[_keys.REGION].unique()]

    def rows(self, slide: str) -> np.ndarray:
        """Row numbers of a slide's spots in the table."""
        return self.slide(slide).rows

    def slide_of_row(self) -> np.ndarray:
        """Slide id of every row of the table, as ``str``."""
        return self.table.obs[_keys.REGION].astype(str).to_numpy()

    def measured(self) -> np.ndarray:
        """Boolean per row: the spot carries measurements."""
        return is_measured(self.table, self.table_key)

    def tables_on_same_images(self) -> list[tuple[AnnData, dict[str, str]]]:
        """Every table with spots on the images of these slides, and which slide of this call each of its slides is.

        Its own comes first. Bins and the spots they were pooled to are slides of different names on one image.
        """
        slide_on = {slide.full_image: slide.name for slide in self.every_slide()}
        found = [(self.table, {name: name for name in self.slides})]
        for table in [t for key, t in self.sdata.tables.items() if key != self.table_key and has_spots(t)]:
            image_of = {str(s): full_image(self.sdata, str(s)) for s in table.obs[_keys.REGION].dropna().unique()}
            shared = {name: slide_on[image] for name, image in image_of.items() if image in slide_on}
            found += [(table, shared)] if shared else []
        return found

    def spot_ids(self) -> pd.Index:
        """Id of every row of the table, whole numbers or text."""
        return as_ids(self.table.obs[_keys.INSTANCE])

    def centers(self) -> np.ndarray:
        """Spot centers of every row ``(n, 2)``: the copy for squidpy and scanpy."""
        return copied_centers(self.table)


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
    chosen = known if slides is None else _names(slides)
    unknown = [s for s in chosen if s not in known]
    if unknown or not chosen:
        raise KeyError(f"no slide {unknown} in table {table_key!r}; it has {known}")
    # labels count: circles are made of them when the slide is adopted
    missing = [s for s in chosen if s not in sdata.shapes and s not in sdata.labels]
    if missing:
        raise KeyError(f"slides {missing} have no spots in sdata.shapes; found {list(sdata.shapes)}")
    for slide in chosen:
        adopt(sdata, table, slide)
    return Cohort(sdata, table, chosen, table_key)


def open_images(
    sdata: SpatialData, slides: str | Sequence[str] | None = None, *, table_key: str = _keys.TABLE
) -> Cohort:
    """Pick slides for a step that looks at images only: a slide needs no spots, an object no table.

    A slide without spots has no rows in the cohort's table, which is an empty one where the object has none.

    Raises
    ------
    KeyError
        If a slide is missing; the message lists what there is.
    ValueError
        As :func:`open_cohort`.
    """
    check_object(sdata)
    table = get_table(sdata, table_key) if table_key in sdata.tables else _empty_table()
    with_spots = [str(s) for s in table.obs[_keys.REGION].unique()]
    named, taken = _slides_of_images(sdata), {full_image(sdata, s) for s in with_spots}
    known = [*with_spots, *(s for s in named if _keys.image(s) not in taken)]
    chosen = known if slides is None else _names(slides)
    unknown = [s for s in chosen if s not in {*known, *named}]
    if unknown or not chosen:
        raise KeyError(f"no slide {unknown}; the object has {known}, and images {sorted(sdata.images)}")
    spotted = [s for s in chosen if s in with_spots]
    if spotted:
        open_cohort(sdata, spotted, table_key=table_key)
    return Cohort(sdata, table, chosen, table_key)


def get_slide(sdata: SpatialData, slide: str) -> Slide:
    """A slide of which only images are looked at, so that it needs neither spots nor a table."""
    return Slide(slide, sdata, _empty_table())


def _names(slides: str | Sequence[str]) -> list[str]:
    if isinstance(slides, str):
        return [slides]
    try:
        return list(slides)
    except TypeError as error:
        raise TypeError(f"slides={slides!r} must be a slide id, or a list of them") from error


def _slides_of_images(sdata: SpatialData) -> list[str]:
    ends = _keys.image("")
    return [key.removesuffix(ends) for key in sdata.images if key.endswith(ends)]


def _empty_table() -> AnnData:
    import anndata as ad
    import pandas as pd

    columns = {_keys.REGION: pd.Categorical([]), _keys.INSTANCE: np.empty(0, dtype=int)}
    return ad.AnnData(obs=pd.DataFrame(columns, index=pd.Index([], dtype=str)))


def check_object(sdata: SpatialData) -> None:
    """Refuse what is no SpatialData.

    Raises
    ------
    TypeError
        Saying what it is.
    """
    import spatialdata as sd

    if not isinstance(sdata, sd.SpatialData):
        raise TypeError(
            f"a {type(sdata).__name__} is no SpatialData object: read one with sh.io.read(path), or make one with "
            "sh.io.from_arrays(image, xy, counts)"
        )


def get_table(sdata: SpatialData, table_key: str = _keys.TABLE) -> AnnData:
    """Return the table, or say which tables there are."""
    check_object(sdata)
    if not sdata.tables:
        raise KeyError(
            "the object has no table, so none of its slides has spots: predict them with sh.tl.predict_grid, or give "
            "one spots with sh.io.from_arrays(sdata, xy, counts)"
        )
    if table_key not in sdata.tables:
        raise KeyError(f"no table {table_key!r}; found {list(sdata.tables)}: choose one with table_key=")
    # all tables: steps look at others on the same images too
    for key, held in sdata.tables.items():
        _check_matrices(held, key)
    table = sdata.tables[table_key]
    adopt_keys(table, table_key)
    wanted = {_keys.REGION: "the slide of each spot, a key of sdata.shapes", _keys.INSTANCE: "its id in their index"}
    for column, what in wanted.items():
        if column not in table.obs:
            raise ValueError(
                f"table {table_key!r} has no obs[{column!r}]: set sdata[{table_key!r}].obs[{column!r}] to {what}"
            )
    unassigned = int(table.obs[_keys.REGION].isna().sum())
    if unassigned:
        raise ValueError(
            f"obs[{_keys.REGION!r}] of table {table_key!r} names no slide for {unassigned} of {len(table)} spots: set "
            f"it to keys of sdata.shapes, or leave these spots out, sdata[{table_key!r}] = "
            f"sdata[{table_key!r}][sdata[{table_key!r}].obs[{_keys.REGION!r}].notna()].copy()"
        )
    if not table.var_names.is_unique:
        twice = list(table.var_names[table.var_names.duplicated()].unique()[:5])
        raise ValueError(
            f"table {table_key!r} holds genes of the same name, e.g. {twice}: call "
            f"sdata[{table_key!r}].var_names_make_unique()"
        )
    return table


def _check_matrices(table: AnnData, table_key: str) -> None:
    """Look once at the positions of all sparse matrices of a table, which every step then relies on."""
    mappings = {name: getattr(table, name) for name in ("layers", "obsm", "varm", "obsp", "varp")}
    named = {f"{name}[{key!r}]": value for name, mapping in mappings.items() for key, value in mapping.items()}
    raw = {} if table.raw is None else {"raw.X": table.raw.X}
    for name, value in {"X": table.X, **raw, **named}.items():
        check_positions(value, f"{name} of table {table_key!r}")


def _slides_of(table: AnnData) -> list[str]:
    """Slide ids in order of first appearance, so that categories without spots do not count."""
    slides = [str(s) for s in table.obs[_keys.REGION].unique()]
    if not slides:
        raise ValueError("the table has no spots")
    return slides


def usable_rows(slides: Iterable[Slide]) -> dict[str, np.ndarray]:
    """Rows of the table that are trained on and scored, per slide that has some."""
    rows = {slide.name: slide.usable for slide in slides}
    return {name: r for name, r in rows.items() if len(r)}
