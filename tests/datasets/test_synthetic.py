from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spatialdata as sd
from spatialdata.transformations import get_transformation

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_slides": 0}, "0 slides of 0 patients"),
        ({"n_slides": 2, "n_patients": 3}, "2 slides of 3 patients"),
        ({"n_genes": 3}, "n_genes is 3"),
        ({"signal": 1.5}, "signal is 1.5"),
        ({"mpp": 0.0}, "mpp is 0.0"),
        ({"size_px": (1000, 100)}, "less than 3 spot spacings"),
    ],
)
def test_arguments_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic(**options)
