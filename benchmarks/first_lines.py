"""What the first lines of README and pages take: python benchmarks/first_lines.py [--data FOLDER] [--slide SVS] [readme ...].

The code is that of the pages. Slides are read from a folder instead of downloaded. Processor seconds, of child processes too.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt

import spatialhist as sh

ROOT = Path(__file__).resolve().parents[1]
DOWNLOAD = re.compile(r"^sdata = sh\.datasets\.her2st\((\w*),? ?store=(.*)\)$", flags=re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--slide", type=Path, default=Path("../shared/data/wsi/cmu_small_region.svs"))
    cases: dict[str, Callable[[argparse.Namespace], None]] = {
        "readme": partial(block, page="README.md", first="sdata = sh.datasets.her2st"),
        "quickstart": partial(block, page="docs/quickstart.md", first="sdata = sh.datasets.synthetic"),
        "public": partial(block, page="docs/public_data.md", first="sdata = sh.datasets.her2st"),
        "shipped": shipped,
    }
    parser.add_argument("cases", nargs="*", default=list(cases), metavar="|".join(cases))
    args = parser.parse_args()
    args.data, args.slide = args.data.resolve(), args.slide.resolve()
    warnings.simplefilter("ignore")
    plt.switch_backend("agg")
    for name in args.cases:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            cpu, wall = processor_seconds(), time.perf_counter()
            cases[name](args)
            print(f"{name:<12} {processor_seconds() - cpu:6.0f} s CPU {time.perf_counter() - wall:6.0f} s", flush=True)
            os.chdir(ROOT)


def processor_seconds() -> float:
    return sum(os.times()[:4])


def block(args: argparse.Namespace, *, page: str, first: str) -> None:
    """Run the block of a page that holds a line, on slides of a folder in the place of a download."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (code,) = (each for each in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if first in each)
    code = DOWNLOAD.sub(lambda found: f"sdata = sh.io.read_st(data, slides={found[1] or None}, store={found[2]})", code)
    exec(code, {"sh": sh, "data": args.data})
    plt.close("all")


def shipped(args: argparse.Namespace) -> None:
    """Predict a slide by the model that ships with the package, on the command line."""
    (Path.cwd() / args.slide.name).symlink_to(args.slide)
    subprocess.run(
        ["spatialhist", "predict", "her2st", args.slide.name, "--genes", "ERBB2"], check=True, capture_output=True
    )


if __name__ == "__main__":
    main()
