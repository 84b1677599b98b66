from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import spatialhist as sh
from spatialhist.tl._predictors.registry import presets


@dataclass(frozen=True)
class Slope:
    """Least squares on the first block; what tests break is passed in."""

    kind: ClassVar[str] = "model"
    needs_tiles: ClassVar[bool] = False
    name: str = "slope"
    penalty: float = 1.0

    def fit(self, samples, *, seed, scratch):
        first = samples.blocks(True, "own")[0]
        penalty = self.penalty * np.eye(first.shape[1], dtype=np.float32)
        return FittedSlope(np.linalg.solve(first.T @ first + penalty, first.T @ samples.targets))

    def restore(self, state):
        return FittedSlope(state[0]["slope"])


@dataclass(frozen=True)
class FittedSlope:
    slope: np.ndarray

    def predict(self, samples):
        return samples.blocks(True, "own")[0] @ self.slope

    def state(self):
        return {"slope": self.slope}, {}


def predicting(change):
    """Return a predictor whose predictions go through ``change(samples, predicted)``."""

    class Fitted(FittedSlope):
        def predict(self, samples):
            return change(samples, super().predict(samples))

    class Changed(Slope):
        def fit(self, samples, *, seed, scratch):
            return Fitted(super().fit(samples, seed=seed, scratch=scratch).slope)

        def restore(self, state):
            return Fitted(state[0]["slope"])

    return Changed()


def storing(change, restore=None):
    """Return a predictor whose state goes through ``change(slope)``, and back through ``restore``."""

    class Fitted(FittedSlope):
        def state(self):
            return change(self.slope)

    class Changed(Slope):
        def fit(self, samples, *, seed, scratch):
            return Fitted(super().fit(samples, seed=seed, scratch=scratch).slope)

        def restore(self, state):
            return restore(state) if restore else super().restore(state)

    return Changed()


def fitting(change):
    """Return a predictor that calls ``change(samples, seed)`` before it is fitted; it returns the samples to fit."""

    class Changed(Slope):
        def fit(self, samples, *, seed, scratch):
            return super().fit(change(samples, seed), seed=seed, scratch=scratch)

    return Changed()


def overwrite_targets(samples, seed):
    samples.targets[:] = 0
    return samples


def overwrite_features(samples, predicted):
    if isinstance(samples.features, tuple):
        samples.features[0][:] = 0
    return predicted


def drawn_anywhere(samples, seed):
    return samples.take(np.random.default_rng().integers(0, len(samples), len(samples)))


def with_labels(samples, predicted):
    return predicted if samples.targets is None else samples.targets


class SelfFitting(Slope):
    def __init__(self):
        object.__setattr__(self, "fitted", None)

    def fit(self, samples, *, seed, scratch):
        object.__setattr__(self, "fitted", super().fit(samples, seed=seed, scratch=scratch))
        return self.fitted


class SelfRestoring(SelfFitting):
    def restore(self, state):
        return FittedSlope(self.fitted.slope)


@dataclass(frozen=True)
class Locked(Slope):
    lock: Any = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Described(Slope):
    sizes: tuple = (np.float32(1), np.int64(3))


class Incomplete(Slope):
    def fit(self, samples, *, seed, scratch):
        return SimpleNamespace(predict=lambda samples: None)


class WithoutKeywords(Slope):
    def fit(self, samples):
        return super().fit(samples, seed=0, scratch=None)


class LooksAtTiles(Slope):
    def fit(self, samples, *, seed, scratch):
        return FittedSlope(samples.tiles.mean())


def constant(name, value, base=Slope):
    """Return a predictor with another class variable."""
    return type("Changed", (base,), {name: value})()


SUM = lambda samples, p: p - p.mean(axis=0)

BROKEN = {
    "class": (Slope, r"models=Slope is a class: pass one of its objects, Slope\(\)"),
    "no predictor": (
        SimpleNamespace(name="a", fit=len),
        r"it lacks \['kind', 'needs_tiles', 'restore'\]; see sh.tl.Predictor",
    ),
    "fit is no method": (constant("fit", 3), r"is called as fit\(samples, seed=..., scratch=...\)"),
    "name of another type": (Slope(name=3), "has name=3: give it a name"),
    "empty name": (Slope(name=""), "has name='': give it a name"),
    "name with a slash": (Slope(name="a/b c"), "name 'a/b c' becomes 'a_b_c' in layers and files"),
    "name of a baseline": (Slope(name="baseline_mean"), "is that of a baseline that every run holds"),
    "kind": (constant("kind", "regressor"), r"has kind='regressor': it must be one of \['model', 'baseline'\]"),
    "needs_tiles": (constant("needs_tiles", "no"), "needs_tiles='no' must be True if"),
    "unhashable": (Locked(), "it cannot be hashed: ValueError: .*lock.* Give the model 'slope' an attribute"),
    "not to be sent": (Locked(), r"cannot be sent to other processes.*TypeError: cannot pickle"),
    "not to be described": (Described(), "fields cannot be written to a manifest: TypeError: .*float32"),
    "fit without keywords": (WithoutKeywords(), r"is called as fit\(samples, seed=..., scratch=...\)"),
    "tiles not asked for": (
        LooksAtTiles(),
        "fit fails: AttributeError: .*; samples.tiles is None where needs_tiles is False",
    ),
    "tiles not read": (constant("needs_tiles", True, LooksAtTiles), r"are read by indexing: samples.tiles\[:\]"),
    "fit changes samples": (fitting(overwrite_targets), "fit changes the samples that it is given"),
    "fit changes itself": (SelfFitting(), "fit changes the predictor: keep what was fitted"),
    "no seed": (fitting(drawn_anywhere), "two fits with the same samples and seed predict other values"),
    "incomplete": (Incomplete(), r"returned a SimpleNamespace, which lacks the methods \['state'\]"),
    "list": (predicting(lambda s, p: p.tolist()), "predict returns a list: return an array of numpy"),
    "tensor": (predicting(lambda s, p: torch.from_numpy(p)), "predict returns a Tensor"),
    "shape": (
        predicting(lambda s, p: p.T),
        r"predict returns shape \(7, 19\): return \(spots, genes\), here \(19, 7\)",
    ),
    "whole numbers": (predicting(lambda s, p: p.astype(int)), "predict returns int64: return float32"),
    "double": (predicting(lambda s, p: p.astype(float)), "predict returns float64: return float32"),
    "NaN": (predicting(lambda s, p: p * np.float32(np.nan)), "predict returns NaN or infinite values"),
    "other spots": (
        predicting(lambda s, p: p - p.mean(axis=0)),
        "depends on the other spots that are predicted with it",
    ),
    "order": (predicting(lambda s, p: p + np.arange(len(p), dtype="f4")[:, None]), "depends on the order of the spots"),
    "fails on one spot": (predicting(lambda s, p: p[[0, 1]] if len(p) < 2 else p), "fails on some of the spots"),
    "chance": (predicting(lambda s, p: p + np.random.rand(*p.shape).astype("f4")), "two calls of predict return other"),
    "fails": (predicting(lambda s, p: p[100]), "predict fails: IndexError"),
    "needs labels": (predicting(lambda s, p: p + s.targets.mean()), "predict reads samples.targets, which is None"),
    "uses labels": (predicting(with_labels), "the labels of a slide must not reach its prediction"),
    "color": (
        predicting(lambda s, p: p + s.color[0][:, :1]),
        "fails on a new slide, of which .* samples.color is None",
    ),
    "group": (
        predicting(lambda s, p: p + (s.group == "")[:, None].astype("f4")),
        "predicted otherwise than those of a",
    ),
    "predict changes samples": (predicting(overwrite_features), "predict changes the samples that it is given"),
    "state of one": (storing(lambda slope: {"slope": slope}), "state returned a dict, expected two dictionaries"),
    "state of objects": (
        storing(lambda slope: ({"slope": slope.astype(object)}, {})),
        r"the arrays \['slope'\] of state hold no numbers",
    ),
    "state beyond JSON": (
        storing(lambda slope: ({"slope": slope}, {"mean": slope.mean()})),
        "JSON cannot hold the second dictionary of state: .*float32",
    ),
    "keys of JSON": (
        storing(lambda s: ({"slope": s}, {3: "a"}), lambda state: FittedSlope(state[0]["slope"] + len(state[1][3]))),
        r"restore\(state\) fails; from files come back 3: 'a' as 'a': KeyError",
    ),
    "shape of a number": (
        storing(
            lambda s: ({"slope": s, "n": np.array(3.0)}, {}), lambda s: FittedSlope(s[0]["slope"] * s[0]["n"].ndim * 2)
        ),
        r"predicts other values than what was fitted; from files come back array 'n' \(\) as \(1,\)",
    ),
    "restores something else": (
        storing(lambda slope: ({"slope": slope}, {}), lambda state: FittedSlope(state[0]["slope"] + 1)),
        "predicts other values than what was fitted$",
    ),
    "restores nothing": (
        storing(lambda slope: ({"slope": slope}, {}), lambda state: None),
        r"returned a NoneType, which lacks the methods \['predict', 'state'\]",
    ),
    "restores from itself": (SelfRestoring(), r"restore\(state\) fails: AttributeError: 'NoneType'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_problem_is_found(case):
    predictor, problem = BROKEN[case]
    found = sh.tl.check_predictor(predictor)
    assert any(re.search(problem, line) for line in found), found
    assert not any("\n" in line for line in found)


def test_sound_predictor_has_no_problem_and_nothing_is_printed(capsys):
    assert sh.tl.check_predictor(Slope()) == []
    assert capsys.readouterr() == ("", "")


def test_baselines_may_not_know():
    assert (
        sh.tl.check_predictor(type("Unknown", (type(predicting(lambda s, p: p * np.nan)),), {"kind": "baseline"})())
        == []
    )


@pytest.mark.parametrize("predictor", [*presets()], ids=lambda p: p.name)
def test_predictors_of_the_package_have_no_problem(predictor):
    short = {"epochs": 1, "members": 1} if hasattr(predictor, "epochs") else {}
    assert sh.tl.check_predictor(replace(predictor, **short), tile_pixels=24) == []


def test_network_of_the_user_s_own_has_no_problem():
    predictor = sh.tl.TileNetwork(name="own", build=build, epochs=1, augment=False)
    assert sh.tl.check_predictor(predictor, tile_pixels=16) == []


def build(n_outputs):
    return torch.nn.Sequential(Scale(), torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, n_outputs))


class Scale(torch.nn.Module):
    def forward(self, tiles):
        return tiles / 255
