"""Controls are told from genes by their names."""

import numpy as np
from small_xenium import CONTROLS, GENES

from spatialhist.io._xenium_files.features import GENE, categories


def test_names_say_what_the_third_version_says_in_a_column():
    assert dict(zip(CONTROLS, categories(list(CONTROLS)), strict=True)) == CONTROLS


def test_genes_with_like_names_stay_genes():
    names = [*GENES, "NEGR1", "BLNK", "DEPDC1", "UNC5A", "NEG1"]
    assert np.array_equal(categories(names), [GENE] * len(names))
