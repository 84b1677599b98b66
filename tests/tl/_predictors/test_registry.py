from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import torch

from spatialhist.tl import FeatureNetwork, KernelRidge, Ridge, TileNetwork
from spatialhist.tl._data.design import Design
from spatialhist.tl._predictors.baselines import MeanProfile
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._predictors.registry import baselines, by_name, describe, from_description, resolve_models

DESIGN = Design(extents=(("um", 75.0), ("um", 150.0)), grid=5)
NAMES = ["ridge", "ridge_raw", "kernel_ridge", "mlp", "mlp_raw", "vision_mlp"]


@dataclass(frozen=True)
class Mine(MeanProfile):
    """A predictor from outside."""

    name: str = "mine"
    power: float = 2.0
    handle: object = None


class Plain:
    """A predictor that is no dataclass."""

    name, kind, needs_tiles = "plain", "model", False

    def fit(self, samples, *, seed, scratch): ...

    def restore(self, state): ...


@pytest.mark.parametrize("name", NAMES)
def test_every_name_makes_a_predictor_that_survives_json(name):
    predictor = by_name(name, DESIGN)
    assert predictor.name == name
    assert predictor.kind == "model"
    assert isinstance(predictor, Predictor)
    assert from_description(json.loads(json.dumps(describe(predictor)))) == predictor


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no model 'forest'; there are \\['kernel_ridge', .*'vision_mlp'\\]"):
        by_name("forest", DESIGN)


def test_raw_models_look_at_raw_features_and_the_network_at_the_grid_of_the_design():
    assert not any(by_name(n, DESIGN).standardized for n in NAMES if n.endswith("_raw"))
    assert by_name("vision_mlp", DESIGN).grid == 5


def test_models_are_named_alone_together_or_by_default():
    ridge, head = Ridge(extents=(0, 1)), FeatureNetwork(members=3)
    kernel = KernelRidge(name="kernel_ridge", standardized=False, extents=(0, 1))
    assert resolve_models("ridge", DESIGN) == [ridge]
    assert resolve_models("default", DESIGN) == [ridge, kernel, head]
    assert resolve_models(Ridge(name="a"), DESIGN) == [Ridge(name="a")]
    assert resolve_models(["ridge", Mine()], DESIGN) == [ridge, Mine()]


@pytest.mark.parametrize("models", [["ridge", Ridge()], [], [Ridge(name="a b"), Ridge(name="a_b")]])
def test_names_must_differ(models):
    with pytest.raises(ValueError, match="models need different names"):
        resolve_models(models, DESIGN)


@pytest.mark.parametrize("thing", [3, Ridge, object()])
def test_what_is_no_predictor_is_refused(thing):
    with pytest.raises(
        TypeError, match="is no predictor: it needs name, kind, needs_tiles, fit\\(\\) and restore\\(\\)"
    ):
        resolve_models([thing], DESIGN)


def test_baselines_are_five_and_the_color_baseline_looks_at_one_extent():
    found = {p.name: p for p in baselines(DESIGN)}
    assert list(found) == [
        "baseline_mean",
        "baseline_patient",
        "baseline_position",
        "baseline_color",
        "control_permuted",
    ]
    assert {p.kind for p in found.values()} == {"baseline"}
    assert found["baseline_color"].extents == (1,)
    assert {p.name: p for p in baselines(replace(DESIGN, extents=DESIGN.extents[:1]))}["baseline_color"].extents == (0,)
    for predictor in found.values():
        assert from_description(json.loads(json.dumps(describe(predictor)))) == predictor


def test_own_predictors_are_told_by_class_and_plain_parameters():
    assert describe(Mine(handle=object())) == {
        "class": "custom:Mine", "name": "mine", "kind": "baseline", "needs_tiles": False, "power": 2.0,
    }  # fmt: skip
    assert describe(Mine()) != describe(Mine(power=3.0))
    assert describe(Plain()) == {"class": "custom:Plain", "name": "plain"}


def test_own_predictors_must_be_handed_in_again():
    data = json.loads(json.dumps(describe(Mine(power=3.0))))
    with pytest.raises(ValueError, match="holds your own predictor 'mine': pass it in models="):
        from_description(data, [Ridge()])
    mine = Mine(power=3.0)
    assert from_description(data, [Ridge(), mine]) is mine


def test_a_network_of_ones_own_is_a_predictor_of_ones_own():
    predictor = TileNetwork(build=lambda n: torch.nn.Linear(3, n), epochs=4)
    data = describe(predictor)
    assert data["class"] == "custom:TileNetwork"
    assert data["epochs"] == 4
    assert describe(replace(predictor, epochs=5)) != data


def test_a_class_of_a_newer_version_is_refused():
    with pytest.raises(ValueError, match="unknown predictor class 'Forest': .* newer version"):
        from_description({"class": "Forest", "name": "forest"})


def test_parameters_of_a_newer_version_are_ignored():
    assert from_description({**describe(Ridge()), "color": "blue"}) == Ridge()
