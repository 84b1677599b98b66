"""Every public plot beside the picture it gave when somebody last looked at it.

After a change that is meant: ``SPATIALHIST_NEW_BASELINE=1 pytest tests/pl/test_pictures.py``, look at what
``tests/pl/baseline`` holds then, and commit it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.testing.compare import compare_images

import spatialhist as sh

BASELINE = Path(__file__).parent / "baseline"
DPI = 110
"""Fine enough to read what is written."""
TOLERANCE = 8
"""Root mean square over pixels of 0 to 255: more than another version of a font gives, less than another color map."""


@pytest.fixture(scope="module")
def prepared(cohort):
    """The cohort with one slide moved and normalized."""
    import spatialdata as sd

    from spatialhist._sdata.alignment import set_alignment
    from spatialhist._sdata.scale import slide_info

    own = sd.deepcopy(cohort)
    matrix = np.eye(3)
    matrix[:2, 2] = (12, -20)
    set_alignment(own, own["table"], "S2", matrix)
    slide_info(own, "S2")["alignment_report"] = {"accepted": True, "overlap_before": 0.5, "overlap_after": 0.75}
    sh.pp.normalize_stain(own, slides="S2")
    own["table"].obs["out_of_distribution"] = np.linspace(0, 1, own["table"].n_obs, dtype=np.float32)
    return own


@pytest.fixture
def run(tmp_path):
    """A run of one network and two folds."""
    for group, losses in (("00_P1", (1.5, 0.75, 0.6)), ("01_P2", (1.25, 0.8, 0.55))):
        folder = tmp_path / "folds" / group / "mlp" / "log"
        folder.mkdir(parents=True)
        rows = "".join(f"{epoch},{epoch},{loss}\n" for epoch, loss in enumerate(losses))
        (folder / "metrics.csv").write_text(f"epoch,step,loss\n{rows}")
    return SimpleNamespace(folder=tmp_path, models=[SimpleNamespace(name="mlp")])


def check(name: str, axes, folder: Path, *, dpi: int = DPI) -> None:
    """Compare a figure with its baseline."""
    expected, drawn = BASELINE / f"{name}.png", save(axes, folder / f"{name}.png", dpi=dpi)
    if "SPATIALHIST_NEW_BASELINE" in os.environ:
        shutil.copy(drawn, expected)
    assert compare_images(expected, drawn, TOLERANCE) is None


def save(axes, path: Path, *, dpi: int = DPI) -> Path:
    """Write the figure that axes belong to."""
    (axes.flat[0] if isinstance(axes, np.ndarray) else axes).figure.savefig(path, dpi=dpi)
    return path


def specs(*lengths: float) -> list:
    return [sh.tiles.TileSpec(("um", length), pixels=30) for length in lengths]


PICTURES = {
    "alignment": lambda sdata: sh.pl.alignment(sdata, "S2"),
    "calibration": lambda sdata: sh.pl.calibration(sdata, layer="predicted"),
    "genes": lambda sdata: sh.pl.genes(sdata, "ERBB2", slides="S2"),
    "out_of_distribution": lambda sdata: sh.pl.out_of_distribution(sdata),
    "stain": lambda sdata: sh.pl.stain(sdata, "S2"),
    "tiles": lambda sdata: sh.pl.tiles(sh.tiles.TileDataset(sdata, specs(150)[0], slides="S1"), n=4),
    "tiles_of_two_sizes": lambda sdata: sh.pl.tiles(sh.tiles.TileDataset(sdata, specs(75, 150), slides="S1"), n=2),
}


@pytest.mark.parametrize("name", PICTURES)
def test_of_slides(name, prepared, tmp_path):
    check(name, PICTURES[name](prepared), tmp_path)


def test_of_genes_on_twelve_slides(prepared, tmp_path):
    axes = sh.pl.genes(prepared, "ERBB2", slides=["S1", "S2", "S3"] * 4, layers="predicted", slides_per_row=4)
    check("genes_on_twelve_slides", axes, tmp_path, dpi=72)


def test_of_scores(scores, tmp_path):
    check("scores", sh.pl.scores(scores), tmp_path)


def test_of_a_comparison(scores, tmp_path):
    check("compare", sh.pl.compare(sh.tl.compare(scores, "stack", "ridge")), tmp_path)


def test_of_gene_scores(scores, tmp_path):
    check("gene_scores", sh.pl.gene_scores(scores), tmp_path)


def test_of_training(run, tmp_path):
    check("training", sh.pl.training(run), tmp_path)


def test_every_plot_has_a_picture():
    drawn = {path.stem for path in BASELINE.glob("*.png")}
    assert set(sh.pl.__all__) <= drawn


def test_another_color_map_is_noticed(prepared, tmp_path):
    other = save(sh.pl.genes(prepared, "ERBB2", slides="S2", cmap="magma"), tmp_path / "other.png")
    assert "Error" in compare_images(BASELINE / "genes.png", other, TOLERANCE)


@pytest.fixture(autouse=True)
def plain_style():
    """What a reader of these tests may have set in a matplotlibrc."""
    with mpl.rc_context(mpl.rcParamsDefault | {"backend": "Agg"}):
        yield
