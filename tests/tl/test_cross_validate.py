from __future__ import annotations

import json
import logging
import shutil
import warnings
from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch
import zarr
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist.tl import FeatureNetwork, Ridge, TileNetwork
from spatialhist.tl._predictors.linear import FittedLinear

ONE = Ridge(components=4)


def layers_of(sdata):
    return {k: sdata["table"].layers[k].tobytes() for k in layer_names(sdata["table"]) if k.startswith("oof")}


def contents(folder):
    """Bytes of every fit."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob("*/**/*.safetensors"))}


def validate(sdata, **options):
    return sh.tl.cross_validate(sdata, **{"models": ONE, "genes": 4, "groups": "patient", **FAST, **options})


@pytest.fixture
def three():
    """Three small slides."""
    return draw_cohort(4, n_slides=3, n_genes=6, signal=0.8)


class TestFinishedRun:
    def test_layers_hold_the_predictions_of_each_fold(self, finished):
        sdata, cv, _ = finished
        table = sdata["table"]
        for group in cv.groups:
            rows = np.flatnonzero(table.obs["patient"] == group)
            columns = [table.var_names.get_loc(cv.genes[i]) for i in cv.panels[group]]
            _, predicted = cv.outer()[group, "ridge"].result()
            np.testing.assert_array_equal(table.layers["oof_ridge"][np.ix_(rows, columns)], predicted)
            outside = np.setdiff1d(np.arange(table.n_vars), columns)
            assert np.isnan(table.layers["oof_ridge"][np.ix_(rows, outside)]).all()

    def test_a_fold_equals_a_fit_by_hand(self, finished):
        sdata, cv, _ = finished
        group = cv.inputs.column("group")
        training = cv.inputs.samples(np.flatnonzero(group != "P3"), cv.panels["P3"])
        held = np.flatnonzero(group == "P3")
        expected = cv.models[0].fit(training, seed=0, scratch=None).predict(cv.inputs.samples(held))
        np.testing.assert_array_equal(cv.outer()["P3", "ridge"].result()[1], expected)

    def test_every_layer_says_what_it_is(self, finished):
        sdata, cv, _ = finished
        kinds = {
            k: sdata["table"].uns["spatialhist"][f"oof_{k}"]["kind"]
            for k in ("ridge", "baseline_mean", "baseline_color")
        }
        assert kinds == {"ridge": "model", "baseline_mean": "baseline", "baseline_color": "baseline"}
        entry = sdata["table"].uns["spatialhist"]["oof_ridge"]
        assert (entry["target"], entry["predictor"]) == ("log1p", "ridge")
        assert dict(zip(entry["slides"], entry["groups"], strict=True)) == {f"S{i}": f"P{i}" for i in (1, 2, 3, 4)}

    def test_the_folder_holds_the_same_predictions(self, finished):
        sdata, cv, _ = finished
        stored = zarr.open_group(cv.folder / "oof.zarr", mode="r")
        columns = sdata["table"].var_names.get_indexer(stored.attrs["genes"])
        np.testing.assert_array_equal(stored["ridge"][:], sdata["table"].layers["oof_ridge"][:, columns])
        assert stored.attrs["rows"]["region"] == sdata["table"].obs["region"].tolist()

    def test_signal_is_found_and_donors_without_other_slides_are_not_predicted(self, finished):
        sdata, *_ = finished
        table = sh.tl.summarize(sh.tl.evaluate(sdata, oracles=False))
        assert table.loc["ridge", "mean"] > 0.2 + abs(table.loc["control_permuted", "mean"])
        assert table.loc["baseline_mean", "mean"] == 0
        assert np.isnan(sdata["table"].layers["oof_baseline_patient"]).all()
        assert "baseline_patient" not in table.index or np.isnan(table.loc["baseline_patient", "mean"])


class TestResuming:
    def test_runs_killed_resumed_or_spread_over_processes_are_the_same(self, ridges, finished, tmp_path, capfd, caplog):
        _, done, _ = finished
        options = {"models": ridges, "genes": 8, "groups": "patient", "out": tmp_path / "run", **FAST}
        sdata = draw_cohort(1, signal=0.8)
        cv = sh.tl.cross_validate(sdata, executor=2, **options)
        expected = contents(done.folder)
        expected = {k: v for k, v in expected.items() if k.startswith(("folds", "inner"))}
        assert contents(cv.folder) == expected
        layers = layers_of(sdata)
        shutil.rmtree(next((cv.folder / "folds").iterdir()))
        (cv.folder / "inner").rename(cv.folder / "gone")
        shutil.rmtree(cv.folder / "gone")
        (cv.folder / "folds" / "01_P2" / "ridge.scratch").mkdir(parents=True)
        (cv.folder / ".inputs.tmp").mkdir()
        again = draw_cohort(1, signal=0.8)
        capfd.readouterr()
        with caplog.at_level(logging.INFO, logger="spatialhist"):
            cv = sh.tl.cross_validate(again, **options)
        assert "fits to run (27 done already)" in caplog.text
        assert capfd.readouterr() == ("", "")
        assert contents(cv.folder) == expected
        assert layers_of(again) == layers

    def test_a_second_call_fits_nothing(self, three, tmp_path, monkeypatch):
        first = validate(three, out=tmp_path)
        layers = layers_of(three)
        monkeypatch.setattr(Ridge, "fit", lambda *a, **k: pytest.fail("fitted again"))
        second = validate(three, out=tmp_path)
        assert layers_of(three) == layers
        assert second.manifest == first.manifest

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"seed": 1}, "seed"),
            ({"models": Ridge(components=5)}, "models"),
            ({"genes": 3}, "panels"),
            ({"extents": [("px", 30.0)]}, "design"),
        ],
    )
    def test_other_parameters_are_refused_and_leave_the_run_as_it_was(self, three, tmp_path, change, named):
        cv = validate(three, out=tmp_path)
        before = {p.name: p.read_bytes() for p in (tmp_path / "inputs").iterdir()}
        with pytest.raises(FileExistsError, match=f"differ in \\[.*'{named}'"):
            validate(three, out=tmp_path, **change)
        assert {p.name: p.read_bytes() for p in (tmp_path / "inputs").iterdir()} == before
        replaced = validate(three, out=tmp_path, overwrite=True, **change)
        assert replaced.manifest.identity[named] != cv.manifest.identity[named]

    def test_other_labels_are_refused(self, three, tmp_path):
        validate(three, out=tmp_path)
        three["table"].layers["log1p"] = three["table"].layers["log1p"] * 2
        with pytest.raises(FileExistsError, match="differ in \\['data'\\]"):
            validate(three, out=tmp_path)
        assert not (tmp_path / "inputs" / ".inputs.tmp").exists()

    def test_another_depth_is_refused(self, three, tmp_path):
        validate(three, out=tmp_path)
        three["table"].X = three["table"].X * 2
        with pytest.raises(FileExistsError, match="differ in \\['depth'\\]"):
            validate(three, out=tmp_path)

    def test_a_run_of_a_version_without_depth_goes_on_without_it(self, three, tmp_path):
        """Its manifest knows neither the hash nor the baseline, and its folders hold no fits of it."""
        validate(three, out=tmp_path)
        manifest = json.loads((tmp_path / "manifest.json").read_text())
        del manifest["identity"]["depth"]
        manifest["identity"]["baselines"] = [
            d for d in manifest["identity"]["baselines"] if d["name"] != "baseline_depth"
        ]
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        for fit in tmp_path.glob("folds/*/baseline_depth"):
            shutil.rmtree(fit)
        before = contents(tmp_path)
        cv = validate(three, out=tmp_path)
        assert contents(tmp_path) == before
        assert "baseline_depth" not in {p.name for p in cv.baselines}
        with pytest.raises(FileExistsError, match="differ in \\['seed'\\]"):
            validate(three, out=tmp_path, seed=1)

    def test_the_same_genes_in_other_folds_are_another_run(self, three, tmp_path):
        cv = validate(three, out=tmp_path, genes=4)
        with pytest.raises(FileExistsError, match="panels"):
            validate(three, out=tmp_path, genes=cv.genes)


class TestRefusals:
    """Checked before anything is computed; the object stays as it was."""

    @pytest.fixture(autouse=True)
    def unchanged(self, three):
        layers = set(three["table"].layers)
        yield
        assert set(three["table"].layers) == layers

    def test_missing_layer(self, three):
        with pytest.raises(KeyError, match="no layer 'ranks'.*pp.rank_expression"):
            validate(three, layer="ranks")

    def test_missing_image_names_the_call_that_makes_it(self, three):
        with pytest.raises(KeyError, match="make it with sh.pp.normalize_stain"):
            validate(three, image="normalized")

    def test_missing_mask_names_the_call_that_makes_it(self, three):
        del three.labels["S2_full_image_tissue"]
        with pytest.raises(KeyError, match="slide 'S2' has no tissue mask.*sh.pp.mask_background"):
            validate(three)

    def test_nothing_measured(self, three):
        three["table"].obs["measured"] = False
        with pytest.raises(ValueError, match="none of the slides .* has measured spots"):
            validate(three)

    def test_the_same_slide_under_two_names(self, three):
        three.images["S2_full_image"].data = three.images["S1_full_image"].data
        with pytest.raises(ValueError, match="'S1' .* and 'S2' .* have the same pixels"):
            validate(three)

    def test_layers_that_would_not_fit(self, three, monkeypatch):
        monkeypatch.setattr("spatialhist._sdata.layers.MAX_LAYER_GB", 1e-6)
        monkeypatch.setattr(
            "spatialhist._sdata.layers.check_layer_size.__kwdefaults__", {"n_layers": 1, "max_layer_gb": 1e-6}
        )
        with pytest.raises(
            MemoryError, match="9 dense layer\\(s\\).*sh.pp.select_genes\\(sdata, n=2000, subset=True\\)"
        ):
            validate(three)

    def test_a_folder_of_something_else(self, three, tmp_path):
        (tmp_path / "thesis.txt").touch()
        with pytest.raises(FileExistsError, match="is no run folder"):
            validate(three, out=tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "thesis.txt"]

    def test_no_worker(self, three):
        with pytest.raises(ValueError, match="executor=0"):
            validate(three, executor=0)


class TestOddCohorts:
    def test_slides_to_be_predicted_are_left_out(self, three):
        table = three["table"]
        table.obs["measured"] = (table.obs["region"] != "S2").to_numpy()
        cv = validate(three)
        assert cv.groups == ["P1", "P3"]
        assert np.isnan(table.layers["oof"][(table.obs["region"] == "S2").to_numpy()]).all()

    def test_a_gene_that_a_slide_lacks_is_modeled_without_it(self, three):
        table = three["table"]
        best = choose_best(table)
        flags = table.varm["measured"].copy()
        flags.loc[best, "S1"] = False
        table.varm["measured"] = flags
        cv = validate(three)
        modeled = {g: best in [cv.genes[i] for i in cv.panels[g]] for g in cv.groups}
        assert modeled == {"P1": True, "P2": False, "P3": False}
        scores = sh.tl.evaluate(three, oracles=False)
        assert best not in set(scores["target"])

    def test_named_genes_are_the_panel_of_every_fold(self, three):
        cv = validate(three, genes=["G5", "G1"])
        assert cv.genes == ["G1", "G5"]
        assert cv.panels == dict.fromkeys(["P1", "P2", "P3"], (0, 1))

    def test_two_groups_train_on_a_single_slide(self, three):
        cv = validate(three, slides=["S1", "S2"], models=[ONE, Ridge(name="other", components=4)])
        assert cv.inner() == {}
        assert np.isfinite(
            three["table"].layers["oof_ridge"][:192, three["table"].var_names.get_indexer(cv.genes[:1])]
        ).all()
        with pytest.raises(
            ValueError, match="'nnls' needs at least 3 groups, the run has \\['P1', 'P2'\\]: use method='mean'"
        ):
            sh.tl.stack(three, cv, method="nnls")
        sh.tl.stack(three, cv, method="mean")
        expected = (three["table"].layers["oof_ridge"] + three["table"].layers["oof_other"]) / 2
        np.testing.assert_allclose(three["table"].layers["oof"], expected, rtol=1e-6)

    def test_a_slide_of_three_spots_is_trained_on_and_predicted(self, three):
        table = three["table"]
        keep = (table.obs["region"] != "S3").to_numpy(copy=True)
        keep[np.flatnonzero(~keep)[:3]] = True
        three.tables["table"] = table[keep].copy()
        validate(three)
        assert np.isfinite(three["table"].layers["oof"][-3:]).any(axis=1).all()
        table = sh.tl.summarize(sh.tl.evaluate(three))
        assert np.isfinite(table.loc["ridge", ["P1", "P2"]].astype(float)).all()

    def test_ranks_are_taken_within_the_panel_of_each_fold(self, three):
        from scipy.stats import rankdata

        sh.pp.rank_expression(three, scale="raw")
        cv = validate(three, layer="ranks")
        table = three["table"]
        rows = np.flatnonzero(cv.inputs.column("group") == "P2")
        names = [cv.genes[i] for i in cv.panels["P2"]]
        values = table[:, names].X.toarray()[rows]
        np.testing.assert_array_equal(cv.targets(rows, "P2"), rankdata(values, axis=1))
        assert table.uns["spatialhist"]["oof"]["ranking"] == {"method": "average", "scale": "raw"}

    def test_smoothed_ranks_are_learned_smoothed_and_evaluated_on_ranks(self, three):
        sh.pp.rank_expression(three, scale="unit")
        sh.pp.spot_distances(three)
        sh.pp.smooth_expression(three, layer="ranks")
        cv = validate(three, layer="ranks_smooth")
        rows = np.flatnonzero(cv.inputs.column("group") == "P1")
        table = three["table"]
        values = np.asarray(table[:, [cv.genes[i] for i in cv.panels["P1"]]].layers["ranks_smooth"])[rows]
        np.testing.assert_allclose(cv.targets(rows, "P1"), values, rtol=1e-6)
        with pytest.raises(ValueError, match="layer 'ranks_smooth' was smoothed"):
            sh.tl.evaluate(three, truth="ranks_smooth")
        scores = sh.tl.evaluate(three, truth="ranks", oracles=False)
        assert np.isfinite(sh.tl.summarize(scores).loc["ridge", "mean"])


def choose_best(table):
    return table.var_names[int(np.argmax(np.asarray(table.X.sum(axis=0)).ravel()))]


@dataclass(frozen=True)
class Twice:
    """A predictor from outside: ridge on one field of view, doubled."""

    factor: float = 2.0
    name: str = "twice"
    kind: str = "model"
    needs_tiles: bool = False

    def fit(self, samples, *, seed, scratch):
        return Doubled(Ridge(components=4, blocks=(0,)).fit(samples, seed=seed, scratch=scratch), self.factor)

    def restore(self, state):
        return Doubled(FittedLinear.from_state(Ridge(components=4, blocks=(0,)), state), self.factor)


@dataclass(frozen=True)
class Doubled:
    inner: FittedLinear
    factor: float

    def predict(self, samples):
        return self.factor * self.inner.predict(samples)

    def state(self):
        return self.inner.state()


class Pooled(torch.nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(3, n_outputs)

    def forward(self, tiles):
        return self.linear(tiles.float().mean(dim=(2, 3)) / 255)


def test_own_predictors_and_own_networks_take_part(three, tmp_path):
    models = [ONE, Ridge(name="first", components=4, blocks=(0,)), Twice(), TileNetwork(build=Pooled, epochs=1)]
    cv = validate(three, models=models, out=tmp_path)
    layers = three["table"].layers
    np.testing.assert_allclose(layers["oof_twice"], 2 * layers["oof_first"], rtol=1e-6)
    assert np.isfinite(layers["oof_vision_mlp"]).any()
    with pytest.raises(ValueError, match="your own predictor 'twice': pass it in models="):
        sh.tl.load(tmp_path)
    again = sh.tl.load(tmp_path, models=models[2:])
    assert again.models == cv.models
    np.testing.assert_array_equal(again.out_of_fold("twice"), cv.out_of_fold("twice"))
    with pytest.raises(FileExistsError, match="differ in \\['models'\\]"):
        validate(three, models=[*models[:2], Twice(factor=3.0), models[3]], out=tmp_path)


def test_an_interrupted_network_ends_as_if_nothing_had_happened(three, tmp_path, monkeypatch):
    from spatialhist.tl._predictors import short_training

    head = FeatureNetwork(members=2, epochs=3, dim=4, accelerator="cpu")
    options = {"models": head, "slides": ["S1", "S2"]}
    whole = validate(three, out=tmp_path / "whole", **options)
    train_epoch, epochs = short_training._Training._epoch, []

    def killed(training, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return train_epoch(training, epoch)

    def noted(training, epoch):
        epochs.append(epoch)
        return train_epoch(training, epoch)

    monkeypatch.setattr(short_training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(short_training._Training, "_epoch", killed)
    with pytest.raises(BaseException):  # noqa: B017
        validate(three, out=tmp_path / "parts", **options)
    monkeypatch.setattr(short_training._Training, "_epoch", noted)
    parts = validate(three, out=tmp_path / "parts", **options)
    assert contents(parts.folder) == contents(whole.folder)
    # one fold was interrupted in its last epoch, the other had not begun
    assert epochs == [2, 0, 1, 2]


def blind(tiles):
    return torch.zeros(len(tiles), 2)


def test_the_color_baseline_is_the_same_for_every_encoder(three):
    looks = {"extents": [("px", 30.0), ("px", 50.0)], "pixels": 64, "models": ONE, "genes": 6}
    values = {}
    for encoder in ("color_texture", blind):
        sdata = draw_cohort(5, signal=0.8, n_slides=3, n_genes=6)
        cv = validate(sdata, encoder=encoder, **looks)
        values[encoder] = sdata["table"].layers["oof_baseline_color"]
        names = {p.name for p in cv.baselines}
        assert ("baseline_single_scale" in names) == (encoder is blind)
        assert (cv.folder / "inputs" / "colors.npy").exists() == (encoder is blind)
    np.testing.assert_array_equal(values[blind], values["color_texture"])
    assert sdata["table"].layers["oof_baseline_color"].std(axis=0).min() > 0
    slide = sdata["table"].obs["region"].astype(str).to_numpy()
    single = sdata["table"].layers["oof_baseline_single_scale"]
    assert all(np.ptp(single[slide == s], axis=0).max() == 0 for s in ("S1", "S2", "S3"))


class Quiet(Ridge):
    """Says nothing of the first half of the spots that it is asked for."""

    def restore(self, state):
        return Halved(super().restore(state))

    def fit(self, samples, *, seed, scratch):
        return Halved(super().fit(samples, seed=seed, scratch=scratch))


@dataclass(frozen=True)
class Halved:
    fitted: FittedLinear

    def predict(self, samples):
        values = self.fitted.predict(samples)
        values[: len(values) // 2] = np.nan
        return values

    def state(self):
        return self.fitted.state()


def test_a_model_that_predicts_nan_is_told_of(three):
    models = [Ridge(components=4), Quiet(name="quiet", components=4)]
    with pytest.warns(UserWarning, match=r"model 'quiet' predicted NaN .* nothing at all for 144 of 288 spots"):
        sh.tl.cross_validate(three, models=models, groups="patient", **FAST)
    with pytest.warns(UserWarning, match="48 of 96 spots of slide 'S1' in 'oof_quiet'"):
        scores = sh.tl.evaluate(three, oracles=False)
    n = scores[scores["metric"] == "pearson"].groupby("predictor")["n"].max()
    assert n["ridge"] == n["quiet"] == n["baseline_color"] == 48


@dataclass(frozen=True)
class Nothing(Halved):
    def predict(self, samples):
        return np.full_like(self.fitted.predict(samples), np.nan)


class Diverged(Ridge):
    """Says nothing of any spot."""

    def restore(self, state):
        return Nothing(super().restore(state))

    def fit(self, samples, *, seed, scratch):
        return Nothing(super().fit(samples, seed=seed, scratch=scratch))


def test_a_model_that_predicts_nothing_is_told_of(three):
    with pytest.warns(UserWarning, match=r"model 'diverged' predicted NaN .* nothing at all for 288 of 288 spots"):
        cv = sh.tl.cross_validate(three, models=Diverged(name="diverged", components=4), groups="patient", **FAST)
    with pytest.raises(ValueError, match="nothing is known"):
        sh.tl.gene_reliability(cv)


def test_a_design_is_the_same_run_as_its_fields(cohort, tmp_path):
    options = {"models": Ridge(components=4), "genes": 3, "groups": "patient"}
    looks = {k: v for k, v in FAST.items() if k in {f.name for f in fields(sh.tl.Design)}}
    assert looks
    rest = {k: v for k, v in FAST.items() if k not in looks} | options
    by_fields = sh.tl.cross_validate(cohort, out=tmp_path / "a", **looks, **rest)
    design = sh.tl.Design(**looks)
    whole = sh.tl.cross_validate(cohort, out=tmp_path / "b", design=design, **rest)
    assert whole.run_id == by_fields.run_id
    fitted = sh.tl.fit(cohort, design=design, **{k: v for k, v in rest.items() if k != "groups"})
    assert fitted.manifest.design == whole.manifest.design
    for verb in (sh.tl.cross_validate, sh.tl.fit):
        with pytest.raises(ValueError, match=r"design= and its fields \['image'\] are both given"):
            verb(cohort, design=design, image="full", out=tmp_path / "c")
        with pytest.raises(TypeError, match="extent= is neither an argument nor a field of sh.tl.Design"):
            verb(cohort, extent=[("um", 75)], out=tmp_path / "c")
    assert not (tmp_path / "c").exists()


class Patches(torch.nn.Module):
    """Made for tiles of 12 pixels of 2.5 um, which it refuses to be without."""

    def __init__(self):
        super().__init__()
        self.pixels, self.um_per_pixel, self.trained_on = 12, 2.5, "nothing"
        self.register_buffer("weights", torch.linspace(-1, 1, 5 * 3 * 12 * 12).view(5, 3 * 12 * 12))

    def forward(self, tiles):
        assert tiles.shape[1:] == (3, 12, 12)
        return tiles.flatten(1).float() @ self.weights.T / 255


class TestEncoderWithItsOwnInput:
    """The cohort has 2 um per pixel: 30 um are 15 pixels."""

    LEFT_OPEN = {k: v for k, v in FAST.items() if k not in ("encoder", "pixels", "extents")}

    def run(self, sdata, encoder, out, **options):
        models = Ridge(components=4)
        looks = self.LEFT_OPEN | {"encoder": encoder, "models": models, "genes": 4} | options
        return sh.tl.cross_validate(sdata, groups="patient", out=out, **looks)

    def test_open_sizes_are_those_that_the_encoder_states(self, three, tmp_path):
        cv = self.run(three, Patches(), tmp_path / "open")
        assert (cv.manifest.design.pixels, cv.manifest.design.extents) == (12, (("um", 30.0),))
        assert cv.manifest.fields_of_view == [{"extent": ["um", 30.0], "pixels": 12, "um_per_pixel": [2.5, 2.5]}]
        told = self.run(three, Patches(), tmp_path / "told", pixels=12, extents=[("um", 30)])
        np.testing.assert_array_equal(told.out_of_fold("ridge"), cv.out_of_fold("ridge"))
        sh.tl.predict(three, cv, encoder=Patches(), progress=False)
        group = three["table"].obs["patient"] == "P1"
        columns = [three["table"].var_names.get_loc(cv.genes[i]) for i in cv.panels["P1"]]
        found, held_out = (three["table"].layers[k][np.ix_(group, columns)] for k in ("predicted", "oof_ridge"))
        np.testing.assert_allclose(found, held_out, rtol=1e-5)

    def test_a_run_resumes_with_the_sizes_that_it_began_with(self, three, tmp_path):
        class Finer(Patches):
            def __init__(self):
                super().__init__()
                self.fingerprint = "the same patches"

        before, now = Finer(), Finer()
        now.pixels, now.um_per_pixel = 24, 1.25
        began = self.run(three, before, tmp_path / "run")
        resumed = self.run(three, now, tmp_path / "run")
        assert resumed.manifest == began.manifest
        with pytest.raises(FileExistsError, match=r"they differ in \['data', 'design'\]|they differ in \['design'\]"):
            self.run(three, now, tmp_path / "run", extents=[("um", 60)])

    def test_enlarged_tiles_are_told_of_and_the_advice_is_taken(self, three, tmp_path):
        encoder = Patches()
        encoder.um_per_pixel = 1.0
        with pytest.warns(
            UserWarning, match=r"slide 'S1': tiles of 12 um have 6 pixels .* enlarged 2\.0 times .* Patches"
        ):
            self.run(three, encoder, tmp_path / "small")
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            self.run(three, encoder, tmp_path / "wide", extents=[("um", 16.0)])


def test_depth_is_a_baseline_where_it_is_known(three):
    table = three["table"]
    cv = validate(three)
    assert "baseline_depth" in {p.name for p in cv.baselines}
    expected = table.layers["oof_baseline_depth"]
    total = np.asarray(table.X.sum(axis=1))
    table.X = table.X.multiply(1 / total).tocsr()
    with pytest.warns(UserWarning, match="baseline_depth is left out: no counts lie behind 'log1p'.*proportions"):
        cv = validate(three)
    assert "baseline_depth" not in {p.name for p in cv.baselines}
    table.obs["total_counts"] = total.ravel()
    validate(three, genes=cv.genes)
    known = np.isfinite(expected) & np.isfinite(table.layers["oof_baseline_depth"])
    np.testing.assert_allclose(table.layers["oof_baseline_depth"][known], expected[known], atol=1e-5)
