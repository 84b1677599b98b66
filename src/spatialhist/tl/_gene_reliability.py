"""What a trained model says of its genes."""

from __future__ import annotations

import pandas as pd

from spatialhist.tl._load import Source, as_trained
from spatialhist.tl._scores.card import gene_table


def gene_reliability(model: Source) -> pd.DataFrame:
    """Tell which genes of a model to trust, from groups that were held out.

    The same verdicts stand in ``var["<layer>_verdict"]`` of every prediction.

    Parameters
    ----------
    model
        A stack, a cross-validation, a model fitted with ``evaluated_by=``, or the folder of one.

    Returns
    -------
    DataFrame
        One row a gene, best first: ``score``, within-slide Pearson averaged over slides, then groups; ``baseline``, the
        same of the gene's best baseline; ``ceiling`` that the noise of the counts sets (NaN where the target is not log1p of
        counts); ``fraction`` of the ceiling that is reached; ``beyond_depth``, ``baseline_beyond_depth`` and
        ``ceiling_beyond_depth``, the same after total counts were regressed out (NaN where nothing says how deep spots are);
        ``groups`` in which the gene was scored, ``wins``, those in which it is above its best baseline in both headlines;
        ``verdict``, ``"reliable"``, ``"weak"`` or ``"unreliable"``; ``measured_low`` and ``measured_high``, the 1st and 99th
        percentile of what was measured.

    Raises
    ------
    ValueError
        If the model was not evaluated.

    Notes
    -----
    Both headlines are asked, within-slide Pearson and the same beyond depth, which is a lower bound of what is learned about
    genes, since depth follows cellularity, which H&E shows. Where nothing says how deep spots are, the first decides alone.

    ``"unreliable"``: one of the two is not above the gene's best baseline that knows nothing of the image (training mean, mean
    of the patient's other slides, position, permuted labels), or not above what a model of permuted labels reaches on 95 % of
    the genes, or the counts are too few to agree with themselves. ``"reliable"``: both are above the gene's best baseline of
    all, color and depth among them, in every held-out group, of which there are two or more, and above what permuted labels
    reach on any gene, and the first is at least half of what the noise allows. Otherwise ``"weak"``.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> cv = sh.tl.cross_validate(sdata, models="ridge", genes=5, progress=False)
    >>> list(sh.tl.gene_reliability(cv).columns)
    ['score', 'baseline', 'ceiling', 'fraction', 'beyond_depth', 'baseline_beyond_depth', 'ceiling_beyond_depth',
     'groups', 'wins', 'verdict', 'measured_low', 'measured_high']
    """
    trained = as_trained(model)
    table = gene_table(trained.card())
    # folds choose panels of their own, and some of their genes a model fitted on everything leaves out
    table = table[table.index.isin(trained.genes)]
    if table.empty:
        raise ValueError(
            f"nothing is known of how well {trained.run_folder} predicts: cross-validate the same models, and train "
            "again with sh.tl.fit(sdata, evaluated_by=cv)"
        )
    return table
