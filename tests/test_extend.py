"""The page `docs/extending.md`, run as a package of a user: one of each kind, used by public names alone."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from small_cohorts import lattice

import spatialhist as sh

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
KINDS = ("reader", "step", "encoder", "predictor", "combiner", "metric", "picture")
SLIDES = ("A", "B", "C")
OUTLINES = [
    np.array(each)[..., None, None] for each in ([(80, 130), (78, 125)], [(100, 90), (95, 85)], [(130, 170), (65, 88)])
]
"""Center and radii ``(y, x)`` of the tissue of each slide, in pixels."""


def sections() -> dict[str, str]:
    """Kind of what is added, and the text of its section."""
    title, *parts = re.split(r"^## Add an? (\w+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def write_slide(path: Path, seed: int) -> None:
    """Tissue on white, 260 x 200 pixels, with more spots along x than along y; counts follow the red channel."""
    rng, xy = np.random.default_rng(seed), lattice()
    tissue = np.kron(rng.integers(60, 200, (10, 13, 3)), np.ones((20, 20, 1)))
    outline = (np.indices((200, 260)) - OUTLINES[seed][0]) / OUTLINES[seed][1]
    image = np.where((outline**2).sum(axis=0)[..., None] < 1, tissue, 245)
    # with noise, no two spots have the same features
    image = (image + rng.integers(-5, 6, image.shape)).astype(np.uint8)
    red = image[xy[:, 1].astype(int), xy[:, 0].astype(int), 0] / 128 - 1
    counts = rng.poisson(np.exp(3 + np.outer(red, np.linspace(-2, 2, 10))))
    np.savez(path, image=image, xy=xy, counts=counts, genes=[f"G{i}" for i in range(10)])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the module of a user that holds the code of the page, imported in a folder with three slides."""
    folder = tmp_path_factory.mktemp("extending")
    for seed, name in enumerate(SLIDES):
        write_slide(folder / f"{name}.npz", seed)
    (folder / "extending.py").write_text("\n\n".join(blocks(PAGE)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        spec = importlib.util.spec_from_file_location("extending", folder / "extending.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "extending", module)
        spec.loader.exec_module(module)
        yield module
    plt.close("all")


def rows_of(page, slide: str) -> np.ndarray:
    return np.flatnonzero(page.sdata["table"].obs["region"] == slide)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_recipe_of_one_or_two_files(kind):
    section = sections()[kind]
    assert len(blocks(section)) == 1
    where = re.search(r"^\*\*In spatialhist:\*\* (.*?)\n\n", section, flags=re.DOTALL | re.MULTILINE).group(1)
    files = [f for f in re.findall(r"`([\w./]+)`", where) if f.endswith(".py")]
    assert 1 <= len(files) <= 2
    for file in files:
        path = ROOT / "src" / "spatialhist" / file.removeprefix("src/spatialhist/")
        assert path.parent.is_dir() if "NAME" in file else path.exists()


def test_names_in_recipes_are_in_the_files_that_they_name():
    src = ROOT / "src" / "spatialhist"
    named = {
        "nn/_encoders/by_name.py": "\nMADE_HERE",
        "tl/_predictors/registry.py": "\nFILES = ",
        "tl/_predictors/linear.py": "\nPRESETS = ",
        "tl/_scores/metrics.py": "\nMETRICS = ",
        "pp/_log_normalize.py": "open_cohort(",
    }
    for file, name in named.items():
        assert name in (src / file).read_text(encoding="utf-8")
        assert name.strip(" =(\n").removeprefix("def ") in PAGE


def test_what_was_read_is_what_was_written(page):
    table = page.sdata["table"]
    assert table.obs["region"].unique().tolist() == list(SLIDES)
    for name, patient in zip(SLIDES, ("P1", "P2", "P3"), strict=True):
        rows = rows_of(page, name)
        with np.load(f"{name}.npz") as written:
            np.testing.assert_array_equal(table.to_df().to_numpy()[rows], written["counts"])
            np.testing.assert_array_equal(table.obsm["spatial"][rows], written["xy"])
            np.testing.assert_array_equal(page.sdata[f"{name}_full_image"].values, written["image"].transpose(2, 0, 1))
        assert set(table.obs["patient"].iloc[rows]) == {patient}


def test_step_adds_a_layer_that_is_centered_by_slide(page):
    layers = page.sdata["table"].layers
    values = np.asarray(page.sdata["table"].to_df("log1p"))
    for name in SLIDES:
        rows = rows_of(page, name)
        np.testing.assert_allclose(layers["centered"][rows], values[rows] - values[rows].mean(axis=0), atol=1e-5)


def test_layer_of_a_step_can_be_predicted(page):
    options = {"encoder": page.color, "extents": [("um", 40.0)], "context": (), "pixels": 16, "progress": False}
    model = sh.tl.fit(
        page.sdata, slides=["A", "B"], models=page.Nearest(neighbors=3), layer="centered", genes=8, **options
    )
    sh.tl.predict(page.sdata, model, slides="C", encoder=page.color)
    scores = sh.tl.evaluate(page.sdata, truth="centered", layers=["predicted"], slides="C", metrics="pearson")
    assert scores.query("predictor == 'nearest'")["value"].mean() > 0.3


def test_encoder_is_part_of_the_run_and_is_asked_for(page):
    assert page.cv.n_features() == 6
    with pytest.raises(ValueError, match="trained on your own encoder"):
        page.cv.design()
    with pytest.raises(ValueError, match="is not the encoder that the model was trained on"):
        page.cv.design(lambda tiles: tiles.float().mean(dim=(2, 3)))


@pytest.mark.parametrize("group", ["P1", "P3"])
def test_predictor_is_fitted_on_the_other_groups(page, group):
    from sklearn.neighbors import KNeighborsRegressor

    inputs, genes = page.cv.inputs, page.cv.panels[group]
    held = inputs.column("group") == group
    training, held_out = (inputs.samples(np.flatnonzero(rows), genes) for rows in (~held, held))
    nearest = KNeighborsRegressor(5).fit(training.standardized[0], training.targets)
    expected = nearest.predict(held_out.standardized[0])
    np.testing.assert_allclose(page.cv.out_of_fold("nearest")[np.ix_(held, genes)], expected, atol=1e-4)
    assert sh.metrics.pearson(held_out.targets, expected).mean() > 0.3


def test_run_is_loaded_with_predictor_and_combiner(page):
    with pytest.raises(ValueError, match="your own predictor 'nearest'"):
        sh.tl.load("run")
    with pytest.raises(ValueError, match="best_model"):
        sh.tl.load("run", models=[page.Nearest()])
    stack = sh.tl.load("run", models=[page.Nearest()], combiners=[page.BestModel()])
    np.testing.assert_array_equal(stack.out_of_fold(), page.stack.out_of_fold())
    np.testing.assert_array_equal(stack.cv.out_of_fold("nearest"), page.cv.out_of_fold("nearest"))


def test_combiner_is_fitted_on_what_the_evaluated_group_did_not_see(page):
    cv, inner = page.cv, page.cv.inner()
    errors = []
    for other in ("P2", "P3"):
        rows, _ = inner["P1", other, "ridge"].result()
        mine = cv.inputs.column("group")[rows] == other
        truth = cv.targets(rows[mine], "P1")
        errors.append([(inner["P1", other, m.name].result()[1][mine] - truth) ** 2 for m in cv.models])
    expected = np.concatenate(errors, axis=1).mean(axis=1).argmin(axis=0)
    np.testing.assert_array_equal(page.stack.by_group["P1"].model, expected)
    held = np.flatnonzero(cv.inputs.column("group") == "P1")
    for gene, model in zip(cv.panels["P1"], expected, strict=True):
        chosen = cv.out_of_fold(cv.models[model].name)[held, gene]
        np.testing.assert_array_equal(page.stack.out_of_fold()[held, gene], chosen)


def test_metric_stands_in_the_table_for_every_predictor(page):
    bias = page.scores[page.scores["metric"] == "bias"]
    assert {"nearest", "ridge", "stack_best_model", "baseline_mean"} <= set(bias["predictor"])
    layers, rows = page.sdata["table"].layers, rows_of(page, "B")
    gap = np.asarray(layers["oof_nearest"])[rows] - np.asarray(page.sdata["table"].to_df("log1p"))[rows]
    expected = dict(zip(page.sdata["table"].var_names, gap.mean(axis=0), strict=True))
    found = bias.query("predictor == 'nearest' and slide == 'B'").set_index("target")["value"]
    assert len(found) == 8
    np.testing.assert_allclose(found, [expected[gene] for gene in found.index], atol=1e-5)


def test_picture_draws_into_the_axes_that_it_is_given(page):
    figure, (left, right) = plt.subplots(1, 2)
    before = plt.get_fignums()
    assert page.errors(page.scores, ax=right) is right
    assert not left.has_data() and right.has_data()
    assert plt.get_fignums() == before
    new = page.errors(page.scores, metric="pearson")
    assert new.figure is not figure and new.get_xlabel() == "pearson"
    labels = [tick.get_text() for tick in new.get_yticklabels()]
    assert labels == page.scores.query("metric == 'pearson'")["predictor"].unique().tolist()
