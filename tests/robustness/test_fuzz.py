"""Damaged files are refused by our own errors; `benchmarks/fuzz.py` goes on for as long as it is told to."""

from __future__ import annotations

import warnings

import pytest
from fuzz_readers import READERS, read_damaged

SLOW = {"slides.csv", "spots", "counts", "challenge", "store", "table", "shapes", "tiff", "journal", "links", "sparse", "h5ad",
        "hest metadata", "hest sheet"}  # fmt: skip
SLOW |= {"experiment.xenium", "transcripts.parquet", "transcripts.csv.gz", "alignment", "cells", "cell matrix"}
SLOW |= {
    "bins",
    "bin positions",
    "bin scale",
    "cell outlines",
    "cells of bins",
    "cells text",
    "transcripts text",
    "landmarks",
}
SLOW |= {"visium matrix", "visium positions", "visium scale", "hest counts", "hest image", "sample sheet"}
SLOW |= {"annotations", "annotations, compressed"}
"""Readers that build an object."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_only_our_errors_come_out(name, tmp_path):
    reader = READERS[name](tmp_path)
    accepted = [read_damaged(reader, tmp_path, seed) for seed in range(8 if name in SLOW else 60)]
    assert not all(accepted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files(name, tmp_path):
    reader = READERS[name](tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(1000, 1300):
            read_damaged(reader, tmp_path, seed)
