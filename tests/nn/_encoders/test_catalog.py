import pytest

from spatialhist.nn import ColorTexture
from spatialhist.nn._encoders.catalog import CATALOG, FROM_LAZYSLIDE, find_named, is_built_in, letters, near_names


def test_names_stay_apart_without_case_and_separators():
    assert len({letters(entry.name) for entry in CATALOG}) == len(CATALOG)


@pytest.mark.parametrize("spelled", ["phikon-v2", "Phikon_V2", "phikonv2"])
def test_a_name_is_found_however_it_is_spelled(spelled):
    assert find_named(spelled).weights == "huggingface.co/owkin/phikon-v2"


@pytest.mark.parametrize("name", "uni2 virchow2 h-optimus-1 h0-mini phikon-v2 conch gigapath midnight".split())
def test_well_known_names_are_there(name):
    entry = find_named(name)
    assert entry.um_per_pixel == 0.5 and entry.pixels >= 224 and not is_built_in(name)


def test_color_texture_is_listed_as_it_is():
    entry, made = find_named("color_texture"), ColorTexture()
    assert (entry.dimension, entry.pixels, entry.um_per_pixel) == (made.dimension, made.pixels, made.um_per_pixel)
    assert is_built_in("color_texture") and not entry.gated


def test_near_names_start_with_what_was_begun():
    assert near_names("conc", ["virchow", "crown", "conch"])[0] == "conch"
    assert near_names("xyz", ["virchow", "crown"]) == []


def test_the_installed_registry_says_the_same():
    """Dimension, gate and weights; a release of lazyslide-models that differs has to be looked at."""
    registry = pytest.importorskip("lazyslide_models", reason="lazyslide-models is not installed").MODEL_REGISTRY
    for entry in FROM_LAZYSLIDE:
        stated = registry[entry.name]
        assert (entry.dimension, entry.gated) == (stated.encode_dim, stated.is_gated), entry.name
        # of hibou-l it gives the page of the smaller one
        if stated.hf_url and entry.name != "hibou-l":
            assert f"https://{entry.weights}" == stated.hf_url
