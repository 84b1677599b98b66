"""What version 0.1.0 wrote is read by this one, and says the same: see README.md."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from numerics import fingerprint
from typer.testing import CliRunner

import spatialhist as sh
from spatialhist.cli import app
from spatialhist.tl._scores.reliability import rate_genes

ARCHIVE = Path(__file__).with_name("version_0_1_0.tar.xz")
RENAMED = {
    "kernel_ridge_raw": "kernel_ridge",
    "head": "mlp",
    "null_permuted": "control_permuted",
    "null_mean": "baseline_mean",
    "null_donor": "baseline_patient",
    "null_position": "baseline_position",
    "null_color": "baseline_color",
    # kinds, columns and verdicts
    "null": "baseline",
    "trust": "reliable",
    "do not trust": "unreliable",
}
"""Words of 0.1.0 and what later versions may call them: expected and found ones are compared by the latter."""
JUDGED = ["null", "wins", "verdict"]
"""Columns of genes by rules that have become stricter since: both headlines are asked, against all baselines."""
MODELS = ("ridge", "kernel_ridge_raw", "head")
NULLS = ("null_mean", "null_donor", "null_position", "null_color", "null_permuted")
TRAINED, NEW = ["S1", "S2", "S3"], "S4"
OPTIONS = {"slides": TRAINED, "genes": 6, "extents": [("um", 150.0)], "context": (), "seed": 5, "progress": False}


def renamed(value):
    """Words, joined ones, keys and cells of 0.1.0 as later versions call them; everything else as it is."""
    if isinstance(value, pd.DataFrame):
        value = value.rename(index=renamed, columns=renamed)
        texts = [c for c in value if not pd.api.types.is_numeric_dtype(value[c])]
        return value.assign(**{c: value[c].astype(str).map(renamed) for c in texts})
    if isinstance(value, dict):
        return {renamed(k): renamed(v) for k, v in value.items()}
    if isinstance(value, str):
        return "+".join(RENAMED.get(word, word) for word in value.split("+"))
    return value


@pytest.fixture(scope="session")
def old(tmp_path_factory) -> Path:
    """Folders that 0.1.0 wrote; only to be read."""
    folder = tmp_path_factory.mktemp("version_0_1_0")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def store(old) -> sd.SpatialData:
    """The store that 0.1.0 saved; only to be read."""
    return sd.read_zarr(old / "store.zarr")


@pytest.fixture
def sdata(store):
    """What the store holds, with a table of its own."""
    kinds = {kind: dict(getattr(store, kind)) for kind in ("images", "labels", "shapes")}
    return sd.SpatialData(**kinds, tables={"table": store["table"].copy()}, attrs=deepcopy(store.attrs))


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Features that several tests predict from."""
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def copy(old, tmp_path):
    """Copy of a folder, to be written to."""
    return lambda name: Path(shutil.copytree(old / name, tmp_path / name))


@pytest.fixture(scope="session")
def arrays(old) -> dict[str, np.ndarray]:
    """Layers that 0.1.0 predicted."""
    with np.load(old / "expected" / "arrays.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="session")
def same_bits(old) -> bool:
    """Whether this machine computes the bits of the one on which 0.1.0 ran."""
    return fingerprint() == json.loads((old / "expected" / "machine.json").read_text())


@pytest.fixture
def equal(same_bits):
    """Compare arrays: byte by byte where that can be asked for."""

    def check(found, expected):
        found = np.asarray(found)
        assert found.dtype == expected.dtype
        if same_bits:
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)

    return check


@pytest.fixture
def equal_tables(old, same_bits):
    """Compare a table with one of 0.1.0, to the last digit where that can be asked for."""

    def check(found, name, *, again=False, **reading):
        reading |= {"float_precision": "round_trip", "keep_default_na": False, "na_values": {"value": [""]}}
        expected = pd.read_csv(old / "expected" / name, **reading)
        if "metric" in found:
            found = found[found["metric"] != "pearson_beyond_depth"]
        elif again:
            expected = expected.drop(columns=JUDGED)
        found = found[[c for c in found if renamed(c) in renamed(expected)]]
        found, expected = (in_order(renamed(table)) for table in (found, expected))
        for table, exact in (rows_of_depth, False), (other_rows, same_bits):
            both = table(found), table(expected)
            pd.testing.assert_frame_equal(*both, check_exact=exact, atol=1e-6, check_dtype=False, check_names=False)

    return check


@pytest.fixture
def goes_on(same_bits):
    """Skip where features of the same pixels have other last bits, so that a run rightly refuses to go on."""
    if not same_bits:
        pytest.skip("this machine computes other last bits than the one on which 0.1.0 ran")


def rows_of_depth(table):
    """Rows of the one predictor that has taken its logarithms in double precision since."""
    return table[_names(table) == "oracle_depth"]


def other_rows(table):
    """All but :func:`rows_of_depth`."""
    return table[_names(table) != "oracle_depth"]


def _names(table):
    return table["predictor"] if "predictor" in table else table.index


def in_order(scores):
    """Rows of a table of scores by what they are of; layers have no order in a store."""
    keys = [c for c in ("predictor", "group", "slide", "target", "metric", "value") if c in scores]
    return scores.sort_values(keys, ignore_index=True) if "target" in keys else scores


def bare(sdata):
    """Forget what was predicted."""
    table = sdata["table"]
    for name in [n for n in table.layers if n and n.startswith(("oof", "predicted"))]:
        del table.layers[name]
    for name in [n for n in table.uns["spatialhist"] if n.startswith(("oof", "predicted", "cross_validate"))]:
        del table.uns["spatialhist"][name]
    return sdata


def written(folder: Path) -> set[int]:
    """Results of finished fits, by what shows that none was written anew."""
    return {p.stat().st_ino for p in folder.glob("*/**/result.safetensors")}


class TestStore:
    def test_it_holds_what_was_predicted(self, sdata, arrays):
        table = sdata["table"]
        names = [n for n in arrays if n.startswith(("oof", "predicted"))]
        assert {f"oof_{n}" for n in (*MODELS, *NULLS)} < set(names)
        for name in names:
            np.testing.assert_array_equal(table.layers[name], arrays[name])

    def test_it_is_scored_as_it_was(self, sdata, equal_tables):
        equal_tables(sh.tl.evaluate(sdata, metrics="all"), "scores.csv")

    def test_a_new_slide_is_scored_as_it_was(self, sdata, equal_tables):
        equal_tables(sh.tl.evaluate(sdata, layers=["predicted", "predicted_model"], slides=NEW), "scores_new.csv")

    def test_scores_are_summarized_as_they_were(self, sdata, equal_tables):
        equal_tables(sh.tl.summarize(sh.tl.evaluate(sdata)), "summary.csv", index_col=0)

    def test_its_predictions_get_the_same_intervals(self, old, sdata, arrays, equal):
        bounds = [f"{layer}_{bound}" for layer in ("oof", "predicted") for bound in ("lower", "upper")]
        for name in bounds:
            del sdata["table"].layers[name]
        sh.tl.calibrate(sdata, old / "run", level=0.6)
        for name in bounds:
            equal(sdata["table"].layers[name], arrays[name])

    def test_it_is_saved_again(self, copy, arrays):
        sdata = sd.read_zarr(copy("store.zarr"))
        kept = sdata["table"].layers["oof_ridge"]
        bare(sdata)["table"].layers["oof_ridge"] = kept
        sh.pp.save(sdata)
        table = sd.read_zarr(sdata.path)["table"]
        assert [n for n in table.layers if n and n.startswith("oof")] == ["oof_ridge"]
        np.testing.assert_array_equal(table.layers["oof_ridge"], arrays["oof_ridge"])


class TestPredicting:
    @pytest.mark.parametrize(
        ("folder", "slides", "name"),
        [
            ("run", None, "predicted"),
            ("model", NEW, "predicted_model"),
            ("ridge", NEW, "ridge"),
            ("ranks", None, "ranks_predicted"),
        ],
    )
    def test_a_folder_predicts_the_same(self, old, cache, sdata, arrays, equal, folder, slides, name):
        sh.tl.predict(sdata, old / folder, slides=slides, key_added="again", cache=cache, progress=False)
        equal(sdata["table"].layers["again"], arrays[name])

    def test_models_are_averaged_as_they_were(self, old, cache, sdata, arrays, equal):
        cv = sh.tl.CrossValidation.load(old / "run")
        sh.tl.predict(sdata, cv, key_added="again", cache=cache, progress=False)
        equal(sdata["table"].layers["again"], arrays["predicted_cv"])
        equal(sdata["table"].obs["out_of_distribution"], arrays["out_of_distribution"])

    def test_more_slides_are_added_to_a_layer(self, old, cache, sdata, arrays, equal):
        sh.tl.predict(sdata, old / "run", slides=NEW, cache=cache, progress=False)
        assert np.isfinite(sdata["table"].layers["predicted"][:, np.isfinite(arrays["predicted"]).any(axis=0)]).all()
        equal(sdata["table"].layers["predicted"], arrays["predicted"])

    def test_a_grid_is_predicted_the_same(self, old, sdata, arrays, equal):
        sh.tl.predict_grid(sdata, old / "ridge", slides=NEW, spacing=("um", 80.0), progress=False)
        equal(sdata[f"{NEW}_grid_table"].layers["predicted"], arrays["grid"])

    @pytest.mark.parametrize("source", ["run", "model"])
    def test_genes_are_as_reliable_as_they_were(self, old, equal_tables, source):
        if source == "run":
            equal_tables(sh.tl.gene_reliability(old / source), "genes.csv", index_col=0)
        else:
            assert set(sh.tl.gene_reliability(old / source)["verdict"].map(renamed)) == {
                "reliable",
                "weak",
                "unreliable",
            }


class TestGoingOn:
    def test_a_killed_run_ends_with_the_same_predictions(self, goes_on, copy, sdata, arrays, equal, equal_tables):
        folder = copy("unfinished")
        before, half = written(folder), list(folder.glob("**/last.ckpt"))
        assert before
        assert half
        cv = sh.tl.cross_validate(bare(sdata), out=folder, **OPTIONS)
        assert before < written(folder)
        assert not list(folder.glob("**/*.ckpt"))
        assert [renamed(p.name) for p in (*cv.models, *cv.baselines)] == [renamed(n) for n in (*MODELS, *NULLS)]
        for predictor, name in zip((*cv.models, *cv.baselines), (*MODELS, *NULLS), strict=True):
            equal(sdata["table"].layers[f"oof_{predictor.name}"], arrays[f"oof_{name}"])
        sh.tl.stack(sdata, cv)
        equal(sdata["table"].layers["oof"], arrays["oof"])
        equal_tables(sh.tl.evaluate(sdata, metrics="all"), "scores.csv")
        equal_tables(sh.tl.gene_reliability(folder), "genes.csv", again=True, index_col=0)

    def test_a_finished_run_is_not_fitted_again(self, goes_on, copy, sdata, arrays, equal):
        folder = copy("run")
        before = written(folder)
        run_id = sh.tl.CrossValidation.load(folder).run_id
        cv = sh.tl.cross_validate(sdata, out=folder, **OPTIONS)
        assert written(folder) == before
        assert cv.run_id == run_id
        for predictor, name in zip((*cv.models, *cv.baselines), (*MODELS, *NULLS), strict=True):
            equal(sdata["table"].layers[f"oof_{predictor.name}"], arrays[f"oof_{name}"])

    def test_a_loaded_run_is_stacked_again(self, copy, sdata, arrays, equal, equal_tables):
        cv = sh.tl.CrossValidation.load(copy("run"))
        stack = sh.tl.stack(sdata, cv)
        equal(sdata["table"].layers["oof"], arrays["oof"])
        equal_tables(sh.tl.gene_reliability(stack), "genes.csv", again=True, index_col=0)

    def test_other_parameters_are_refused(self, copy, sdata):
        with pytest.raises(FileExistsError, match="seed"):
            sh.tl.cross_validate(sdata, out=copy("run"), **OPTIONS | {"seed": 6})

    def test_a_finished_model_is_not_fitted_again(self, goes_on, old, copy, sdata):
        folder = copy("model")
        before, card = written(folder), sh.tl.gene_reliability(folder)
        sh.tl.fit(sdata, evaluated_by=old / "run", out=folder, **OPTIONS)
        assert written(folder) == before
        pd.testing.assert_frame_equal(sh.tl.gene_reliability(folder), card)

    def test_networks_go_on_from_a_model(self, goes_on, old, sdata, arrays, equal):
        network = sh.tl.FeatureNetwork(members=3, epochs=2)
        model = sh.tl.fit(sdata, models=network, start=old / "model", **OPTIONS)
        sh.tl.predict(sdata, model, slides=NEW, key_added="again", progress=False)
        equal(sdata["table"].layers["again"], arrays["tuned"])

    def test_ranks_are_stacked_and_scored_as_they_were(self, goes_on, copy, sdata, arrays, equal, equal_tables):
        cv = sh.tl.CrossValidation.load(copy("ranks"))
        again = sh.tl.cross_validate(bare(sdata), models=list(cv.models), layer="ranks", out=cv.folder, **OPTIONS)
        sh.tl.stack(sdata, again, method="rank_mean")
        equal(sdata["table"].layers["oof"], arrays["ranks_oof"])
        equal_tables(sh.tl.evaluate(sdata, truth="ranks", oracles=False), "scores_ranks.csv")


@pytest.mark.slow
def test_a_report_on_a_stored_run_rates_its_genes(old, sdata, tmp_path):
    stack = sh.tl.load(old / "run")
    scores = sh.tl.evaluate(sdata)
    page = sh.report.write(sdata, stack.cv, stack=stack, scores=scores, path=tmp_path / "report.html").read_text()
    expected = rate_genes(scores, stack.name)["verdict"].value_counts(sort=False).to_dict()
    counts = re.search(r"<p>Of \d+ genes (.*)", page)[1]
    found = re.findall(r"<strong>(\d+)</strong> ([a-z ]+)", counts)
    assert {verdict.strip(): int(n) for n, verdict in found} == expected


@pytest.mark.parametrize("name", ["store.zarr", "run", "model", "ridge", "ranks"])
def test_info_says_the_same(old, name):
    result = CliRunner().invoke(app, ["info", str(old / name), "--json"], catch_exceptions=False)
    found, expected = (
        renamed(json.loads(text)) for text in (result.stdout, (old / "expected" / f"info_{name}.json").read_text())
    )
    if name == "store.zarr":
        assert found["slides"] == expected["slides"]
        assert found["layers"].keys() == expected["layers"].keys()
    else:
        assert {key: found[key] for key in expected} == expected
        # what 0.1.0 evaluated has no part beyond depth
        assert found["scores beyond depth"] == {}
        assert found["encoder"] == "color_texture"
        sizes = {"ridge": ["75 um: 64 pixels, 1.1719 um each", "300 um: 64 pixels, 4.6875 um each"]}
        assert found["fields of view"] == sizes.get(name, ["150 um: 64 pixels, 2.3438 um each"])
