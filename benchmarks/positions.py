"""What looking at the positions of a sparse table costs, relative to reading the table.

    python benchmarks/positions.py --spots 8000 --genes 18000

Every step looks at them once, before compiled code follows them. Prints the median of five readings and checks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import anndata as ad
import numpy as np
import scipy.sparse as sp
from anndata.io import read_elem, write_elem
from zarr import open_group

from spatialhist._sdata.values import check_positions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, default=8000)
    parser.add_argument("--genes", type=int, default=18_000)
    parser.add_argument("--density", type=float, default=0.15)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    matrix = sp.random(options.spots, options.genes, options.density, "csr", np.float32, rng)
    matrix.data = np.ceil(matrix.data * 5)
    with tempfile.TemporaryDirectory() as folder:
        group = open_group(Path(folder) / "a.zarr", mode="w")
        write_elem(group, "table", ad.AnnData(matrix))
        reading, looking = [], []
        for _ in range(5):
            start = time.perf_counter()
            table = read_elem(group["table"])
            reading.append(time.perf_counter() - start)
            start = time.perf_counter()
            check_positions(table.X, "X")
            looking.append(time.perf_counter() - start)
    share = median(looking) / median(reading)
    print(
        f"{matrix.nnz:,} values: read {median(reading):.3f} s, looked at {median(looking):.4f} s, {share:.2%} of reading"
    )
    if share > 0.01:
        raise SystemExit("looking at positions costs more than a hundredth of reading them")


if __name__ == "__main__":
    main()
