from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_samples import draw_samples

from spatialhist.tl import FeatureNetwork, TileNetwork
from spatialhist.tl._data.samples import StoredTiles
from spatialhist.tl._predictors.networks import FittedNetwork, TargetScaler
from spatialhist.tl._predictors.ridge_solver import center_by_slide
from spatialhist.tl._predictors.side_by_side import OneByOne
from spatialhist.tl._runs.fits import read_state, write_state

HEAD = FeatureNetwork(members=1, epochs=2, dim=8, accelerator="cpu")


class MeanColor(torch.nn.Module):
    """Linear in the mean colors of a tile."""

    def __init__(self, n_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(3, n_outputs)

    def forward(self, tiles):
        return self.linear(tiles.float().mean(dim=(2, 3)) / 255)


TILES = TileNetwork(build=MeanColor, epochs=2, accelerator="cpu")


@pytest.fixture(scope="module")
def samples():
    return draw_samples(sizes=(20, 17), tile_pixels=12)


def test_targets_lose_their_slide_mean_and_get_unit_variance(samples):
    scaler = TargetScaler.fit(samples)
    scaled = scaler.scaled(samples)
    for slide in np.unique(samples.slide):
        np.testing.assert_allclose(scaled[samples.slide == slide].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)
    centered, level = center_by_slide(samples.targets, samples.slide)
    np.testing.assert_allclose(scaler.unscale(scaled), centered + level, atol=1e-4)


def test_a_constant_target_stays_what_it_is(samples):
    flat = replace(samples, targets=np.full_like(samples.targets, 4.0))
    scaler = TargetScaler.fit(flat)
    np.testing.assert_array_equal(scaler.unscale(scaler.scaled(flat)), flat.targets)


@pytest.mark.parametrize("predictor", [HEAD, TILES])
def test_a_gene_that_varied_on_no_training_slide_is_predicted_as_it_was(predictor, samples, tmp_path):
    flat = samples.targets.copy()
    flat[:, 0], flat[:, 2] = 0, 2.5
    fitted = predictor.fit(replace(samples, targets=flat), seed=0, scratch=tmp_path)
    for each in (fitted, predictor.restore(fitted.state())):
        predicted = each.predict(samples)
        assert (predicted[:, 0] == 0).all()
        np.testing.assert_allclose(predicted[:, 2], 2.5, rtol=1e-6)
        assert predicted[:, [1, 3]].std(axis=0).min() > 0


def test_networks_of_earlier_versions_predict_what_they_did(samples, tmp_path):
    fitted = HEAD.fit(samples, seed=0, scratch=tmp_path)
    arrays, extra = fitted.state()
    earlier = HEAD.restore(({**arrays, "deviation": np.ones_like(arrays["deviation"])}, extra)).predict(samples)
    scaled = (fitted.predict(samples) - fitted.scaler.intercept) / fitted.scaler.deviation
    np.testing.assert_allclose(earlier, scaled + fitted.scaler.intercept, atol=1e-5)


def test_a_warm_start_learns_a_gene_that_did_not_vary_before(samples, tmp_path):
    flat = samples.targets.copy()
    flat[:, 0] = 0
    before = HEAD.fit(replace(samples, targets=flat), seed=0, scratch=tmp_path)
    scaler, new = TargetScaler.fit(samples, before), TargetScaler.fit(samples)
    assert scaler.deviation[0] == new.deviation[0] > 0
    np.testing.assert_array_equal(scaler.deviation[1:], before.scaler.deviation[1:])


@pytest.mark.parametrize(
    "predictor", [HEAD, replace(HEAD, members=2, standardized=False), TILES, replace(TILES, members=2, ema=0.9)]
)
def test_networks_survive_their_folder_and_repeat_themselves(predictor, samples, tmp_path):
    fitted = predictor.fit(samples, seed=3, scratch=tmp_path / "a")
    again = predictor.fit(samples, seed=3, scratch=tmp_path / "b")
    predicted = fitted.predict(samples)
    assert predicted.dtype == np.float32
    assert predicted.shape == samples.targets.shape
    assert again.predict(samples).tobytes() == predicted.tobytes()
    (tmp_path / "c").mkdir()
    write_state(tmp_path / "c", fitted.state())
    assert predictor.restore(read_state(tmp_path / "c")).predict(samples).tobytes() == predicted.tobytes()


@pytest.mark.parametrize("predictor", [HEAD, TILES])
def test_the_callers_generator_goes_on_where_it_was(predictor, samples, tmp_path):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    fitted = predictor.fit(samples, seed=3, scratch=tmp_path)
    predictor.restore(fitted.state()).predict(samples)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("predictor", [replace(HEAD, members=2), replace(TILES, members=2)])
def test_members_are_averaged(predictor, samples, tmp_path):
    both = predictor.fit(samples, seed=0, scratch=tmp_path)
    each = [FittedNetwork(predictor, [n], both.scaler, both.extra).predict(samples) for n in both.networks]
    assert not np.array_equal(*each)
    np.testing.assert_allclose(both.predict(samples), np.mean(each, axis=0), atol=1e-5)


def test_a_head_learns_what_features_tell(tmp_path):
    many = draw_samples(sizes=(150, 150), noise=0.01)
    fitted = FeatureNetwork(members=1, epochs=25, dim=16, dropout=0.0, accelerator="cpu").fit(
        many, seed=0, scratch=tmp_path
    )
    new = draw_samples(9, sizes=(60,), noise=0.01)
    r = [np.corrcoef(p, t)[0, 1] for p, t in zip(fitted.predict(new).T, new.targets.T, strict=True)]
    assert min(r) > 0.7


def test_features_on_disk_train_the_same_weights_as_features_in_memory(samples, tmp_path, monkeypatch):
    held = HEAD.fit(samples, seed=0, scratch=tmp_path / "a")
    monkeypatch.setattr("spatialhist.tl._predictors.networks.HELD_BYTES", 0)
    read = HEAD.fit(samples, seed=0, scratch=tmp_path / "b")
    assert read.predict(samples).tobytes() == held.predict(samples).tobytes()


def test_members_trained_together_are_those_trained_alone(samples, tmp_path, monkeypatch):
    head = replace(HEAD, members=3, epochs=8)
    together = head.fit(samples, seed=2, scratch=tmp_path / "a")
    monkeypatch.setattr("spatialhist.tl._predictors.short_training.side_by_side", OneByOne)
    alone = head.fit(samples, seed=2, scratch=tmp_path / "b")
    each = zip(together.networks, alone.networks, strict=True)
    for one, other in ((a.state_dict(), b.state_dict()) for a, b in each):
        for name, values in other.items():
            torch.testing.assert_close(one[name], values, rtol=1e-4, atol=1e-5, msg=name)
    np.testing.assert_allclose(together.predict(samples), alone.predict(samples), rtol=1e-5, atol=1e-5)


def test_a_head_learns_the_leading_components_in_no_more_than_so_many_steps(tmp_path, monkeypatch):
    seen = []

    def train(networks, loss, data, schedule, seeds, scratch):
        seen.append((schedule.epochs, np.linalg.matrix_rank(data.targets.numpy(), tol=1e-3)))
        return networks

    monkeypatch.setattr("spatialhist.tl._predictors.networks.train_together", train)
    many = draw_samples(sizes=(40, 60))
    n_genes = many.targets.shape[1]
    for head in (HEAD, replace(HEAD, rank=0), replace(HEAD, rank=2, epochs=50, batch=10, max_steps=45)):
        head.fit(many, seed=0, scratch=tmp_path)
    assert seen == [(2, min(16, n_genes)), (2, n_genes), (4, 2)]


@pytest.mark.parametrize(
    ("network", "name", "value"),
    [(HEAD, "members", 0), (HEAD, "rank", -1), (HEAD, "max_steps", 0), (TILES, "epochs", 0), (TILES, "batch", 1.5)],
)
def test_sizes_that_no_network_can_have_are_refused(network, name, value):
    with pytest.raises(ValueError, match=f"{name}={value} of {type(network).__name__} .* whole number .int. of at"):
        replace(network, **{name: value})


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (
            lambda n: torch.nn.Conv2d(3, n, 12),
            ValueError,
            r"fails on tiles .*\(2, 3, 12, 12\), uint8 of 12 pixels: RuntimeError",
        ),
        (lambda n: MeanColor(n + 1), ValueError, r"returned \(2, 5\) for 2 tiles; it must return a tensor \(2, 4\)"),
        (lambda n: None, TypeError, r"build\(4\) of model 'vision_mlp' made a NoneType: pass build=lambda n_outputs"),
        (MeanColor(4), TypeError, "build= of model 'vision_mlp' is a MeanColor: pass build=lambda n_outputs"),
    ],
)
def test_a_network_of_the_users_that_does_not_fit_is_named(samples, tmp_path, build, error, match):
    with pytest.raises(error, match=match):
        replace(TILES, build=build).fit(samples, seed=0, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_trying_a_network_out_leaves_it_as_it_was(samples):
    network = torch.nn.Sequential(MeanColor(4), torch.nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4))
    network[1].eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    TILES._try_out(network, samples.tiles[:2], 4)
    assert [network.training, *(part.training for part in network)] == [True, True, False, True]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_batches_of_a_prediction_do_not_matter(samples, tmp_path, monkeypatch):
    fitted = TILES.fit(samples, seed=0, scratch=tmp_path)
    whole = fitted.predict(samples)
    monkeypatch.setattr("spatialhist.tl._predictors.networks.PREDICT_BATCH", 5)
    np.testing.assert_allclose(fitted.predict(samples), whole, atol=1e-6)


def test_a_last_batch_of_one_spot_trains(tmp_path):
    odd = draw_samples(sizes=(9,), tile_pixels=48)
    predictor = TileNetwork(width=4, grid=3, epochs=1, batch=8, accelerator="cpu")
    assert np.isfinite(predictor.fit(odd, seed=0, scratch=tmp_path).predict(odd)).all()


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_default_network_is_the_three_branch_one(norm):
    network = TileNetwork(width=8, grid=3, norm=norm).make(5)
    assert type(network).__name__ == "VisionMLPMultiTask"
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()) == (norm == "batch")


def test_training_tiles_are_changed_only_where_asked(samples, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "spatialhist.tl._predictors.networks.augment", lambda tiles, generator: calls.append(len(tiles)) or tiles
    )
    replace(TILES, augment=False, epochs=1).fit(samples, seed=0, scratch=tmp_path / "a")
    assert calls == []
    replace(TILES, epochs=1, batch=32).fit(samples, seed=0, scratch=tmp_path / "b")
    assert calls == [32, 5]


def test_tiles_in_a_file_train_the_same_weights_as_tiles_in_memory(samples, tmp_path):
    np.save(tmp_path / "tiles.npy", samples.tiles[::-1])
    stored = replace(samples, tiles=StoredTiles(tmp_path / "tiles.npy", np.arange(len(samples))[::-1]))
    fitted = [TILES.fit(s, seed=0, scratch=tmp_path / str(i)) for i, s in enumerate((samples, stored))]
    assert fitted[0].predict(samples).tobytes() == fitted[1].predict(stored).tobytes()
