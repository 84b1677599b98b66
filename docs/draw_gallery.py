"""Draw the pictures of docs/gallery.md by the code that stands there: python docs/draw_gallery.py --data FOLDER."""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import spatialdata as sd

import spatialhist as sh

DOCS = Path(__file__).resolve().parent
PICTURE = re.compile(r"```python\n(.*?)```(?:\n\n!\[[^\]]*\]\((\S+)\))?", flags=re.DOTALL)
DOWNLOADS = re.compile(r"^sdata = sh\.datasets\.her2st.*$", flags=re.MULTILINE)
WIDTH_PX = 1600
PAD = 0.1
"""Inches around the picture."""
SLIDES = ["C2", "C3", "C4", "C5"]


def main() -> None:
    """Run every block of the page in its order, and keep the figure of those that a picture follows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st_gallery.zarr"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    plt.switch_backend("agg")
    store = args.store.resolve()
    if not store.exists():
        sh.io.read_st(args.data, slides=SLIDES, store=store)
    names = {"sdata": sd.read_zarr(store)}
    blocks = PICTURE.findall((DOCS / "gallery.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for code, picture in blocks:
            exec(DOWNLOADS.sub("sdata = sdata", code), names)
            if picture:
                keep(DOCS / picture)


def keep(path: Path) -> None:
    """Write the current figure, whole and wide enough for a screen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = plt.gcf()
    options = {"pil_kwargs": {"quality": 88}} if path.suffix == ".jpg" else {}
    figure.canvas.draw()
    # what is written is wider or narrower than the figure: all that is drawn, and nothing else
    width = figure.get_tightbbox().width + 2 * PAD
    figure.savefig(path, dpi=WIDTH_PX / width + 0.5, bbox_inches="tight", pad_inches=PAD, **options)
    plt.close("all")
    print(path)


if __name__ == "__main__":
    main()
