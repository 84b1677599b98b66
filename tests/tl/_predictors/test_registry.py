from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from spatialhist.tl import FeatureNetwork, KernelRidge, Ridge, TileNetwork
from spatialhist.tl._data.design import Design
from spatialhist.tl._predictors.baselines import MeanProfile, Permuted
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._predictors.registry import baselines, by_name, describe, from_description, resolve_models

DESIGN = Design(extents=(("um", 75.0), ("um", 150.0)))
NAMES = ["ridge", "ridge_raw", "kernel_ridge", "mlp", "mlp_raw", "vision_mlp", "depth_adjusted"]


@dataclass(frozen=True)
class Mine(MeanProfile):
    """A predictor from outside."""

    name: str = "mine"
    power: float = 2.0
    handle: object = None


class Fitless:
    """A predictor that forgot something."""

    name, kind, needs_tiles = "fitless", "model", False

    def restore(self, state): ...


class Estimator:
    """As those of scikit-learn."""

    def fit(self, x, y): ...

    def predict(self, x): ...


class Plain:
    """A predictor that is no dataclass."""

    name, kind, needs_tiles = "plain", "model", False

    def fit(self, samples, *, seed, scratch): ...

    def restore(self, state): ...


def with_members(**members):
    predictor = Plain()
    vars(predictor).update(members)
    return predictor


@pytest.mark.parametrize("name", NAMES)
def test_every_name_makes_a_predictor_that_survives_json(name):
    predictor = by_name(name)
    assert predictor.name == name
    assert predictor.kind == "model"
    assert isinstance(predictor, Predictor)
    assert from_description(json.loads(json.dumps(describe(predictor)))) == predictor


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match="no model 'forest'; there are \\['depth_adjusted', 'kernel_ridge', .*'vision_mlp'\\]"
    ):
        by_name("forest")


def test_former_names_are_understood():
    assert by_name("head") == FeatureNetwork(name="head")
    assert by_name("kernel_ridge_raw") == KernelRidge(name="kernel_ridge_raw")


def test_raw_models_look_at_raw_features():
    assert not any(by_name(n).standardized for n in NAMES if n.endswith("_raw"))


@pytest.mark.parametrize(
    ("name", "default"),
    [("ridge", Ridge()), ("kernel_ridge", KernelRidge()), ("mlp", FeatureNetwork()), ("vision_mlp", TileNetwork())],
)
def test_a_name_is_the_class_with_its_defaults(name, default):
    assert by_name(name) == default


def test_models_are_named_alone_together_or_by_default():
    assert resolve_models("ridge") == [Ridge()]
    assert resolve_models("default") == [Ridge(), KernelRidge(), FeatureNetwork()]
    assert resolve_models(Ridge(name="a")) == [Ridge(name="a")]
    assert resolve_models(["ridge", Mine()]) == [Ridge(), Mine()]


@pytest.mark.parametrize("models", [["ridge", Ridge()], [], [Ridge(name="a b"), Ridge(name="a_b")]])
def test_names_must_differ(models):
    with pytest.raises(ValueError, match="models need different names"):
        resolve_models(models)


@pytest.mark.parametrize(
    ("thing", "match"),
    [
        (3, r"3 is no predictor: it lacks \['name', 'kind', 'needs_tiles', 'fit', 'restore'\]"),
        (Ridge, r"models=Ridge is a class: pass one of its objects, Ridge\(\)"),
        (Estimator, r"lacks \['name', 'kind', 'needs_tiles', 'restore'\]; an estimator is fitted inside of one"),
        (Estimator(), r"lacks \['name', 'kind', 'needs_tiles', 'restore'\]; an estimator is fitted inside of one"),
        (
            torch.nn.Sequential(torch.nn.Linear(3, 2)),
            r"models=Sequential is a network of torch: pass sh.tl.TileNetwork",
        ),
        (torch.nn.Linear, r"models=Linear is a network of torch: pass sh.tl.TileNetwork\(build=\.\.\.\)"),
        (None, "models=None is no predictor"),
        ({"ridge": Ridge()}, "models={'ridge': .*} is no predictor"),
        (with_members(name=3), "has name=3: give it a name"),
        (with_members(kind="network"), r"model 'plain' has kind='network': it must be one of \['model', 'baseline'\]"),
        (
            with_members(fit=lambda samples: ...),
            r"model 'plain' is called as fit\(samples, seed=\.\.\., scratch=\.\.\.\)",
        ),
        (with_members(restore=lambda: ...), r"model 'plain' is called as .* restore\(state\): too many positional"),
        (Fitless(), r"it lacks \['fit'\]"),
    ],
)
def test_what_is_no_predictor_is_refused(thing, match):
    for models in (thing, [thing]):
        with pytest.raises(TypeError, match=match):
            resolve_models(models)


@pytest.mark.parametrize(("encoder", "single"), [("color_texture", []), ("other", ["baseline_single_scale"])])
def test_baselines_of_a_run(encoder, single):
    found = {p.name: p for p in baselines(replace(DESIGN, encoder=encoder), depth=True)}
    free = ["baseline_mean", "baseline_patient", "baseline_position"]
    assert list(found) == [*free, "baseline_color", "baseline_depth", *single, "control_permuted"]
    without = [p.name for p in baselines(replace(DESIGN, encoder=encoder), depth=False)]
    assert without == [name for name in found if name != "baseline_depth"]
    assert {p.kind for p in found.values()} == {"baseline"}
    for predictor in found.values():
        assert from_description(json.loads(json.dumps(describe(predictor)))) == predictor


def test_the_baseline_of_a_single_scale_sees_the_second_field_of_view_or_the_only_one():
    several = replace(DESIGN, encoder="other")
    for design, block in ((several, 1), (replace(several, extents=DESIGN.extents[:1]), 0)):
        (found,) = (p for p in baselines(design, depth=False) if p.name == "baseline_single_scale")
        assert found.predictor == Ridge(standardized=False, blocks=(block,))


def test_own_predictors_are_told_by_class_and_plain_parameters():
    told = describe(Mine(handle=object()))
    assert {"class": "custom:Mine", "name": "mine", "power": 2.0, "weights": ""}.items() <= told.items()
    assert describe(Mine()) == describe(Mine()) != describe(Mine(power=3.0))
    assert describe(Plain()).keys() == {"class", "name", "fingerprint", "weights"}


def test_a_predictor_that_is_no_dataclass_is_told_by_its_fields():
    one, other = Plain(), Plain()
    other.epochs = 400
    assert describe(one) != describe(other)
    with pytest.warns(UserWarning, match="model 'plain' .* has other settings or code than the one that was trained"):
        assert from_description(describe(one), [other]) is other


def test_other_weights_are_refused():
    one, same, other = Plain(), Plain(), Plain()
    one.net, same.net, other.net = np.zeros(3), np.zeros(3), np.ones(3)
    assert from_description(describe(one), [same]) is same
    with pytest.raises(ValueError, match="model 'plain' .* holds other weights than the one that was trained"):
        from_description(describe(one), [other])


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


def test_a_class_of_the_same_name_is_none_of_ours():
    stranger = type("Ridge", (Plain,), {})()
    assert describe(stranger)["class"] == "custom:Ridge"


def test_a_control_of_ones_own_predictor_is_restored_with_it():
    control = Permuted(Mine(power=3.0), name="control_mine")
    data = json.loads(json.dumps(describe(control)))
    assert data["predictor"]["class"] == "custom:Mine"
    assert from_description(data, [Mine(power=3.0)]) == control


def test_models_without_an_order_are_refused():
    with pytest.raises(TypeError, match="has no order: pass a list"):
        resolve_models({"ridge", "kernel_ridge"})
