from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort, lattice, mean_color
from tissue_pictures import tissue_picture

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask
from spatialhist.tl._inference.relatives import Relatives
from spatialhist.tl._runs.signatures import FILE

OPTIONS = {**FAST, "models": sh.tl.Ridge(components=4), "genes": 4}


def slides(**pictures):
    """Slides of a picture each; the patient is the letter that the name of a slide starts with."""
    rng, parts = np.random.default_rng(0), []
    for name, pixels in pictures.items():
        counts = csr_matrix(rng.poisson(20, (96, 6)).astype(np.float32))
        image = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
        parts.append(build_slide(image, lattice(), counts, slide=name, genes=list("abcdef"), patient=name[0], mpp=2.0))
    sdata = concat_slides(parts)
    for name in pictures:
        add_mask(sdata, np.ones((8, 8), dtype=bool), image=f"{name}_full_image")
    sh.pp.log_normalize(sdata)
    return sdata


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relatives")
    sdata = slides(A1=tissue_picture(1), B1=tissue_picture(2), C1=tissue_picture(3))
    return sh.tl.fit(sdata, out=folder / "model", **OPTIONS), sh.tl.cross_validate(sdata, out=folder / "run", **OPTIONS)


def predict(sdata, source, **options):
    sh.tl.predict(sdata, source, encoder=mean_color, progress=False, **options)
    return sdata["table"].uns["spatialhist"]["predicted"]["predicted_as"]


COPY = tissue_picture(2)[7:, 11:, ::-1]


def test_a_model_refuses_a_copy_of_a_training_slide(trained):
    with (
        pytest.warns(UserWarning, match="'new' is a picture of the same section as training slide 'B1', .*keypoints"),
        pytest.raises(ValueError, match="slide 'B1' was trained on"),
    ):
        predict(slides(new=COPY), sh.tl.load(trained[0].folder))


def test_a_grid_on_a_copy_is_refused_too(trained):
    with pytest.warns(UserWarning, match="same section"), pytest.raises(ValueError, match="slide 'B1' was trained on"):
        sh.tl.predict_grid(slides(new=COPY), trained[0], encoder=mean_color, progress=False)


def test_a_cross_validation_predicts_a_copy_by_the_fold_that_left_it_out(trained):
    with pytest.warns(UserWarning, match="same section"):
        assert predict(slides(new=COPY), trained[1]) == ["training slide B1, by the fold that left out group B"]


def test_another_section_of_a_training_patient_is_named(trained):
    with pytest.warns(UserWarning, match=r"'b2' is of patient 'b', as training slides \['B1'\] are"):
        assert predict(slides(b2=tissue_picture(4)), trained[0]) == ["new slide"]


def test_a_slide_of_another_patient_is_new(trained):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert predict(slides(D1=tissue_picture(5)), trained[0]) == ["new slide"]


def test_a_folder_of_an_earlier_version_knows_no_pictures(trained, tmp_path):
    assert set(Relatives.of(trained[0]).signatures) == {"A1", "B1", "C1"}
    sdata = draw_cohort(0, n_slides=3)
    model = sh.tl.fit(sdata, out=tmp_path / "model", **OPTIONS)
    (model.folder / FILE).write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"signatures\.safetensors is broken"):
        Relatives.of(model)
    (model.folder / FILE).unlink()
    assert Relatives.of(model).signatures == {}
