"""A format of files: how it is told by what is at a path, and what its reader is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.pooled import replace_by_pooled
from spatialhist._sdata.pooling import pool
from spatialhist.io._space_ranger.elsewhere import what_it_may_be
from spatialhist.io._space_ranger.unread import refuse_unread

if TYPE_CHECKING:
    from spatialdata import SpatialData


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    name
        As a sample sheet calls it.
    told
        Whether a path holds it.
    reader
        Reads it; takes the path and ``store=``.
    takes
        What :func:`spatialhist.io.read` can be given for it, and what its reader calls that.
    usual
        What the reader is given where the caller says nothing.
    one_slide
        Whether it holds a single slide, so that a row of a sample sheet can name it.
    to_pool
        What the reader is given where bins or cells are to be pooled; None where it reads none.
    part
        Reads one slide that is to be joined with others, as ``reader`` does, and takes ``lazy`` in the place of ``store``;
        None where ``reader`` leaves pixels in their file as it is.
    marked
        Whether its folder also has what folders of other packages are known by.
    """

    name: str
    told: Callable[[Path], object]
    reader: Callable[..., SpatialData]
    takes: Mapping[str, str] = field(default_factory=dict)
    usual: Callable[[Path], dict[str, Any]] = lambda path: {}
    one_slide: bool = True
    to_pool: Mapping[str, Any] | None = None
    part: Callable[..., SpatialData] | None = None
    marked: bool = False

    def read(self, path: Path, **options: Any) -> SpatialData:
        """Read it, the caller's options before the usual ones."""
        given = {key: value for key, value in options.items() if value is not None}
        return self.reader(path, **{**self.usual(path), **given})

    def read_part(self, path: Path, *, lazy: bool, **options: Any) -> SpatialData:
        """Read a slide to be joined with others; where `lazy`, pixels stay in their file until they are written."""
        if self.part is None:
            return self.read(path, **options)
        return replace(self, reader=partial(self.part, lazy=lazy)).read(path, **options)

    def read_pooled(self, path: Path, pool_um: float, *, lazy: bool, **options: Any) -> SpatialData:
        """Read it with bins or cells pooled to spots of this size, which take their place."""
        given = {key: value for key, value in options.items() if value is not None}
        part = self.read_part(path, lazy=lazy, **{**(self.to_pool or {}), **given})
        cohort = open_cohort(part)
        pool(cohort, ("um", pool_um), "hex")
        replace_by_pooled(part, _keys.POOLED, cohort.slides)
        return part


def tell(path: Path, formats: Sequence[Format]) -> Format:
    """Tell what a path holds, by the first format that it may be.

    Raises
    ------
    ValueError
        If it is nothing that is read, with what it may be.
    """
    found = next((one for one in formats if one.told(path)), None)
    if found is None or not found.marked:
        refuse_unread(path)
    if found is None:
        raise ValueError(
            f"{path} is no slides.csv folder, Space Ranger folder, Xenium folder, folder of HEST-1k, sample sheet, .h5ad or "
            f".h5 file, .zarr store or image{what_it_may_be(path)}"
        )
    return found


def has(name: str) -> Callable[[Path], bool]:
    """Whether a folder holds something."""
    return lambda path: (path / name).exists()


def ends(*suffixes: str) -> Callable[[Path], bool]:
    """Whether a name ends so."""
    return lambda path: path.suffix.lower() in suffixes
