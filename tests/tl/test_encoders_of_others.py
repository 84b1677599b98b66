"""Encoders of other packages, from cross-validation to a prediction in another process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from encoders_of_others import KINDS, NEEDS, SIDE, make_encoder
from small_cohorts import draw_cohort

import spatialhist as sh

SUPPORT = Path(__file__).parents[1] / "support"
ELSEWHERE = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[3])
from encoders_of_others import make_encoder

import spatialhist as sh

kind, folder = sys.argv[1], Path(sys.argv[2])
sdata = sh.io.read(folder / "new.zarr")
stacked = sh.tl.load(folder / "run", encoder=make_encoder(kind, folder))
sh.tl.predict(sdata, stacked, progress=False)
import numpy as np

np.save(folder / "elsewhere.npy", sdata["table"].layers["predicted"])
"""


def assert_predicted(values):
    """Whole columns of numbers that differ between spots, of the genes that were modeled."""
    modeled = values[:, ~np.isnan(values).all(axis=0)]
    assert modeled.shape[1] >= 4 and np.isfinite(modeled).all() and (modeled.std(axis=0) > 0).all()


@pytest.mark.filterwarnings("ignore:slide 'S1' is of patient 'P1':UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_goes_all_the_way(kind, tmp_path):
    for package in NEEDS.get(kind, ()):
        pytest.importorskip(package, reason=f"{package} is not installed")
    encoder = make_encoder(kind, tmp_path)
    assert sh.nn.check_encoder(encoder) == []
    cohort = draw_cohort(1, n_slides=2, signal=0.8)
    models = [sh.tl.Ridge(components=4), sh.tl.Ridge(name="raw", standardized=False, components=4)]
    run = sh.tl.cross_validate(
        cohort,
        models=models,
        genes=4,
        groups="patient",
        encoder=encoder,
        context=(),
        out=tmp_path / "run",
        progress=False,
    )
    stacked = sh.tl.stack(cohort, run, method="rank_mean")
    design = run.design(encoder)
    if kind != "numpy":  # the function states nothing
        assert design.pixels == SIDE
        assert [unit for unit, _ in design.extents] == ["um"]
        assert [length for _, length in design.extents] == [SIDE * 3.0]
    new = draw_cohort(2, n_slides=1, signal=0.8, images_seed=9)
    new.write(tmp_path / "new.zarr")
    sh.tl.predict(new, stacked, encoder=encoder, progress=False)
    predicted = np.asarray(new["table"].layers["predicted"])
    assert_predicted(predicted)
    sh.tl.predict_grid(new, stacked, encoder=encoder, spacing=("um", 60.0), progress=False)
    assert_predicted(np.asarray(new["S1_grid_table"].layers["predicted"]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, kind, str(tmp_path), str(SUPPORT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "elsewhere.npy"), predicted)
