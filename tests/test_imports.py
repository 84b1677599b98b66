"""What an import may cost, and which names it gives; `test_house.py` holds what may import what."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import imported_names, parse

import spatialhist

SRC = Path(spatialhist.__file__).parent
MODEL = SRC / "datasets" / "_models" / "her2st"

# all that these need
LIBRARIES = {
    "nn": {"lazy_loader", "torch"},
    "metrics": {"lazy_loader", "numpy", "pandas", "scipy", "skimage", "sklearn"},
}

PUBLIC = {
    "datasets": ["synthetic"],
    "io": ["concat", "from_arrays", "read_challenge", "read_st", "read_visium", "write_submission"],
    "pp": [
        "filter_spots",
        "log_normalize",
        "mask_background",
        "normalize_stain",
        "rank_expression",
        "realign",
        "save",
        "select_genes",
        "smooth_expression",
        "spot_distances",
    ],
    "tiles": ["TileDataset", "TileSpec"],
    "nn": ["StackingMLP", "VisionMLPMultiTask"],
    "tl": ["cross_validate", "evaluate", "fit", "predict", "stack"],
    "pl": ["alignment", "genes", "scores", "stain", "tiles", "training"],
}


@pytest.mark.parametrize("module", LIBRARIES)
def test_networks_and_metrics_need_only_their_own_libraries(module):
    allowed = LIBRARIES[module] | sys.stdlib_module_names | {"spatialhist"}
    for path in (SRC / module).rglob("*.py"):
        package = ("spatialhist", *path.relative_to(SRC).parent.parts)
        for node in parse(path).body:
            for name in imported_names(node, package):
                assert name.split(".")[0] in allowed, f"{path.name} imports {name} at module level"


def test_preprocessing_never_imports_torch():
    for path in (SRC / "pp").rglob("*.py"):
        for node in ast.walk(parse(path)):
            for name in imported_names(node, ("spatialhist", "pp")):
                assert name.split(".")[0] not in {"torch", "lightning"}, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "statement",
    ["import spatialhist", "import spatialhist.pp", "from spatialhist.pp import *", "from spatialhist.io import *"],
)
def test_import_is_light(statement):
    loaded = modules_loaded_by(statement)
    assert "spatialhist" in loaded
    assert not loaded & {"torch", "lightning", "squidpy", "scanpy"}


def test_a_model_is_described_from_its_files_alone():
    loaded = modules_loaded_by(f"from spatialhist.cli import app\napp(['info', {str(MODEL)!r}], standalone_mode=False)")
    assert "spatialhist.tl._load" in loaded
    assert not loaded & {"torch", "lightning", "numba", "pandas", "scipy.stats", "sklearn", "spatialdata", "zarr"}


def test_lightning_is_loaded_to_train_on_pixels_alone():
    loaded = modules_loaded_by("import spatialhist.tl._predictors.networks, spatialhist.tl._predictors.short_training")
    assert "torch" in loaded
    assert "lightning" not in loaded


def modules_loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", spatialhist.__all__)
def test_every_listed_name_resolves(module):
    imported = importlib.import_module(f"spatialhist.{module}")
    assert imported.__all__
    for name in imported.__all__:
        assert getattr(imported, name) is not None


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names])
def test_fixed_public_name_is_listed(module, name):
    assert name in importlib.import_module(f"spatialhist.{module}").__all__


def test_version_is_that_of_the_distribution():
    assert spatialhist.__version__ == importlib.metadata.version("spatialhist")
