"""What must not matter does not: order and names of spots and slides, where an image begins, how often a step is done."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import spatialdata as sd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort, draw_image, lattice

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask
from spatialhist.pp._expression.ranks import rank_rows
from spatialhist.tl import Ridge

FEW = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
RIDGE = Ridge(components=6)


def parts(
    n: int = 3, *, names: list[str] | None = None, orders: list[np.ndarray] | None = None
) -> list[sd.SpatialData]:
    """Slides whose spots may come in another order and whose names may differ; pixels and counts are always the same."""
    xy, made = lattice(), []
    for i in range(n):
        rng = np.random.default_rng(i)
        image, order = draw_image(rng), np.arange(len(xy)) if orders is None else orders[i]
        counts = rng.poisson(8, (len(xy), 6)) + image[0][xy[:, 1].astype(int), xy[:, 0].astype(int)][:, None] // 20
        made.append(
            build_slide(
                image,
                xy[order],
                csr_matrix(counts[order].astype(np.float32)),
                slide=names[i] if names else f"S{i + 1}",
                genes=list("ABCDEF"),
                spot_ids=np.arange(len(xy))[order],
                patient=f"P{i}",
                mpp=2.0,
            )  # fmt: skip
        )
    return made


def predictions(made: list[sd.SpatialData]) -> dict[tuple[str, int], np.ndarray]:
    """Out-of-fold predictions by patient and spot id."""
    sdata = concat_slides(made)
    for slide in sdata["table"].obs["region"].unique():
        add_mask(sdata, np.ones((50, 65), dtype=bool), image=f"{slide}_full_image")
    sh.pp.log_normalize(sdata)
    sh.tl.cross_validate(sdata, models=RIDGE, genes=4, groups="patient", **FAST)
    obs, values = sdata["table"].obs, sdata["table"].layers["oof"]
    return dict(zip(zip(obs["patient"].astype(str), obs["spot_id"], strict=True), values, strict=True))


def assert_same(ours: dict, theirs: dict, **tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for key, values in ours.items():
        np.testing.assert_allclose(values, theirs[key], **{"rtol": 1e-4, "atol": 1e-5} | tolerance, err_msg=str(key))


@pytest.fixture(scope="module")
def as_it_is():
    return predictions(parts())


@settings(FEW, max_examples=2)
@given(seed=st.integers(0, 1000))
def test_the_order_of_spots_permutes_predictions(as_it_is, seed):
    rng = np.random.default_rng(seed)
    assert_same(predictions(parts(orders=[rng.permutation(96) for _ in range(3)])), as_it_is)


@settings(FEW, max_examples=2)
@given(order=st.permutations([0, 1, 2]))
def test_the_order_of_slides_changes_nothing(as_it_is, order):
    made = parts()
    assert_same(predictions([made[i] for i in order]), as_it_is)


@settings(FEW, max_examples=2)
@given(
    names=st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,5}", fullmatch=True), min_size=3, max_size=3, unique=True)
)
def test_the_names_of_slides_change_nothing(as_it_is, names):
    if len({n.lower() for n in names}) == 3 and "table" not in names:
        assert_same(predictions(parts(names=names)), as_it_is)


@FEW
@given(dx=st.integers(0, 90), dy=st.integers(0, 70), extent=st.floats(6, 40), pixels=st.integers(4, 24))
def test_an_image_moved_with_its_spots_gives_the_same_tiles(dx, dy, extent, pixels):
    image, xy = draw_image(np.random.default_rng(1)), lattice() + 0.25
    inside = (xy > 30).all(axis=1) & (xy < [220, 160]).all(axis=1)
    wide = np.full((3, 200 + dy, 260 + dx), 7, dtype=np.uint8)
    wide[:, dy:, dx:] = image
    spec, tiles = sh.tiles.TileSpec(("px", extent), pixels, grid=1), []
    for pixels_, points in ((image, xy[inside]), (wide, xy[inside] + [dx, dy])):
        sdata = sh.io.from_arrays(np.moveaxis(pixels_, 0, -1), points)
        tiles.append(sh.tiles.TileDataset(sdata, spec)[list(range(len(points)))]["tile"].numpy())
    np.testing.assert_array_equal(*tiles)


@FEW
@given(
    seed=st.integers(0, 10**6),
    method=st.sampled_from(["average", "min", "dense", "ordinal"]),
    scale=st.sampled_from(["raw", "unit", "normal"]),
    transform=st.sampled_from([np.sqrt, np.log1p, lambda v: 3 * v + 1, lambda v: v**3]),
)
def test_ranks_do_not_change_under_monotone_transforms(seed, method, scale, transform):
    counts = np.random.default_rng(seed).poisson(2, (7, 11)).astype(np.float64)
    np.testing.assert_array_equal(
        rank_rows(counts, method=method, scale=scale), rank_rows(transform(counts), method=method, scale=scale)
    )


@pytest.mark.parametrize("model", ["translation", "rigid"])
def test_realigning_a_realigned_slide_is_the_identity(model):
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(500, 700), n_genes=10, seed=3)
    sh.pp.realign(sdata, model=model)
    once, attrs = sdata["table"].obsm["spatial"].copy(), copy.deepcopy(sdata.attrs)
    sh.pp.realign(sdata, model=model)
    np.testing.assert_array_equal(sdata["table"].obsm["spatial"], once)
    assert sdata.attrs == attrs


@settings(FEW, max_examples=3)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(5, 40),
    width=st.integers(5, 40),
    text=st.booleans(),
    patient=st.one_of(
        st.none(), st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
    ),
)
def test_what_is_written_is_read(tmp_path_factory, seed, height, width, text, patient):
    rng = np.random.default_rng(seed)
    n, genes = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    ids = [f"s{i}" for i in rng.permutation(n)] if text else rng.permutation(n).tolist()
    made = sh.io.from_arrays(
        rng.integers(0, 255, (height, width, 3), dtype=np.uint8), rng.uniform(0, 1, (n, 2)), rng.poisson(3, (n, genes)),
        slide="S.1-a", patient=patient, mpp=0.5, spot_ids=ids,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("read") / "a.zarr"
    made.write(path)
    back = sh.io.read(path)
    assert back.attrs == made.attrs
    np.testing.assert_array_equal(np.asarray(back["S.1-a_full_image"].data), np.asarray(made["S.1-a_full_image"].data))
    np.testing.assert_array_equal(back["table"].X, made["table"].X)
    assert [str(i) for i in back["table"].obs["spot_id"]] == [str(i) for i in ids]
    assert list(back["table"].obs.get("patient", [None]))[0] == patient
    assert (
        back.shapes["S.1-a"].geometry.to_wkb().to_numpy() == made.shapes["S.1-a"].geometry.to_wkb().to_numpy()
    ).all()


def test_one_spot_one_gene_and_a_constant_gene_are_borne():
    sdata = draw_cohort(3, n_genes=2, n_slides=3)
    table = sdata["table"]
    table.layers["log1p"] = table.layers["log1p"].toarray()
    table.layers["log1p"][:, 1] = 2.0
    sh.tl.cross_validate(sdata, models=RIDGE, genes=["G1"], groups="patient", **FAST)
    np.testing.assert_allclose(table.layers["oof"][:, 1], 2.0, atol=1e-4)
    scores = sh.tl.evaluate(sdata, layers=["oof"], oracles=False)
    assert scores.query("metric == 'pearson' and slide != 'all'")["value"].isna().all()
