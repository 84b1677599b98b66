from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, replace
from hashlib import blake2b

import pytest
from small_manifests import as_stored, manifest

import spatialhist as sh
from spatialhist._sdata.scale import Scale
from spatialhist.tl import KernelRidge, Ridge
from spatialhist.tl._runs.manifest import Manifest, TrainingSlide, comparable, parsed, restore_predictors


def write(folder, data):
    (folder / "manifest.json").write_text(data if isinstance(data, str) else json.dumps(data))


def test_every_fact_is_read():
    read = manifest()
    assert (read.what, read.layer, read.seed, read.threads) == ("cross-validation", "log1p", 3, 2)
    assert (read.groups, read.panels) == (["P1", "P2"], {"P1": (0, 2), "P2": (1, 2)})
    assert (read.design.encoder, read.design.tile_extent) == ("color_texture", ("um", 30.0))
    assert read.group_of == {"A": "P2", "B": "P1"}
    assert read.slides["A"] == TrainingSlide("aa", "P2", 3, {"method": "macenko"}, Scale(0.5, 9.0, None))
    assert read.scales == [Scale(0.5, 9.0, None), Scale(None, None, None)]
    assert (read.units, read.license) == ({}, None)


def test_an_encoder_of_your_own_is_told_by_its_class_until_it_is_handed_in():
    design = as_stored()["identity"]["design"] | {"encoder": "custom:function"}
    read = manifest(design=design)
    assert (read.encoder, read.design.encoder) == ("custom:function", "custom:function")
    assert read.restore_design(len).encoder is len
    with pytest.raises(ValueError, match="your own encoder"):
        read.restore_design()


def test_a_slide_is_known_by_its_pixels():
    assert [manifest().trained_on(pixels) for pixels in ("aa", "", "bb")] == ["A", None, None]


def test_fields_of_view_tell_how_fine_their_pixels_are():
    """Slide A has 0.5 um per pixel and spots 9 pixels apart, slide B another scale or none."""
    extents = [["um", 40.0], ["px", 24.0], ["pitch", 2.0]]
    data = as_stored(design=as_stored()["identity"]["design"] | {"extents": extents, "pixels": 20})
    told = Manifest.from_json(data).fields_of_view
    assert told == [
        {"extent": ["um", 40.0], "pixels": 20, "um_per_pixel": [2.0, 2.0]},
        {"extent": ["px", 24.0], "pixels": 20, "um_per_pixel": None},
        {"extent": ["pitch", 2.0], "pixels": 20, "um_per_pixel": None},
    ]
    data["slides"]["B"] |= {"mpp": 0.25, "pitch_px": 10.0}
    made = Manifest.from_json(data)
    assert [field["um_per_pixel"] for field in made.fields_of_view] == [[2.0, 2.0], [0.3, 0.6], [0.25, 0.45]]
    assert made.to_json()["fields_of_view"] == made.fields_of_view


def test_what_is_written_is_read_again(tmp_path):
    before = replace(manifest(), units={"target_sum": 1e4}, command="spatialhist run", license="CC-BY-4.0")
    before.write(tmp_path)
    assert Manifest.read(tmp_path) == before
    written = (tmp_path / "manifest.json").read_bytes()
    Manifest.read(tmp_path).write(tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == written


def test_a_new_one_is_what_reading_it_gives():
    stored = as_stored()
    slides = {name: TrainingSlide.from_json(facts) for name, facts in stored["slides"].items()}
    identity = stored["identity"] | {"panels": {"P1": (0, 2), "P2": (1, 2)}}
    made = Manifest.of("cross-validation", identity, slides, genes=["G1", "G2", "G3"])
    assert made == manifest()


def test_a_model_has_no_license_where_none_was_asked_for():
    assert "license" not in manifest().to_json()


def test_nobody_changes_it():
    with pytest.raises(FrozenInstanceError):
        manifest().ranking = {"n": 3}
    before = manifest()
    after = before.of_inputs("abc", {"method": "average"})
    assert (after.identity["data"], after.ranking) == ("abc", {"method": "average"})
    assert before == manifest()


def test_the_id_is_that_of_the_words_it_was_written_in():
    identity = as_stored()["identity"]
    expected = blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=8).hexdigest()
    assert manifest().run_id == expected
    assert manifest(seed=4).run_id != expected


def test_the_id_does_not_depend_on_the_order_of_keys():
    turned = as_stored()
    turned["identity"] = dict(reversed(turned["identity"].items()))
    assert Manifest.from_json(turned).run_id == manifest().run_id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1', r"is broken .*: make the run again"),
        ("[]", "is no manifest of spatialhist"),
        ("{}", "it has no 'format'"),
        ('{"format": 99}', "has format 99, this version reads up to 1: update spatialhist"),
        ('{"format": 1, "what": "model"}', r"is broken \(KeyError: 'identity'\): make the run again"),
    ],
)
def test_one_that_cannot_be_read_says_why(tmp_path, text, message):
    write(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        Manifest.read(tmp_path)


def test_none_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no run or model folder: it has no manifest\.json"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "path",
    ["what", "slides", "genes", "ranking", "slides.A.pixels", "slides.B.group"]
    + [f"identity.{key}" for key in ("models", "baselines", "layer", "design", "seed", "threads", "groups", "panels")]
    + ["identity.panels.P2", "identity.design.encoder"],
)
def test_what_predicting_and_scoring_need_is_missed_at_once(tmp_path, path):
    stored = inner = as_stored()
    *outer, last = path.split(".")
    for key in outer:
        inner = inner[key]
    del inner[last]
    write(tmp_path, stored)
    with pytest.raises(
        ValueError, match=re.escape(str(tmp_path / "manifest.json")) + " is broken .*make the run again"
    ):
        Manifest.read(tmp_path)


def test_a_model_needs_no_groups(tmp_path):
    stored = as_stored() | {"what": "model"}
    for key in ("baselines", "groups", "panels"):
        del stored["identity"][key]
    for facts in stored["slides"].values():
        del facts["group"]
    write(tmp_path, stored)
    assert Manifest.read(tmp_path).group_of == {}


@pytest.mark.parametrize(
    ("what", "cls", "message"),
    [
        ("model", sh.tl.CrossValidation, "holds 'model', not a cross-validation"),
        ("cross-validation", sh.tl.Model, "holds 'cross-validation', not a model"),
        ("thesis", sh.tl.Model, "holds 'thesis', not a model"),
    ],
)
def test_a_folder_of_something_else_is_not_loaded(tmp_path, what, cls, message):
    write(tmp_path, as_stored() | {"what": what})
    with pytest.raises(ValueError, match=message):
        cls.load(tmp_path)


def test_parsing_looks_no_further_than_at_the_format(tmp_path):
    write(tmp_path, {"format": 1, "what": "thesis"})
    assert parsed(tmp_path)["what"] == "thesis"


class TestDifferences:
    def test_none_to_the_same_parameters_whatever_holds_them(self):
        wanted = as_stored()["identity"] | {"panels": {"P1": (0, 2), "P2": (1, 2)}}
        assert manifest(data="abc").differences(wanted) == []

    def test_they_are_named(self):
        wanted = as_stored()["identity"] | {"seed": 4, "layer": "ranks", "further": 1}
        assert manifest().differences(wanted) == ["further", "layer", "seed"]
        assert manifest().differences(wanted, ["design", "layer"]) == ["layer"]

    def test_they_are_of_predictors_as_of_everything_else(self):
        other = [{"class": "Ridge", "name": "ridge", "components": 7}]
        assert manifest().differences({"models": other}) == ["models"]


class TestEarlierWords:
    OLD = {"class": "FeatureNetwork", "name": "head", "kind": "model", "needs_tiles": False, "extents": None, "dim": 8}
    MEAN = {"class": "MeanProfile", "name": "null_mean", "kind": "null"}

    def older(self):
        stored = as_stored(models=[self.OLD])
        del stored["identity"]["baselines"]
        stored["identity"]["nulls"] = [self.MEAN]
        return Manifest.from_json(stored)

    def test_the_id_is_still_the_one_that_layers_carry(self):
        older = self.older()
        text = json.dumps(older.identity, sort_keys=True)
        assert '"nulls"' in text
        assert older.run_id == blake2b(text.encode(), digest_size=8).hexdigest()

    def test_they_are_compared_in_those_of_today(self):
        today = {"class": "FeatureNetwork", "name": "mlp", "blocks": "all", "dim": 8}
        wanted = {"models": [today], "baselines": [{"class": "MeanProfile", "name": "baseline_mean"}]}
        assert self.older().differences(wanted) == []
        assert self.older().differences({"models": [today | {"dim": 9}]}) == ["models"]

    def test_fits_keep_the_names_of_their_folders(self):
        assert [
            p.name for p in (*restore_predictors(self.older().models), *restore_predictors(self.older().baselines))
        ] == [
            "head",
            "null_mean",
        ]

    def test_hashes_that_a_folder_does_not_hold_are_not_compared(self):
        held = {"class": "custom:Mine", "name": "mine", "power": 2.0}
        new = held | {"fingerprint": "aa", "weights": ""}
        design = as_stored()["identity"]["design"] | {"encoder": "custom:function"}
        older = manifest(models=[held | {"kind": "model", "needs_tiles": False}], design=design)
        hashed = design | {"encoder_fingerprint": "bb"}
        assert older.differences({"models": [new], "design": hashed}) == []
        assert older.differences({"models": [new | {"power": 3.0}], "design": hashed | {"pixels": 9}}) == [
            "design",
            "models",
        ]
        assert older.differences({"models": [new, new]}) == ["models"]

    def test_hashes_that_a_folder_holds_are_compared(self):
        new = {"class": "custom:Mine", "name": "mine", "fingerprint": "aa", "weights": ""}
        design = as_stored()["identity"]["design"] | {"encoder_fingerprint": "bb"}
        held = manifest(models=[new], design=design)
        assert held.differences({"models": [new], "design": design}) == []
        other = {"models": [new | {"fingerprint": "cc"}], "design": design | {"encoder_fingerprint": "cc"}}
        assert held.differences(other) == ["design", "models"]

    def test_both_sides_are_brought_to_the_same_words(self):
        assert comparable({"nulls": [self.MEAN]}) == comparable(comparable({"nulls": [self.MEAN]}))


class TestPredictors:
    def test_they_are_those_described(self):
        assert restore_predictors(manifest().models) == (Ridge(components=6),)

    def test_those_from_outside_are_handed_in(self):
        own = KernelRidge(name="mine")
        described = [{"class": "custom:Mine", "name": "mine"}]
        assert restore_predictors(described, [own]) == (own,)
        with pytest.raises(ValueError, match="your own predictor 'mine': pass it"):
            restore_predictors(described)

    def test_one_that_is_handed_in_needs_no_list_and_a_class_is_refused(self):
        own = KernelRidge(name="mine")
        described = [{"class": "custom:Mine", "name": "mine"}]
        assert restore_predictors(described, own) == (own,)
        with pytest.raises(TypeError, match="models=KernelRidge is a class: pass one of its objects"):
            restore_predictors(described, [KernelRidge])
