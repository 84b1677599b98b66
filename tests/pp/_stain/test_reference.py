from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp import StainReference
from spatialhist.pp._stain.reference import array_of


@pytest.mark.parametrize("method", ["macenko", "vahadane", "reinhard"])
def test_canonical_survives_saving(method, tmp_path):
    reference = StainReference.canonical(method)
    reference.save(tmp_path / "r.json")
    loaded = StainReference.load(tmp_path / "r.json")
    assert loaded.to_dict() == reference.to_dict()
    assert loaded.fitted_on == ()
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_canonical_vectors_are_unit_hematoxylin_and_eosin():
    hematoxylin, eosin, rest = StainReference.canonical("macenko").stain_matrix.T
    np.testing.assert_allclose([np.linalg.norm(v) for v in (hematoxylin, eosin, rest)], 1, atol=1e-5)
    assert hematoxylin[0] > 2 * eosin[0]
    assert abs(rest @ hematoxylin) < 1e-5 and abs(rest @ eosin) < 1e-5


def test_arrays_of_another_method_are_refused():
    reinhard = StainReference("reinhard", mu=[1.0, 2.0, 3.0], sigma=[4.0, 5.0, 6.0])
    assert array_of(reinhard, "sigma").tolist() == [4.0, 5.0, 6.0]
    with pytest.raises(ValueError, match="a 'reinhard' reference has no stain_matrix"):
        array_of(reinhard, "stain_matrix")


def test_fitted_on_is_kept(tmp_path):
    reference = StainReference("reinhard", ("S1", "S3"), mu=np.ones(3), sigma=np.full(3, 2.0))
    reference.save(tmp_path / "r.json")
    assert StainReference.load(tmp_path / "r.json").fitted_on == ("S1", "S3")


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no stain reference"):
        StainReference.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"method": "macenko"}')
    with pytest.raises(ValueError, match="holds no stain reference"):
        StainReference.load(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="method='makenko'"):
        StainReference.canonical("makenko")
    with pytest.raises(ValueError, match="mu of a 'reinhard' reference"):
        StainReference("reinhard", mu=np.ones(2), sigma=np.ones(3))
