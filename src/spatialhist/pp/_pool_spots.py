"""Pool bins, cells, small spots or transcripts to larger spots on a regular lattice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice, check_range
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import check_key
from spatialhist._sdata.pool_points import pool_points
from spatialhist._sdata.pooling import STEP, Lattice, pool

if TYPE_CHECKING:
    from spatialdata import SpatialData


def pool_spots(
    sdata: SpatialData,
    size: tuple[str, float] = ("um", 55.0),
    *,
    lattice: Lattice = "hex",
    slides: str | Sequence[str] | None = None,
    layer: str | None = None,
    from_table: str | None = None,
    from_points: str | None = None,
    min_qv: float = 20.0,
    key_added: str = _keys.POOLED,
    table_key: str = _keys.TABLE,
) -> None:
    """Sum bins, cells, small spots or transcripts over larger spots on a regular lattice.

    A bin of Visium HD or a cell holds few molecules, so its genes are mostly noise. The table of larger spots is added
    beside the one it was made from, which stays as it is: pass ``table_key="pooled"`` to every other function to work
    on the larger spots.

    Parameters
    ----------
    sdata
        The cohort.
    size
        Diameter of a spot, and distance of neighboring centers: ``("um", micrometers)``, ``("px", pixels)`` or
        ``("pitch", multiples of the distance of the bins)``.
    lattice
        ``"hex"``: hexagons; ``"square"``: squares, which bins of Visium HD fill without gaps where ``size`` is a
        multiple of that of the bins. Both cover the slide, so that every bin belongs to the spot whose center is nearest.
    slides
        Slides to pool; all if None.
    layer
        Counts that become ``X``; ``X`` if None. Layers that hold counts, too, are pooled with them. Not with ``from_points``.
    from_table
        Table of the bins, cells or spots; that of ``table_key`` if None.
    from_points
        Points element of transcripts to count, in the place of a table's rows: ``"transcripts"`` is
        ``sdata.points["S1_transcripts"]`` of a slide ``S1``, or ``sdata.points["transcripts"]``. Its genes are those of the table;
        transcripts between cells count, too.
    min_qv
        Least quality of transcripts that are counted, where they have one in a column ``qv``.
    key_added
        Name of the new table. One that an earlier call made is replaced.
    table_key
        As ``from_table``.

    Returns
    -------
    None
        Adds ``tables[key_added]`` and, for a slide ``S1``, circles ``shapes["S1_<key_added>"]``, the name of the slide in
        the new table. It lies on the image of ``S1``, with its tissue mask, scale and registration. The table holds

        - in ``X`` the sums, exactly: all counts of the slides are there, and no spot is without a bin;
        - in ``obs`` the number of bins (``n_pooled``) and their summed area (``pooled_area_um2``, or ``_px2`` where no
          scale is known), means of columns of numbers, sums of ``total_counts`` and the areas of cells, and columns of
          words that all bins of each spot share, as the patient; the others are named in the log;
        - in ``obsm`` means; what belongs to genes as it was.

        A spot is in tissue where one of its bins is, and measured where all of them are. Of transcripts there are the counts
        and the patient only; how many were of no gene of the table or of low quality stands in ``uns["spatialhist"]``.

    Raises
    ------
    KeyError
        If the table, the layer, the points or a slide is missing.
    ValueError
        If a slide lacks the scale that ``size`` needs, bins have no position, points do not say their genes or hold none,
        ``layer`` and ``from_points`` are both given, or ``key_added`` is taken.

    Notes
    -----
    Spots on the border of the tissue hold fewer bins than others: drop those with few counts by
    :func:`filter_spots`. The lattice hangs on the origin of the slide's pixels, so that the same slide always has the same
    spots. Time and memory grow with the number of stored counts.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.pool_spots(sdata, ("pitch", 3))
    >>> sdata["pooled"].n_obs < sdata["table"].n_obs
    True
    >>> bool(sdata["pooled"].X.sum() == sdata["table"].X.sum())
    True
    >>> sh.pp.log_normalize(sdata, table_key="pooled")
    """
    check_choice("lattice", lattice, Lattice)
    check_key(key_added)
    check_range("min_qv", min_qv, 0)
    if from_points is not None and layer is not None:
        raise ValueError(
            f"layer={layer!r} is of a table, and from_points={from_points!r} counts transcripts: pass one of them"
        )
    cohort = open_cohort(sdata, slides, table_key=table_key if from_table is None else from_table)
    if from_points is None:
        pool(cohort, size, lattice, layer=layer, key_added=key_added)
    else:
        pool_points(cohort, from_points, size, lattice, min_qv=min_qv, key_added=key_added, step=STEP)
