from __future__ import annotations

import pytest
import spatialdata as sd

import spatialhist as sh
from spatialhist.io import _read


@pytest.mark.parametrize(
    ("name", "reader", "expected"),
    [
        ("visium/spatial", "read_visium", {"slide": "visium"}),
        ("slides.h5", "read_challenge", {}),
        ("st/slides.csv", "read_st", {"slides": None, "store": None}),
        ("slide.SVS", "read_wsi", {"mpp": None, "store": None}),
    ],
)
def test_formats_are_told_by_what_is_there(tmp_path, monkeypatch, name, reader, expected):
    (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(_read, reader, lambda path, **options: (path, options))
    path, options = sh.io.read(tmp_path / name.split("/")[0])
    assert path == tmp_path / name.split("/")[0]
    assert options == expected


def test_a_store_is_read_and_copied(tmp_path):
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 260), n_genes=5)
    sdata.write(tmp_path / "a.zarr")
    copy = sh.io.read(tmp_path / "a.zarr", store=tmp_path / "b.zarr")
    assert str(copy.path) == str(tmp_path / "b.zarr")
    assert list(sd.read_zarr(tmp_path / "b.zarr")["table"].var_names) == list(sdata["table"].var_names)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing does not exist"):
        sh.io.read(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty is no slides.csv folder, Space Ranger folder"):
        sh.io.read(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"mpp is for image files .* has its own scale"):
        sh.io.read(tmp_path / "empty", mpp=0.5)
