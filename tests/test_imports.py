"""What may import what, and what an import may cost."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import spatialhist

SRC = Path(spatialhist.__file__).parent

# one layer a line; a module imports from the layers above it, and nothing from its own
LAYERS = (
    {"_keys", "_runtime"},
    {"_sdata"},
    {"io", "datasets", "pp", "tiles"},
    {"pl", "tl"},
    {"report"},
    {"cli"},
)
LAYER = {room: depth for depth, rooms in enumerate(LAYERS) for room in rooms}
# these import nothing of the package; every module from the third layer on may use them
BESIDE = {
    "nn": {"lazy_loader", "torch"},
    "metrics": {"lazy_loader", "numpy", "pandas", "scipy", "skimage", "sklearn"},
}
# the synthetic cohort is made with the public constructor, not with a second one; `pp.save` is `io.save`
EXCEPTIONS = {("datasets", "io"), ("pp", "io")}
# these use the package as a notebook does, by its public names
USERS = {"cli", "report"}

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


def room_of(path: Path, src: Path) -> str:
    return path.relative_to(src).parts[0].removesuffix(".py")


def imported_names(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    """Return absolute dotted names of what one statement imports; `package` is the one it stands in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) + 1 - node.level] if node.level else ()
        origin = ".".join([*base, *filter(None, [node.module])])
        return [f"{origin}.{alias.name}" for alias in node.names]
    return []


def rooms_imported(path: Path, src: Path) -> Iterator[str]:
    package = ("spatialhist", *path.relative_to(src).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in imported_names(node, package):
            parts = name.split(".")
            if parts[0] == "spatialhist":
                yield parts[1] if len(parts) > 1 else "spatialhist"


def is_allowed(room: str, other: str) -> bool:
    if other in {room, "__version__"} or (room, other) in EXCEPTIONS:
        return True
    if other == "spatialhist":
        return room in USERS
    if room in BESIDE or other not in LAYER.keys() | BESIDE.keys():
        return False
    return LAYER[room] >= 2 if other in BESIDE else LAYER[other] < LAYER[room]


def violations(src: Path) -> list[str]:
    files = (path for path in sorted(src.rglob("*.py")) if path != src / "__init__.py")
    return [
        f"{path.relative_to(src)} imports {other}"
        for path in files
        for other in rooms_imported(path, src)
        if not is_allowed(room_of(path, src), other)
    ]


def test_imports_run_one_way():
    assert violations(SRC) == []


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("pp/_mask.py", "from ..tl import predict"),
        ("pp/_mask.py", "def f():\n    from spatialhist.tl._predict import predict"),
        ("pp/_mask.py", "from .. import tl"),
        ("_keys.py", "from . import _sdata"),
        ("_sdata/_read.py", "import spatialhist.io"),
        ("_sdata/_read.py", "from ..metrics import pearson"),
        ("tl/_fit.py", "from ..pl import genes"),
        ("nn/_mlp.py", "from .._keys import TABLE"),
        ("metrics/_scores.py", "from ..nn import StackingMLP"),
        ("io/_st.py", "import spatialhist as sh"),
    ],
)
def test_import_rule_bites(tmp_path, file, statement):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(statement)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("pp/_mask.py", "from .._sdata import slides\nfrom . import _grid\nfrom ._grid import grid\nimport numpy"),
        ("tl/_fit.py", "from ..nn import StackingMLP\nfrom ..pp import rank_expression\nfrom .. import __version__"),
        ("cli/_app.py", "from spatialhist import tl, report"),
    ],
)
def test_import_rule_lets_pass(tmp_path, file, statement):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(statement)
    assert violations(tmp_path) == []


@pytest.mark.parametrize("room", BESIDE)
def test_rooms_beside_need_only_their_own_libraries(room):
    allowed = BESIDE[room] | sys.stdlib_module_names | {"spatialhist"}
    for path in (SRC / room).rglob("*.py"):
        package = ("spatialhist", *path.relative_to(SRC).parent.parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in imported_names(node, package):
                assert name.split(".")[0] in allowed, f"{path.name} imports {name} at module level"


def test_preprocessing_never_imports_torch():
    for path in (SRC / "pp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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


def modules_loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("room", spatialhist.__all__)
def test_every_listed_name_resolves(room):
    module = importlib.import_module(f"spatialhist.{room}")
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, names in PUBLIC.items() for name in names])
def test_fixed_public_name_is_listed(room, name):
    assert name in importlib.import_module(f"spatialhist.{room}").__all__


def test_version_is_that_of_the_distribution():
    assert spatialhist.__version__ == importlib.metadata.version("spatialhist")
