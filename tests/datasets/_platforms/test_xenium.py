from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
import spatialdata as sd
from small_xenium import PIXEL_SIZE, write_alignment, write_experiment, write_image
from spatialdata.transformations import get_transformation
from visium_hd_folders import write_matrix

import spatialhist as sh
from spatialhist._sdata.images import levels_of


@pytest.fixture(scope="module")
def made() -> sd.SpatialData:
    return sh.datasets.synthetic(2, platform="xenium", size_px=(160, 220), n_genes=8, seed=4)


def write_outs(folder: Path, sdata: sd.SpatialData, slide: str) -> Path:
    """Write a simulated slide as Xenium would, with its H&E image."""
    folder.mkdir(parents=True)
    write_experiment(folder)
    table = sdata["table"][(sdata["table"].obs["region"] == slide).to_numpy()]
    cells = table.obs[["transcript_counts", "cell_area", "nucleus_area"]].reset_index(drop=True)
    x, y = table.obsm["spatial"].T * 2.0
    cells = cells.assign(cell_id=table.obs["spot_id"].to_numpy(), x_centroid=x, y_centroid=y)
    cells.to_parquet(folder / "cells.parquet")
    ids = [str(i) for i in cells["cell_id"]]
    write_matrix(folder / "cell_feature_matrix.h5", ids, table.X.toarray(), tuple(table.var_names))
    spots = sdata.points[f"{slide}_transcripts"].compute().rename(columns={"x": "x_location", "y": "y_location"})
    spots.attrs = {}
    spots.assign(feature_name=spots["feature_name"].astype(str)).to_parquet(folder / "transcripts.parquet")
    write_image(folder, np.moveaxis(np.asarray(levels_of(sdata[f"{slide}_full_image"])[0]), 0, -1))
    write_alignment(folder / "S_he_imagealignment.csv", np.diag([2.0 / PIXEL_SIZE, 2.0 / PIXEL_SIZE, 1.0]))
    return folder


def test_cells_are_what_the_reader_makes_of_such_files(made, tmp_path):
    read = sh.io.concat(
        [
            sh.io.read_xenium(write_outs(tmp_path / s, made, s), spots="cells", slide=s, patient="P1")
            for s in ("S1", "S2")
        ]
    )
    ours, theirs = made["table"], read["table"]
    pd.testing.assert_frame_equal(ours.obs, theirs.obs, check_dtype=False, check_categorical=False)
    assert list(ours.var_names) == list(theirs.var_names)
    np.testing.assert_array_equal(ours.X.toarray(), theirs.X.toarray())
    np.testing.assert_allclose(ours.obsm["spatial"], theirs.obsm["spatial"])
    for slide in ("S1", "S2"):
        np.testing.assert_allclose(made.shapes[slide]["radius"], read.shapes[slide]["radius"])
        known, found = (s.attrs["spatialhist"]["slides"][slide] for s in (made, read))
        assert set(known) == set(found) and set(known["xenium"]) == set(found["xenium"])
        np.testing.assert_allclose(known["xenium"]["alignment"], found["xenium"]["alignment"])
        assert known["mpp"] == pytest.approx(found["mpp"]) and known["pitch_px"] == pytest.approx(found["pitch_px"])


def test_spots_that_the_reader_counts_hold_every_transcript_of_good_quality(made, tmp_path):
    folder = write_outs(tmp_path / "S2", made, "S2")
    spots = sh.io.read_xenium(folder, spots=("um", 55), slide="S2")
    drawn = made.points["S2_transcripts"].compute()
    good = drawn[drawn["qv"] >= 20]
    assert spots["table"].X.sum() == len(good)
    assert spots.attrs["spatialhist"]["slides"]["S2"]["xenium"]["low_quality"] == len(drawn) - len(good)
    in_cells = good["cell_id"] != -1
    assert made.attrs["spatialhist"]["slides"]["S2"]["xenium"]["counted"] == in_cells.sum() < len(good)


def test_transcripts_name_the_cell_whose_outline_they_lie_in(made):
    drawn = made.points["S2_transcripts"].compute()
    outlines = made.shapes["S2_cell_boundaries"].geometry
    to_pixels = get_transformation(made.points["S2_transcripts"], "S2").to_affine_matrix(("x", "y"), ("x", "y"))
    inside = drawn[drawn["cell_id"] != -1].iloc[::20]
    xy = inside[["x", "y"]].to_numpy() @ to_pixels[:2, :2].T + to_pixels[:2, 2]
    assert shapely.contains_xy(outlines.loc[inside["cell_id"]].to_numpy(), *xy.T).mean() > 0.999
    counted = drawn[(drawn["cell_id"] != -1) & (drawn["qv"] >= 20)]
    rows = (made["table"].obs["region"] == "S2").to_numpy()
    table = made["table"][rows].to_df().set_axis(made["table"].obs["spot_id"][rows], axis=0)
    expected = pd.crosstab(counted["cell_id"], counted["feature_name"])
    np.testing.assert_array_equal(table.loc[expected.index, expected.columns], expected)
    assert table.to_numpy().sum() == len(counted)
    assert (outlines.index == made.shapes["S2"].index).all()
