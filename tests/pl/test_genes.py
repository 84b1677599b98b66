from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh
from spatialhist._sdata.layers import record


def values_of(sdata, slide, gene, layer):
    table = sdata["table"][(sdata["table"].obs["region"] == slide).to_numpy(), [gene]]
    values = table.layers[layer]
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values).ravel()


def drawn(ax):
    return np.ma.filled(np.ma.asarray(ax.collections[0].get_array(), dtype=float), np.nan)


@pytest.fixture
def own(cohort):
    """A cohort of the test's own, to be changed."""
    import spatialdata as sd

    return sd.SpatialData(shapes=dict(cohort.shapes), tables={"table": cohort["table"].copy()}, attrs=cohort.attrs)


def test_panels_show_the_layers(cohort):
    genes = ["ERBB2", cohort["table"].var_names[5]]
    axes = sh.pl.genes(cohort, genes, slides=["S3", "S1"])
    assert axes.shape == (2, 2, 2)
    for (i, j, k), ax in np.ndenumerate(axes):
        slide, layer = ("S3", "S1")[j], ("log1p", "predicted")[k]
        np.testing.assert_allclose(drawn(ax), values_of(cohort, slide, genes[i], layer), rtol=1e-6)
        name = " · log1p\nmeasured" if layer == "log1p" else "\npredicted, r = "
        assert ax.get_title(loc="left").startswith(f"{genes[i]} · {slide}{name}")


def test_measured_and_predicted_share_one_color_scale_per_gene(cohort):
    axes = sh.pl.genes(cohort, list(cohort["table"].var_names[:2]))
    limits = [{ax.collections[0].get_clim() for ax in row.flat} for row in axes]
    assert [len(found) for found in limits] == [1, 1]
    assert limits[0] != limits[1]
    gene = cohort["table"].var_names[0]
    np.testing.assert_allclose(limits[0].pop(), ends(cohort, gene, "log1p"), rtol=1e-5)


def ends(sdata, gene, *layers, slides=("S1", "S2", "S3")):
    """1st and 99th percentile of a gene in layers."""
    return np.percentile(
        np.concatenate([values_of(sdata, s, gene, layer) for s in slides for layer in layers]), (1, 99)
    )


def test_colors_span_what_was_measured_on_all_slides_and_usable_spots(own):
    own["table"].layers["predicted"] *= np.float32(0.01)
    own["table"].obs["spot_qc"] = ["few_counts" if slide == "S3" else "ok" for slide in own["table"].obs["region"]]
    axes = sh.pl.genes(own, "ERBB2", slides="S1", layers="predicted")
    clim = axes[0, 0, 0].collections[0].get_clim()
    np.testing.assert_allclose(clim, ends(own, "ERBB2", "log1p", slides=("S1", "S2")), rtol=1e-5)


def test_colors_of_a_slide_without_measurements_span_those_of_training(own):
    table = own["table"]
    table.obs["measured"] = False
    table.var["predicted_measured_low"], table.var["predicted_measured_high"] = -0.5, np.arange(table.n_vars) + 1.5
    axes = sh.pl.genes(own, table.var_names[3], slides="S1", layers="predicted")
    assert axes[0, 0, 0].collections[0].get_clim() == (-0.5, 4.5)


def test_colors_span_what_was_measured_here_and_in_training(own):
    own["table"].var["predicted_measured_low"], own["table"].var["predicted_measured_high"] = 0.01, 99.0
    axes = sh.pl.genes(own, "ERBB2", slides="S1")
    low, _ = ends(own, "ERBB2", "log1p")
    np.testing.assert_allclose(axes[0, 0, 0].collections[0].get_clim(), (min(low, 0.01), 99.0), rtol=1e-5)


def test_colors_can_span_what_is_shown(cohort):
    axes = sh.pl.genes(cohort, "ERBB2", slides="S2", layers="predicted", color_range="shown")
    clim = axes[0, 0, 0].collections[0].get_clim()
    np.testing.assert_allclose(clim, ends(cohort, "ERBB2", "predicted", slides=["S2"]), rtol=1e-5)


def test_z_scores_are_those_within_slide_and_layer(cohort):
    axes = sh.pl.genes(cohort, "ERBB2", slides=["S2", "S3"], color_range="zscore")
    for (j, k), ax in np.ndenumerate(axes[0]):
        values = values_of(cohort, ("S2", "S3")[j], "ERBB2", ("log1p", "predicted")[k])
        np.testing.assert_allclose(drawn(ax), (values - values.mean()) / values.std(), atol=1e-5)
    labels = [ax.get_ylabel() for ax in axes.flat[0].figure.axes if ax.get_label() == "<colorbar>"]
    assert labels == ["z-score within the slide"]


def test_a_gene_without_spread_has_z_scores_of_zero(own):
    own["table"].layers["predicted"][:] = 7
    axes = sh.pl.genes(own, "ERBB2", slides="S1", layers="predicted", color_range="zscore")
    assert (drawn(axes[0, 0, 0]) == 0).all()


def test_the_tissue_stands_beside_its_spots(cohort):
    with_tissue = sh.pl.genes(cohort, "ERBB2", slides=["S2", "S3"], layers="log1p")
    figure = with_tissue.flat[0].figure
    first = {ax.get_title(loc="left").split("\n")[0]: ax for ax in figure.axes}
    tissue, gene = first["H&E · S2"], first["ERBB2 · S2 · log1p"]
    assert tissue.get_position().x1 <= gene.get_position().x0
    factor = cohort["table"].uns["spatial"]["S2"]["scalefactors"]["tissue_hires_scalef"]
    np.testing.assert_allclose(np.array(tissue.get_xlim()) * factor, gene.get_xlim(), rtol=1e-6)
    np.testing.assert_allclose(np.array(tissue.get_ylim()) * factor, gene.get_ylim(), rtol=1e-6)
    assert len(tissue.images) == 1
    alone = sh.pl.genes(cohort, "ERBB2", slides="S2", layers="log1p", image=False)
    assert not any("H&E" in ax.get_title(loc="left") for ax in alone.flat[0].figure.axes)


def test_title_carries_the_verdict(own):
    table = own["table"]
    table.var["predicted_score"] = np.linspace(0.1, 0.9, table.n_vars)
    table.var["predicted_verdict"] = ["weak", None] * (table.n_vars // 2)
    axes = sh.pl.genes(own, list(table.var_names[2:4]), slides="S2")
    titles = [[ax.get_title(loc="left") for ax in row[0]] for row in axes]
    assert titles[0][1].endswith(f"\nweak (r = {table.var['predicted_score'].iloc[2]:.2f} held out)")
    assert not any("held out" in title for title in (titles[0][0], *titles[1]))


def test_title_of_a_model_that_nobody_evaluated(own):
    axes = sh.pl.genes(own, "ERBB2", slides="S2", layers="predicted")
    assert axes[0, 0, 0].get_title(loc="left").endswith("not evaluated")


def test_title_gives_the_correlation_within_the_slide(cohort):
    axes = sh.pl.genes(cohort, "ERBB2", slides="S2")
    truth, predicted = (values_of(cohort, "S2", "ERBB2", layer) for layer in ("log1p", "predicted"))
    assert f"r = {np.corrcoef(truth, predicted)[0, 1]:.2f}" in axes[0, 0, 1].get_title(loc="left")
    assert axes[0, 0, 0].get_title(loc="left").endswith("· log1p\nmeasured")


def test_title_says_how_many_spots_are_unlike_training(own):
    own["table"].obs["out_of_distribution"] = np.float32(0.5)
    own["table"].obs.loc[own["table"].obs["region"] == "S2", "out_of_distribution"] = np.float32(1.0)
    axes = sh.pl.genes(own, "ERBB2", slides=["S1", "S2"])
    said = [["of distribution" in ax.get_title(loc="left") for ax in slide] for slide in axes[0]]
    assert said == [[False, True], [False, True]]
    assert axes[0, 0, 1].get_title(loc="left").endswith("\n0% out of distribution")
    assert axes[0, 1, 1].get_title(loc="left").endswith("\n100% out of distribution")


def bars(figure):
    """Labels of color bars, from left to right."""
    figure.draw_without_rendering()
    found = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    return [ax.get_ylabel() for ax in sorted(found, key=lambda ax: ax.get_position().x0)]


def test_color_bar_names_the_units(cohort):
    axes = sh.pl.genes(cohort, "ERBB2", slides="S1", layers=("X", "log1p", "predicted"))
    assert bars(axes[0, 0, 0].figure) == ["counts", "log1p(CP10k)"]
    assert axes[0, 0, 0].collections[0].get_clim() != axes[0, 0, 1].collections[0].get_clim()


def test_spots_without_prediction_are_missing(own):
    values = own["table"].layers["predicted"]
    values[:4] = np.nan
    axes = sh.pl.genes(own, "ERBB2", slides="S1")
    assert np.isnan(drawn(axes[0, 0, 1])[:4]).all()
    assert np.isfinite(drawn(axes[0, 0, 1])[4:]).all()
    known = ~np.isnan(values_of(own, "S1", "ERBB2", "predicted"))
    r = np.corrcoef(*(values_of(own, "S1", "ERBB2", layer)[known] for layer in ("log1p", "predicted")))[0, 1]
    assert f"r = {r:.2f}" in axes[0, 0, 1].get_title(loc="left")


def test_unmeasured_slides_and_genes_are_missing_not_zero(own):
    table = own["table"]
    table.obs.loc[(table.obs["region"] == "S1").to_numpy(), "measured"] = False
    table.varm["measured"].loc["ERBB2", "S2"] = False
    axes = sh.pl.genes(own, "ERBB2")
    assert np.isnan(drawn(axes[0, 0, 0])).all()
    assert np.isnan(drawn(axes[0, 1, 0])).all()
    assert np.isfinite(drawn(axes[0, 2, 0])).all()
    assert np.isfinite(drawn(axes[0, 0, 1])).all()
    assert "r =" not in axes[0, 0, 1].get_title(loc="left")


def test_a_gene_that_was_not_modeled_is_said(own):
    own["table"].layers["predicted"][:] = np.nan
    with pytest.warns(UserWarning, match=r"not modeled.*ERBB2 in layers\['predicted'\] of slide 'S1'.*genes=\[...\]"):
        axes = sh.pl.genes(own, "ERBB2", slides="S1", layers=("log1p", "predicted"))
    assert np.isnan(drawn(axes[0, 0, 1])).all()
    assert axes[0, 0, 1].get_title(loc="left").endswith("not modeled in this fold")
    assert "not modeled" not in axes[0, 0, 0].get_title(loc="left")
    assert ["not modeled" in [text.get_text() for text in ax.texts] for ax in axes[0, 0]] == [False, True]


def test_ranks_of_a_panel_have_units_of_their_own(own):
    sh.pp.rank_expression(own)
    own["table"].layers["oof"] = own["table"].layers["predicted"]
    record(own["table"], "oof", {"target": "ranks"})
    axes = sh.pl.genes(own, "ERBB2", slides="S1", layers=("ranks", "oof"))
    assert bars(axes[0, 0, 0].figure) == ["rank within spot", "rank within panel"]


def test_slides_without_image_are_drawn_as_dots(own):
    for entry in own["table"].uns["spatial"].values():
        del entry["images"]
    axes = sh.pl.genes(own, "ERBB2", slides="S1")
    np.testing.assert_allclose(drawn(axes[0, 0, 0]), values_of(own, "S1", "ERBB2", "log1p"), rtol=1e-6)


def test_all_spots_are_in_view_and_nearly_touch(cohort):
    ax = sh.pl.genes(cohort, "ERBB2", slides="S2", layers="log1p")[0, 0, 0]
    table = cohort["table"]
    factor = table.uns["spatial"]["S2"]["scalefactors"]["tissue_hires_scalef"]
    xy = table.obsm["spatial"][(table.obs["region"] == "S2").to_numpy()] * factor
    assert ax.get_xlim()[0] < xy[:, 0].min() and xy[:, 0].max() < ax.get_xlim()[1]
    assert ax.get_ylim()[1] < xy[:, 1].min() and xy[:, 1].max() < ax.get_ylim()[0]
    width = np.ptp(ax.collections[0].get_paths()[0].vertices[:, 0])
    assert width == pytest.approx(0.8 * 50 * factor, rel=0.02)


def test_twelve_slides_wrap(cohort, monkeypatch):
    from spatialhist.pl import _genes

    monkeypatch.setattr(_genes, "draw_panel", lambda ax, *args: ax.scatter([0], [0], c=[1.0]))
    axes = sh.pl.genes(cohort, ["ERBB2"], slides=["S1", "S2", "S3"] * 4 + ["S1"], slides_per_row=3, image=False)
    assert axes.shape == (1, 13, 2)
    grid = axes[0, 0, 0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (5, 6)
    assert len(axes[0, 0, 0].figure.axes) == 13 * 2 + 1


def test_the_object_stays_as_it_was(cohort):
    before = cohort["table"].copy()
    sh.pl.genes(cohort, "ERBB2", slides="S1")
    assert list(cohort["table"].layers) == list(before.layers)
    assert set(cohort["table"].uns) == set(before.uns)
    assert set(cohort["table"].uns["spatial"]) == {"S1", "S2", "S3"}


def test_axes_are_those_passed(cohort):
    import matplotlib.pyplot as plt

    _, mine = plt.subplots(1, 3)
    axes = sh.pl.genes(cohort, "ERBB2", slides="S1", axes=mine[1:])
    assert axes[0, 0].tolist() == mine[1:].tolist()
    assert not mine[0].collections
    with pytest.raises(ValueError, match="2 axes are needed .* got 3"):
        sh.pl.genes(cohort, "ERBB2", slides="S1", axes=mine)


def test_unknown_names(cohort):
    with pytest.raises(KeyError, match=r"genes \['NOPE'\] are not in table 'table'"):
        sh.pl.genes(cohort, ["ERBB2", "NOPE"])
    with pytest.raises(KeyError, match=r"no layer 'nope'.*log1p"):
        sh.pl.genes(cohort, "ERBB2", layers=["nope"])
    with pytest.raises(ValueError, match="nothing to draw"):
        sh.pl.genes(cohort, [])
    with pytest.raises(ValueError, match="color_range='all'.*measured"):
        sh.pl.genes(cohort, "ERBB2", color_range="all")
