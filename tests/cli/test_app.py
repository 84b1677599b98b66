from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from typer.testing import CliRunner

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.images import pyramid
from spatialhist.cli._app import LAYERS, app


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments):
    """The one line that a command ends with when it refuses."""
    text = call(*arguments, code=2).stderr.strip()
    line = text.splitlines()[-1]
    assert line.startswith("spatialhist: ")
    return line


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three small synthetic slides of three patients in a store."""
    path = tmp_path_factory.mktemp("cli") / "cohort.zarr"
    sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 380), n_genes=20, seed=0).write(path)
    return path


@pytest.fixture(scope="module")
def finished(store, tmp_path_factory):
    """A run of one model on the store, and what it printed."""
    out = tmp_path_factory.mktemp("cli-run") / "run"
    result = call("run", store, "--out", out, "--model", "ridge", "--n-genes", 5, "--workers", 1)
    return out, result


def test_version():
    assert call("--version").stdout.strip() == version("spatialhist")


def test_no_command_shows_help():
    result = CliRunner().invoke(app, [])
    assert all(name in result.output for name in ("demo", "run", "predict", "info"))


def test_info_says_what_a_store_holds(store):
    text = call("info", store).stdout
    for slide in ("S1", "S2", "S3"):
        assert f"{slide}: spots " in text
    assert "mpp 2.0" in text


def test_info_for_programs(store):
    facts = json.loads(call("info", store, "--json").stdout)
    table = sd.read_zarr(store)["table"]
    assert facts["genes"] == 20
    assert {s: f["spots"] for s, f in facts["slides"].items()} == table.obs["region"].value_counts().to_dict()
    assert {f["patient"] for f in facts["slides"].values()} == set(table.obs["patient"].astype(str))
    assert "S2_full_image" in facts["slides"]["S2"]["images"]


def test_run_leaves_scores_report_and_layers(finished):
    out, result = finished
    assert "within-slide Pearson" in result.stdout
    assert "upper references, which use the measured data of the scored slide" in result.stdout
    assert f"report: {out / 'report.html'}" in result.stdout
    assert f"interactive page: spatialhist explore {out}" in result.stdout
    assert (out / "report.html").exists()
    scores = pd.read_parquet(out / "scores.parquet")
    assert {"ridge", "baseline_mean", "oracle_depth"} <= set(scores["predictor"])
    table = sd.read_zarr(out / "data.zarr")["table"]
    assert np.isfinite(table.layers["oof_ridge"]).any()
    text = call("info", out / "data.zarr").stdout
    assert "layer oof_ridge: " in text
    assert "predictor=ridge" in text


def test_encode_fills_a_folder_and_resumes(store, tmp_path):
    out = tmp_path / "features"
    facts = json.loads(call("encode", store, "--out", out, "--slide", "S1", "--json").stdout)
    (row,) = facts["slides"]
    assert (row["slide"], facts["features"]) == ("S1", str(out))
    kept = {p: p.stat().st_mtime_ns for p in out.glob("*.npy")}
    assert kept
    text = call("encode", store, "--out", out, "--slide", "S1").stdout
    assert f"S1: {row['spots']} spots, {row['features']} features" in text
    assert {p: p.stat().st_mtime_ns for p in out.glob("*.npy")} == kept
    assert "device='cuda:9' is not there" in refused(
        "encode", store, "--out", out, "--slide", "S1", "--device", "cuda:9"
    )


def test_benchmark_scores_a_file(store, tmp_path):
    table = sd.read_zarr(store)["table"]
    flat = pd.DataFrame(1.0, table.obs_names, table.var_names[:3])
    flat.to_csv(tmp_path / "flat.csv")
    out = tmp_path / "bench"
    options = ("--out", out, "--workers", 1, "--json")
    facts = json.loads(call("benchmark", store, tmp_path / "flat.csv", *options).stdout)
    by_name = {row["predictor"]: row for row in facts["scores"]}
    assert by_name["flat"]["pearson"] == 0 < by_name["ridge"]["pearson"]
    assert "cannot be known" in facts["notes"][0]
    assert "cannot be known" in (out / "report.html").read_text()
    assert "flat" in set(pd.read_parquet(out / "scores.parquet")["predictor"])
    assert np.isfinite(sd.read_zarr(out / "data.zarr")["table"].layers["flat"][:, :3]).all()
    assert "there is neither a layer nor a file" in refused("benchmark", store, tmp_path / "none.csv", "--out", out)


def test_run_leaves_its_source_as_it_was(finished, store):
    table = sd.read_zarr(store)["table"]
    assert not [k for k in layer_names(table) if k.startswith("oof")]


def test_run_goes_on_with_the_same_slides_and_refuses_others(finished, store, tmp_path):
    out, _ = finished
    first = pd.read_parquet(out / "scores.parquet")
    again = call("run", store, "--out", out, "--model", "ridge", "--n-genes", 5, "--workers", 1)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "scores.parquet"), first)
    assert "0 fits to run (21 done already)" in again.stderr
    other = tmp_path / "other.zarr"
    other.mkdir()
    assert "choose another --out" in refused("run", other, "--out", out)
    assert "choose another --out" in refused("run", store, "--out", out, "--slide", "S1", "--slide", "S2")
    assert "differ in ['seed']" in refused(
        "run", store, "--out", out, "--model", "ridge", "--n-genes", 5, "--workers", 1, "--seed", 1
    )


def test_predict_adds_a_layer_to_a_copy(finished, store, tmp_path):
    out, _ = finished
    target = tmp_path / "predicted.zarr"
    result = call("predict", out, store, "--out", target, "--key-added", "later")
    assert f"layer 'later' of {target}" in result.stdout
    table = sd.read_zarr(target)["table"]
    assert np.isfinite(table.layers["later"]).any(axis=1).all()
    assert "later" not in sd.read_zarr(store)["table"].layers
    held = sd.read_zarr(out / "data.zarr")["table"]
    rows = table.obs_names.get_indexer(held.obs_names)
    np.testing.assert_allclose(table.layers["later"][rows], held.layers["oof_ridge"], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_predict_adds_to_the_store_itself(finished, store, tmp_path):
    out, _ = finished
    own = tmp_path / "own.zarr"
    shutil.copytree(store, own)
    call("predict", out, own, "--no-realign")
    assert "predicted" in sd.read_zarr(own)["table"].layers


def test_explore_writes_the_page_of_a_run_and_of_a_store(finished, store, tmp_path):
    out, _ = finished
    page = tmp_path / "a.html"
    assert f"page: {page}" in call("explore", out, "--out", page, "--slide", "S2").stdout
    text = page.read_text(encoding="utf-8")
    assert '"predicted (out of fold)"' in text and re.search(r'"(weak|reliable|unreliable)"', text)
    assert f"<h1>{out.name}</h1>" in text and '"slides":["S2"]' in text
    facts = json.loads(call("explore", store, "--out", page, "--layer", "X", "--json").stdout)
    assert facts == {"pages": [str(page)]}
    text = page.read_text(encoding="utf-8")
    assert '"predicted (out of fold)"' not in text and '"measured values"' in text
    call("explore", store, "--out", page, "--layer", "X", "--run", out)
    assert '"training measurements"' in page.read_text(encoding="utf-8")


def test_explore_refuses_by_name(finished, store, tmp_path):
    out, _ = finished
    assert "nothing.zarr does not exist" in refused("explore", tmp_path / "nothing.zarr")
    assert "choose another --out" in refused("explore", store, "--out", tmp_path / "no" / "a.html")
    assert "no layer 'raw'" in refused("explore", store, "--out", tmp_path / "a.html", "--layer", "raw")
    assert "choose one with --table" in refused("explore", store, "--out", tmp_path / "a.html", "--table", "other")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(out / "manifest.json", bare)
    assert "has no data.zarr" in refused("explore", bare, "--out", tmp_path / "a.html")
    assert not list(tmp_path.glob("*.html"))


def test_errors_are_one_line(finished, store, tmp_path):
    out, _ = finished
    assert refused("info", tmp_path / "nothing.zarr").endswith("nothing.zarr does not exist")
    assert refused("predict", tmp_path, tmp_path / "nothing.svs").endswith("nothing.svs does not exist")
    (tmp_path / "folder").mkdir()
    assert "is no slides.csv folder, Space Ranger folder" in refused("info", tmp_path / "folder")
    assert "is no run or model folder" in refused("predict", tmp_path / "folder", store)
    assert "no model 'forest'" in refused("run", store, "--out", tmp_path / "a", "--model", "forest")
    assert "groups='hospital' is no column of obs" in refused(
        "run", store, "--out", tmp_path / "a", "--model", "ridge", "--groups", "hospital"
    )


def test_two_slides_run_to_the_report_and_one_names_what_cannot_be_known(store, tmp_path):
    options = ("--n-genes", 2, "--workers", 1, "--no-realign", "--model", "ridge", "--model", "ridge_raw")
    result = call("run", store, "--out", tmp_path / "two", "--slide", "S1", "--slide", "S2", *options)
    assert "stack_mean" in result.stdout
    assert "report:" in result.stdout
    assert result.stderr.count("the 2 models are averaged") == 1
    said = refused("run", store, "--out", tmp_path / "one", "--slide", "S1", *options)
    assert "cannot be known; sh.tl.fit(sdata) fits one" in said


def test_a_masked_image_is_made_where_only_the_mask_is_there():
    from spatialhist.cli._steps import mask_where_missing

    sdata = sh.datasets.synthetic(n_slides=2, size_px=(200, 260), n_genes=5)
    sh.pp.mask_background(sdata, slides=["S1"], fill=False)
    mask_where_missing(sdata, "full")
    assert not any(k.endswith("_masked") for k in sdata.images)
    mask_where_missing(sdata, "masked")
    assert {"S1_full_image_masked", "S2_full_image_masked"} <= set(sdata.images)


def test_verbose_keeps_the_traceback(tmp_path):
    result = CliRunner().invoke(app, ["-v", "info", str(tmp_path / "nothing.zarr")])
    assert isinstance(result.exception, FileNotFoundError)


def test_a_failed_import_leaves_no_store(tmp_path):
    (tmp_path / "bad.h5").write_text("no hdf5")
    CliRunner().invoke(app, ["run", str(tmp_path / "bad.h5"), "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run" / "data.zarr").exists()


@pytest.mark.slow
def test_demo_ends_with_scores_and_a_report(tmp_path):
    result = call("demo", "--out", tmp_path / "demo")
    assert "stack_nnls" in result.stdout
    assert f"report: {tmp_path / 'demo' / 'report.html'}" in result.stdout
    assert "spatialhist explore" not in result.stdout


@pytest.mark.slow
def test_ranks_of_normalized_images_are_run_and_predicted(store, tmp_path):
    options = ("--layer", "ranks", "--image", "normalized", "--groups", "slide", "--n-genes", 5, "--workers", 1)
    call("run", store, "--out", tmp_path / "run", "--model", "ridge", "--model", "ridge_raw", *options)
    call("predict", tmp_path / "run", store, "--out", tmp_path / "new.zarr")
    table = sd.read_zarr(tmp_path / "new.zarr")["table"]
    assert table.uns["spatialhist"]["predicted"]["target"] == "ranks"


def test_demo_is_a_run_on_six_synthetic_slides(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(sh.datasets, "synthetic", lambda **options: options, raising=False)
    monkeypatch.setattr(
        "spatialhist.cli._app.analyze", lambda sdata, out, **options: calls.append((sdata, out, options))
    )
    call("demo", "--out", tmp_path, "--seed", 3, "--workers", 1)
    assert calls == [
        (
            {"n_slides": 6, "seed": 3},
            tmp_path,
            {"groups": "auto", "layer": "log1p", "genes": 60, "workers": 1, "seed": 3, "as_json": False},
        )
    ]


def test_slides_are_prepared_as_asked(monkeypatch):
    from spatialhist.cli._steps import preprocess

    steps = []
    names = (
        "mask_background", "normalize_stain", "realign", "filter_spots", "log_normalize", "rank_expression",
        "spot_distances",
    )  # fmt: skip
    for step in names:
        monkeypatch.setattr(sh.pp, step, lambda *a, step=step, **k: steps.append(step), raising=False)
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(200, 260), n_genes=5)
    preprocess(sdata, image="normalized", layer="ranks", realign=True)
    assert steps == list(names)
    steps.clear()
    preprocess(sdata, image="full", layer="log1p", realign=False)
    assert steps == ["mask_background", "filter_spots", "log_normalize", "spot_distances"]


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_that_can_be_named_is_made(layer):
    from spatialhist.cli._steps import preprocess

    sdata = sh.datasets.synthetic(n_slides=1, size_px=(200, 260), n_genes=5)
    preprocess(sdata, image="full", layer=layer, realign=False)
    assert layer in sdata["table"].layers


@pytest.fixture(scope="module")
def biopsy(tmp_path_factory):
    """Image file of a slide that no run has seen."""
    import tifffile

    unseen = sh.datasets.synthetic(n_slides=1, size_px=(300, 380), n_genes=20, seed=5)
    pixels = np.asarray(pyramid(unseen, "S1_full_image").levels[0])
    path = tmp_path_factory.mktemp("cli-image") / "biopsy.tif"
    tifffile.imwrite(path, np.moveaxis(pixels, 0, -1), tile=(128, 128))
    return path


def test_an_image_file_becomes_a_map(finished, biopsy, tmp_path):
    out, _ = finished
    gene = json.loads((out / "manifest.json").read_text())["genes"][0]
    target = tmp_path / "map.zarr"
    result = call("predict", out, biopsy, "--mpp", 2, "--spacing", 0.5, "--genes", gene, "--out", target)
    assert f"map: {tmp_path / 'map.png'}" in result.stdout
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    sdata = sd.read_zarr(target)
    assert list(sdata.tables) == ["biopsy_grid_table"]
    assert np.isfinite(sdata["biopsy_grid_table"].layers["predicted"]).all()
    assert sdata.attrs["spatialhist"]["slides"]["biopsy_grid"]["pitch_px"] == pytest.approx(25)
    assert "biopsy: spots 0, predicted spots" in call("info", target).stdout
    call("predict", out, target, "--key-added", "again")
    assert layer_names(sd.read_zarr(target)["biopsy_grid_table"]) == ["again"]


def test_predictions_of_an_image_file_go_beside_it(finished, biopsy):
    out, _ = finished
    result = call("predict", out, biopsy, "--mpp", 2, "--spacing", 2)
    assert f"layer 'predicted' of {biopsy.with_suffix('.zarr')}" in result.stdout
    assert list(sd.read_zarr(biopsy.with_suffix(".zarr")).tables) == ["biopsy_grid_table"]


def test_a_shipped_model_is_named_like_a_folder(biopsy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "map.zarr"
    result = call("predict", "her2st", biopsy, "--mpp", 2, "--spacing", 2, "--genes", "ERBB2", "--out", target)
    assert f"map: {tmp_path / 'map.png'}" in result.stdout
    table = sd.read_zarr(target)["biopsy_grid_table"]
    assert table.var.loc["ERBB2", "predicted_verdict"] == "weak"
    assert "trained on" in call("info", "her2st").stdout
    # a folder of the user's that is no run, for instance of slides, does not hide it; a run does
    (tmp_path / "her2st").mkdir()
    assert "trained on" in call("info", "her2st").stdout
    (tmp_path / "her2st" / "manifest.json").write_text("{}")
    assert "her2st" in refused("info", "her2st")


def test_a_map_is_wide_enough_to_be_shown(finished, biopsy, tmp_path):
    from PIL import Image

    out, _ = finished
    gene = json.loads((out / "manifest.json").read_text())["genes"][0]
    call("predict", out, biopsy, "--mpp", 2, "--spacing", 2, "--genes", gene, "--out", tmp_path / "map.zarr")
    with Image.open(tmp_path / "map.png") as drawn:
        assert drawn.width >= 1600
        edges = np.asarray(drawn.convert("L"), dtype=int)
    assert min(edges[0].min(), edges[-1].min(), edges[:, 0].min(), edges[:, -1].min()) > 250


def test_a_folder_that_cannot_be_written_is_refused(biopsy, monkeypatch):
    from spatialhist.cli._steps import store_of

    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="may not be written to: name the store to write with --out"):
        store_of(biopsy)


def test_genes_that_are_asked_for_are_in_every_panel(store, tmp_path):
    gene = sd.read_zarr(store)["table"].var_names[-1]
    call("run", store, "--out", tmp_path / "r", "--model", "ridge", "--n-genes", 2, "--genes", gene, "--workers", 1)
    assert gene in json.loads((tmp_path / "r" / "manifest.json").read_text())["genes"]
    layer = sd.read_zarr(tmp_path / "r" / "data.zarr")["table"][:, gene].layers["oof_ridge"]
    assert np.isfinite(layer).all()


def test_a_number_that_is_no_gene_is_the_size_of_the_panel(store):
    from spatialhist.cli._steps import count_and_names

    sdata = sd.read_zarr(store)
    gene = sdata["table"].var_names[0]
    assert count_and_names(sdata, 250, ["8", gene]) == (8, [gene])
    assert count_and_names(sdata, 250, ["0", gene, "NONE"]) == (250, ["0", gene, "NONE"])
    table = sdata["table"]
    table.var_names = ["8", *table.var_names[1:]]
    assert count_and_names(sdata, 250, ["8"]) == (250, ["8"])


def test_an_image_file_is_refused_with_a_reason(finished, biopsy, store, tmp_path):
    out, _ = finished
    assert "does not say its scale: pass --mpp" in refused("predict", out, biopsy, "--out", tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()
    assert "genes ['NONE'] are not predicted by" in refused(
        "predict", out, biopsy, "--mpp", 2, "--genes", "NONE", "--out", tmp_path / "m.zarr"
    )
    assert "mpp is for image files" in refused("predict", out, store, "--mpp", 2, "--out", tmp_path / "m.zarr")


def test_results_for_programs(finished, store):
    out, _ = finished
    result = call("run", store, "--out", out, "--model", "ridge", "--n-genes", 5, "--workers", 1, "--json")
    facts = json.loads(result.stdout)
    assert facts["report"] == str(out / "report.html")
    scores = {row["predictor"]: row for row in facts["scores"]}
    assert scores["ridge"]["kind"] == "model"
    assert -1 <= scores["ridge"]["mean"] <= 1


def test_predictions_for_programs(finished, store, tmp_path):
    out, _ = finished
    result = call("predict", out, store, "--out", tmp_path / "new.zarr", "--json")
    found = json.loads(result.stdout)
    verdicts = found.pop("genes")
    assert found == {"store": str(tmp_path / "new.zarr"), "layer": "predicted", "maps": []}
    assert list(verdicts) == ["reliable", "weak", "unreliable"]
    assert sum(verdicts.values()) == len(sh.tl.gene_reliability(out))


def test_info_says_what_a_model_is_worth(finished):
    out, _ = finished
    facts = json.loads(call("info", out, "--json").stdout)
    assert {"ridge", "baseline_mean", "noise_ceiling"} <= set(facts["scores"])
    assert sum(facts["verdicts"].values()) == facts["genes"]
    assert "predicts: log1p" in call("info", out).stdout


def test_a_run_of_few_groups_says_why_it_has_no_intervals(finished):
    out, result = finished
    assert "no intervals: level=0.8 needs residuals of at least 4 groups besides the evaluated one" in result.stdout
    made = sh.io.read(out / "data.zarr")["table"].uns["spatialhist"]
    assert "needs residuals of at least 4 groups" in made["calibrate"]["reason"]
    assert "needs residuals of at least 4 groups" in (out / "report.html").read_text()


@pytest.mark.parametrize("command", ["run", "predict", "demo", "info"])
def test_help_ends_with_every_option_and_teaches(command):
    text = call(command, "--help").stdout
    assert "--json" in text
    assert command in ("demo", "info") or f"spatialhist {command} " in text


def test_values_are_completed():
    for option, values in (("--layer", LAYERS), ("--groups", ["auto", "patient", "slide"])):
        done = CliRunner().invoke(
            app,
            [],
            prog_name="spatialhist",
            env={
                "_SPATIALHIST_COMPLETE": "complete_bash",
                "COMP_WORDS": f"spatialhist run data {option} ",
                "COMP_CWORD": "4",
            },
        )
        assert done.stdout.split() == values


def test_a_store_in_a_folder_that_zarr_takes_for_a_chain(tmp_path):
    from spatialhist.cli._steps import read_or_open

    sh.datasets.synthetic(n_slides=1, size_px=(200, 260), n_genes=5).write(tmp_path / "data.zarr")
    store = tmp_path / "a::b" / "data.zarr"
    for _ in ("reads", "opens"):
        assert read_or_open(tmp_path / "data.zarr", store, None)["table"].n_vars == 5
    assert sorted(p.name for p in store.parent.iterdir()) == ["data.zarr"]
