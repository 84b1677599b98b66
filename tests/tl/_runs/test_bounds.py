from __future__ import annotations

import json

import pytest
from small_manifests import as_stored

from spatialhist.tl._runs.manifest import MODEL, Manifest


def design(**changed):
    return lambda m: m["identity"]["design"].update(changed)


def identity(**changed):
    return lambda m: m["identity"].update(changed)


def slide(**changed):
    return lambda m: m["slides"]["A"].update(changed)


def model(**changed):
    return lambda m: m["identity"]["models"][0].update(changed)


REFUSED = {
    "threads beyond all machines": (identity(threads=100_000), "threads=100000 must be 1 to 1024"),
    "no threads": (identity(threads=0), "threads=0 must be 1 to 1024"),
    "threads in words": (identity(threads="all"), "threads='all' is no whole number"),
    "threads that are a flag": (identity(threads=True), "threads=True is no whole number"),
    "a seed below 0": (identity(seed=-1), "seed=-1 must be"),
    "a layer in another folder": (identity(layer="../../x"), "layer='../../x' is no name"),
    "a layer that moves the cursor": (identity(layer="a\x1b[2J"), "layer=.* is no name"),
    "tiles beyond memory": (design(pixels=100_000), "pixels=100000 must be 1 to 4096"),
    "half a pixel": (design(tile_pixels=7.5), "tile_pixels=7.5 is no whole number"),
    "tiles of no end of parts": (design(grid=10**6), "grid=1000000 must be 1 to 64"),
    "a field of view beyond the slide": (design(extents=[["px", 1e9]]), r"extents in 'px'=1000000000.0 must be 0.5 to 100000"),
    "a field of view without end": (design(extents=[["um", float("inf")]]), "extents in 'um'=inf"),
    "a field of view of no size": (design(extents=[["um", float("nan")]]), "extents in 'um'=nan"),
    "a field of view in miles": (design(extents=[["mile", 1.0]]), "extents is in 'mile', which is none of"),
    "no end of fields of view": (design(extents=[["px", 20.0]] * 1000), "extents holds 1000 lengths"),
    "a context of no size": (design(context=[["px", 1e-9]]), "context in 'px'=1e-09 must be"),
    "a tile beyond the slide": (design(tile_extent=["pitch", 1e7]), "tile_extent in 'pitch'"),
    "an image that is no name": (design(image=["full"]), "image=.* is no name"),
    "an encoder that is no name": (design(encoder={"a": 1}), "encoder=.* is no name"),
    "an option that is none": (design(shell="rm"), "shell"),
    "components beyond memory": (model(components=10**12), "'ridge' has a parameter of 1000000000000"),
    "a parameter without end": (model(ranks=[float("inf")]), "'ridge' has a parameter of inf"),
    "a model with a name that turns text around": (model(name="ridge\u202e"), "name=.* of a model is no name"),
    "a class that is no name": (model(**{"class": 3}), "class=3 of a model is no name"),
    "features that are not there": (model(blocks=[7]), "a block of features=7 must be 0 to 0"),
    "features from the end": (model(blocks=[-1]), "a block of features=-1"),
    "a gene twice": (lambda m: m.update(genes=["G1", "G1", "G2"]), "'genes' holds a name twice"),
    "genes that are numbers": (lambda m: m.update(genes=[1, 2, 3]), "'genes' holds something else than names"),
    "genes in one word": (lambda m: m.update(genes="ABC"), "'genes' holds something else than names"),
    "slides without facts": (lambda m: m.update(slides=[1, 2]), "items"),
    "half a spot": (slide(spots=0.5), "spots of slide 'A'=0.5 is no whole number"),
    "pixels of no size": (slide(mpp=0.0), "mpp=0.0 of slide 'A' is no positive number"),
    "pixels without end": (slide(pitch_px=float("inf")), "pitch_px=inf of slide 'A'"),
    "a stain that is a word": (slide(stain="macenko"), "slide 'A' has pixels, a group or a stain of another type"),
    "a group that is not there": (slide(group="P9"), "groups .*P9"),
    "a panel beyond the genes": (identity(panels={"P1": [0, 3], "P2": [1]}), "a column of panel 'P1'=3 must be 0 to 2"),
    "a panel from the end": (identity(panels={"P1": [0, -1], "P2": [1]}), "a column of panel 'P1'=-1"),
    "a panel with a column twice": (identity(panels={"P1": [0, 0], "P2": [1]}), "panel 'P1' holds a column twice"),
    "a group twice": (identity(groups=["P1", "P1"]), "'groups' holds a name twice"),
    "a ranking that is none": (lambda m: m.update(ranking=[1]), "'ranking' holds no options"),
    "a format that is a flag": (lambda m: m.update(format=True), "no manifest of spatialhist"),
    "a format below 1": (lambda m: m.update(format=-5), "no manifest of spatialhist"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_run_has_is_refused_by_name(what, tmp_path):
    change, says = REFUSED[what]
    stored = as_stored()
    change(stored)
    (tmp_path / "manifest.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=rf"manifest\.json is .*{says}"):
        Manifest.read(tmp_path)


def test_a_model_is_looked_at_as_a_run_is(tmp_path):
    stored = as_stored(threads=0) | {"what": MODEL}
    (tmp_path / "manifest.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="threads=0"):
        Manifest.read(tmp_path)


def test_long_values_do_not_fill_the_message(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(as_stored(layer="x" * 10**6)))
    with pytest.raises(ValueError, match="layer='xxx") as caught:
        Manifest.read(tmp_path)
    assert len(str(caught.value)) < 500
