from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import FAST
from spatialdata.transformations import get_transformation

import spatialhist as sh
from spatialhist.datasets import synthetic

SMALL = {"n_slides": 3, "n_patients": 2, "size_px": (400, 550), "n_genes": 60}


@pytest.fixture(scope="module")
def cohort() -> sd.SpatialData:
    return synthetic(**SMALL, seed=1)


@pytest.fixture(scope="module")
def noise() -> sd.SpatialData:
    return synthetic(**SMALL, signal=0.0, seed=1)


def pixels(sdata: sd.SpatialData, slide: str) -> np.ndarray:
    return sdata[f"{slide}_full_image"]["scale0"]["image"].to_numpy()


def truth(sdata: sd.SpatialData) -> dict:
    return sdata.attrs["spatialhist"]["truth"]


def correlations(sdata: sd.SpatialData, cell_type: str) -> np.ndarray:
    """Of log counts per total with the share of nuclei, for the well expressed markers of a cell type."""
    table, known = sdata["table"], truth(sdata)
    kind = known["cell_types"].index(cell_type)
    counts, nuclei = table.X.toarray(), table.obsm["true_composition"]
    marker = (table.varm["true_signature"].argmax(axis=1) == kind) & ~table.var_names.isin(known["control_genes"])
    chosen = np.flatnonzero(marker & (counts.mean(axis=0) > 2))
    on = nuclei.sum(axis=1) > 0
    assert len(chosen) > 1
    log1p = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[on]
    share = nuclei[on, kind] / nuclei[on].sum(axis=1)
    return np.array([np.corrcoef(log1p[:, g], share)[0, 1] for g in chosen])


def test_elements_follow_the_data_contract(cohort: sd.SpatialData) -> None:
    assert list(cohort.shapes) == ["S1", "S2", "S3"]
    assert set(cohort.images) == {"S1_full_image", "S2_full_image", "S3_full_image"}
    image = cohort["S2_full_image"]["scale0"]["image"]
    assert image.dims == ("c", "y", "x") and image.shape == (3, 550, 400) and image.dtype == np.uint8
    assert image.coords["c"].to_numpy().tolist() == ["r", "g", "b"]
    assert set(get_transformation(cohort["S2"], get_all=True)) == {"S2"}
    assert cohort.attrs["spatialhist"]["slides"]["S3"] == {"mpp": 2.0, "pitch_px": 50.0, "spot_diameter_px": 27.5}


def test_table_annotates_the_spots(cohort: sd.SpatialData) -> None:
    table = cohort["table"]
    assert table.obs["region"].astype(str).unique().tolist() == ["S1", "S2", "S3"]
    assert dict(zip(table.obs["region"], table.obs["patient"], strict=True)) == {"S1": "P1", "S2": "P1", "S3": "P2"}
    assert table.obs["measured"].all()
    assert set(table.uns["spatial"]) == {"S1", "S2", "S3"}
    for slide in cohort.shapes:
        rows = (table.obs["region"] == slide).to_numpy()
        assert table.obs["spot_id"][rows].tolist() == cohort[slide].index.tolist()
        centers = np.column_stack([cohort[slide].geometry.x, cohort[slide].geometry.y])
        np.testing.assert_array_equal(table.obsm["spatial"][rows], centers)


def test_counts_are_counts_of_known_genes(cohort: sd.SpatialData) -> None:
    table = cohort["table"]
    assert {"ERBB2", "EPCAM", "COL1A1", "CD3E", "PECAM1", "ADIPOQ", "ACTB"} <= set(table.var_names)
    assert table.var_names.is_unique and table.n_vars == 60
    assert (table.X.data == np.rint(table.X.data)).all() and table.X.min() >= 0
    mean, variance = table.X.toarray().mean(axis=0), table.X.toarray().var(axis=0)
    assert (variance > mean).mean() > 0.9


@pytest.mark.parametrize("cell_type", ["tumor", "fibroblast", "lymphocyte"])
def test_markers_follow_their_cells(cohort: sd.SpatialData, cell_type: str) -> None:
    assert correlations(cohort, cell_type).mean() > 0.5


@pytest.mark.parametrize("cell_type", ["tumor", "fibroblast", "lymphocyte"])
def test_without_signal_markers_follow_nothing(noise: sd.SpatialData, cell_type: str) -> None:
    assert abs(correlations(noise, cell_type).mean()) < 0.1


def test_glass_spots_are_poor_and_few(cohort: sd.SpatialData) -> None:
    total = np.asarray(cohort["table"].X.sum(axis=1)).ravel()
    glass = cohort["table"].obsm["true_composition"].sum(axis=1) == 0
    assert 0 < glass.mean() < 0.3
    assert np.median(total[glass]) < 0.15 * np.median(total[~glass])


def test_without_signal_glass_spots_are_as_rich_as_others(noise: sd.SpatialData) -> None:
    total = np.asarray(noise["table"].X.sum(axis=1)).ravel()
    glass = noise["table"].obsm["true_composition"].sum(axis=1) == 0
    assert np.median(total[glass]) == pytest.approx(np.median(total[~glass]), rel=0.3)


def test_every_second_slide_is_misplaced_as_the_truth_says(cohort: sd.SpatialData) -> None:
    table = cohort["table"]
    moved = table.obsm["spatial"] - table.obsm["true_spatial"]
    for slide, known in truth(cohort)["slides"].items():
        rows = (table.obs["region"] == slide).to_numpy()
        np.testing.assert_allclose(moved[rows], np.tile(known["offset_px"], (rows.sum(), 1)), atol=1e-9)
    offsets = [np.linalg.norm(known["offset_px"]) for known in truth(cohort)["slides"].values()]
    assert offsets[0] == offsets[2] == 0 and 20 <= offsets[1] <= 50


def test_same_seed_same_bytes(cohort: sd.SpatialData) -> None:
    again = synthetic(**SMALL, seed=1)
    for slide in cohort.shapes:
        assert pixels(again, slide).tobytes() == pixels(cohort, slide).tobytes()
    assert again["table"].X.toarray().tobytes() == cohort["table"].X.toarray().tobytes()
    assert again["table"].obsm["spatial"].tobytes() == cohort["table"].obsm["spatial"].tobytes()
    assert truth(again) == truth(cohort)


def test_other_seeds_slides_and_patients_differ(cohort: sd.SpatialData) -> None:
    other = synthetic(**SMALL, seed=2)
    assert (pixels(other, "S1") != pixels(cohort, "S1")).mean() > 0.3
    assert (pixels(cohort, "S1") != pixels(cohort, "S2")).mean() > 0.3
    assert not np.array_equal(other["table"].varm["true_signature"], cohort["table"].varm["true_signature"])


def test_a_slide_does_not_change_when_the_cohort_grows() -> None:
    tiny = {"size_px": (300, 520), "n_genes": 8}
    one, two = synthetic(n_slides=1, **tiny), synthetic(n_slides=2, n_patients=2, **tiny)
    np.testing.assert_array_equal(pixels(one, "S1"), pixels(two, "S1"))


def test_survives_a_round_trip_through_zarr(cohort: sd.SpatialData, tmp_path: Path) -> None:
    cohort.write(tmp_path / "cohort.zarr", update_sdata_path=False)
    back = sd.read_zarr(tmp_path / "cohort.zarr")
    np.testing.assert_array_equal(pixels(back, "S2"), pixels(cohort, "S2"))
    assert truth(back) == truth(cohort)
    for name in ("true_spatial", "true_composition"):
        np.testing.assert_array_equal(back["table"].obsm[name], cohort["table"].obsm[name])
    np.testing.assert_array_equal(back["table"].varm["true_signature"], cohort["table"].varm["true_signature"])


def test_truth_is_plain_json(cohort: sd.SpatialData) -> None:
    assert json.loads(json.dumps(truth(cohort))) == truth(cohort)


# ----------------------------------------------------------------------------------------------------------------------
# bins of Visium HD and cells of Xenium

FINE = {"n_slides": 3, "n_patients": 3, "size_px": (280, 360), "n_genes": 60, "seed": 1}
OTHERS = ("visium_hd", "xenium")


@pytest.fixture(scope="module")
def fine() -> dict[str, sd.SpatialData]:
    """Make each platform once, pooled to 55 um."""
    made = {platform: synthetic(**FINE, platform=platform) for platform in OTHERS}
    for sdata in made.values():
        sh.pp.pool_spots(sdata, ("um", 55))
    return made


@pytest.mark.parametrize("platform", OTHERS)
def test_tissue_and_truth_are_those_of_the_spots(fine: dict, platform: str) -> None:
    spots = synthetic(**FINE, max_offset=0.1)
    for slide in ("S1", "S2", "S3"):
        np.testing.assert_array_equal(full(fine[platform], slide), full(spots, slide))
    assert truth(fine[platform]) == truth(spots)
    shares = [s["table"][:, spots["table"].var_names].varm["true_signature"] for s in (fine[platform], spots)]
    np.testing.assert_array_equal(*shares)


def full(sdata: sd.SpatialData, slide: str) -> np.ndarray:
    image = sdata[f"{slide}_full_image"]
    return (image["scale0"]["image"] if hasattr(image, "children") else image).to_numpy()


@pytest.mark.parametrize("platform", OTHERS)
def test_positions_are_off_as_the_truth_says(fine: dict, platform: str) -> None:
    table = fine[platform]["table"]
    moved = table.obsm["spatial"] - table.obsm["true_spatial"]
    for slide, known in truth(fine[platform])["slides"].items():
        rows = (table.obs["region"] == slide).to_numpy()
        np.testing.assert_allclose(moved[rows], np.tile(known["offset_px"], (rows.sum(), 1)), atol=1e-9)
    assert 2 <= np.linalg.norm(truth(fine[platform])["slides"]["S2"]["offset_px"]) <= 5


@pytest.mark.parametrize("platform", OTHERS)
def test_pooled_counts_follow_the_truth(fine: dict, platform: str) -> None:
    """Expected from the nuclei under each spot and the known signatures, gene by gene within each slide."""
    pooled = fine[platform]["pooled"]
    rna = nuclei(pooled) * np.array([1.5, 1.2, 1.0, 0.6, 1.0, 4.0])
    expected, counts = rna @ pooled.varm["true_signature"].T, pooled.X.toarray()
    for slide in pooled.obs["region"].unique():
        rows = (pooled.obs["region"] == slide).to_numpy() & (rna.sum(axis=1) > 5)
        known = [np.corrcoef(expected[rows, g], counts[rows, g])[0, 1] for g in range(60) if counts[rows, g].mean() > 3]
        assert len(known) > 15 and np.median(known) > 0.6
        assert np.corrcoef(rna[rows].sum(axis=1), counts[rows].sum(axis=1))[0, 1] > 0.7


def nuclei(table: ad.AnnData) -> np.ndarray:
    return table.obsm["true_composition"] * table.obs["n_pooled"].to_numpy()[:, None]


def test_pooled_bins_have_the_counts_of_spots(fine: dict) -> None:
    spots, pooled = synthetic(**FINE, pitch_um=60.0)["table"], fine["visium_hd"]["pooled"]
    spots.obs["n_pooled"] = 1
    area = 55**2 * np.sqrt(3) / 2 / (np.pi * 27.5**2)
    totals = {}
    for name, table, least in (("spots", spots, 7), ("pooled", pooled, 7 * area)):
        under = nuclei(table)
        on = under.sum(axis=1) > least
        totals[name] = np.asarray(table.X.sum(axis=1)).ravel()[on], under[on] @ [1.5, 1.2, 1.0, 0.6, 1.0, 4.0]
    for q in (0.25, 0.5, 0.75):
        quantiles = [np.quantile(totals[name][0], q) for name in ("spots", "pooled")]
        assert quantiles[1] == pytest.approx(area * quantiles[0], rel=0.2)
    spread = [np.std(np.log(counts / rna)) for counts, rna in totals.values()]
    assert spread[1] == pytest.approx(spread[0], rel=0.2)


@pytest.mark.parametrize("platform", OTHERS)
def test_same_seed_same_bytes_on_every_platform(platform: str) -> None:
    small = {"n_slides": 1, "size_px": (160, 220), "n_genes": 8, "platform": platform}
    one, two, other = synthetic(**small, seed=5), synthetic(**small, seed=5), synthetic(**small, seed=6)
    assert digest(one) == digest(two) != digest(other)


def digest(sdata: sd.SpatialData) -> str:
    table = sdata["table"]
    points = [p.compute().to_csv() for p in sdata.points.values()]
    shapes = [s.to_wkt().to_csv() for s in sdata.shapes.values()]
    parts = [full(sdata, "S1").tobytes(), table.X.toarray().tobytes(), table.obs.to_csv(), *points, *shapes]
    return "".join(str(part) for part in parts)


@pytest.mark.parametrize(
    ("platform", "table"),
    [
        ("visium_hd", "pooled"),
        ("xenium", "table"),
        pytest.param("visium_hd", "table", marks=pytest.mark.slow),
        pytest.param("xenium", "pooled", marks=pytest.mark.slow),
    ],
)
def test_every_step_takes_it(platform: str, table: str, tmp_path: Path) -> None:
    bins = {"visium_hd": {"bin_um": 16}, "xenium": {"depth": 300.0}}[platform]
    sdata, key = synthetic(**(FINE | {"size_px": (160, 220)}), platform=platform, **bins), {"table_key": table}
    sh.pp.mask_background(sdata)
    if table == "pooled":
        sh.pp.pool_spots(sdata, ("um", 40))
    sh.pp.realign(sdata, **key)
    sh.pp.filter_spots(sdata, min_counts=5, **key)
    sh.pp.log_normalize(sdata, **key)
    views = {"extents": [("um", 30.0), ("um", 60.0)], "tile_extent": ("um", 40.0)}
    options = FAST | views
    cv = sh.tl.cross_validate(sdata, models="ridge", genes=8, groups="patient", out=tmp_path / "run", **options, **key)
    sh.tl.predict(sdata, cv, encoder=FAST["encoder"], progress=False, **key)
    summary = sh.tl.summarize(sh.tl.evaluate(sdata, min_counts=5, **key))
    assert summary.loc["ridge", "mean"] > 0.1


def test_outlines_and_transcripts_are_stored_with_their_slide(fine: dict, tmp_path: Path) -> None:
    sdata = fine["xenium"].subset(["S2", "S2_full_image", "S2_cell_boundaries", "S2_transcripts", "table"])
    sdata.write(tmp_path / "cohort.zarr")
    again = sh.io.read(tmp_path / "cohort.zarr")
    assert truth(again) == truth(fine["xenium"])
    assert again.shapes["S2_cell_boundaries"].equals(fine["xenium"].shapes["S2_cell_boundaries"])
    stored, made = (s.points["S2_transcripts"].compute() for s in (again, fine["xenium"]))
    assert stored["feature_name"].astype(str).equals(made["feature_name"].astype(str))
    np.testing.assert_array_equal(stored[["x", "y", "qv", "cell_id"]], made[["x", "y", "qv", "cell_id"]])


def test_a_slide_has_about_as_many_bins_as_are_asked_for() -> None:
    sdata = synthetic(1, platform="visium_hd", n_bins=20_000, bin_um=4, size_px=(300, 200), n_genes=4, seed=2)
    assert sdata["table"].n_obs == pytest.approx(20_000, rel=0.15)
    _, height, width = full(sdata, "S1").shape
    assert width / height == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_slides": 0}, "0 slides of 0 patients"),
        ({"n_slides": 2, "n_patients": 3}, "2 slides of 3 patients"),
        ({"n_genes": 3}, "n_genes is 3"),
        ({"signal": 1.5}, "signal is 1.5"),
        ({"mpp": 0.0}, "mpp is 0.0"),
        ({"size_px": (1000, 100)}, "less than 3 spot spacings"),
        ({"platform": "visium-hd"}, r"platform='visium-hd' is not one of \['visium', 'visium_hd', 'xenium'\]"),
        ({"platform": "visium_hd", "bin_um": 0}, "bin_um is 0: it must be positive"),
        ({"platform": "visium_hd", "bin_um": 0, "n_bins": 10}, "n_bins is 10 and bin_um 0"),
        ({"platform": "visium_hd", "n_bins": 10}, "less than 3 spot spacings: enlarge size_px, or n_bins"),
        ({"n_bins": 1000}, "n_bins=1000 is for platform='visium_hd', not for 'visium'"),
    ],
)
def test_arguments_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic(**options)
