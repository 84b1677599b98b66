"""How the package is built: where files lie, what may import what, and what is done in one place only."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from import_graph import find_circle, fold, folder_of, lazy_names, parse, read_imports

import spatialhist

SRC = Path(spatialhist.__file__).parent

# one floor a line, the lowest first; a file stands on the floor of its nearest folder that is named here, imports from
# the floors below, from its own place, and from no other place on its own floor
FLOORS = (
    {"_keys", "_runtime"},
    {"_sdata"},
    {"nn", "metrics"},
    {"io", "pp", "tiles"},
    {"tl/_data"},
    {"tl/_predictors", "tl/_scores"},
    {"tl/_runs"},
    {"tl/_inference"},
    {"tl", "pl"},
    {"datasets"},
    {"report"},
    {"cli/_console", "cli/_contents"},
    {"cli"},
)
FLOOR = {place: floor for floor, places in enumerate(FLOORS) for place in places}
# these import nothing of the package: `import spatialhist.nn` works where there is only torch
ALONE = {"nn", "metrics"}
# `pp.save` is `io.save`
EXCEPTIONS = {("pp", "io")}
# these use the package as a notebook does, by its public names
USERS = {"cli", "cli/_console", "cli/_contents", "report"}

OBJECTS = {"SpatialData", "Cohort"}
OBJECT_NAMES = {"sdata", "cohort"}

HANDLES = {"AsWritten", "CrossValidation", "Model", "Stack"}
ON_DISK = {"os.rename", "os.replace", "shutil.move", "tempfile.mkstemp", "tempfile.NamedTemporaryFile"}
WRITES_FILES = {"_runtime/files.py"}


# ----------------------------------------------------------------------------------------------------------------------
# where files lie


def public_modules(src: Path) -> list[Path]:
    return sorted(init.parent for init in src.glob("[a-z]*/__init__.py") if lazy_names(init))


def misplaced_files(src: Path) -> list[str]:
    """Return files directly in a public module that provide none of its names."""
    return [
        path.relative_to(src).as_posix()
        for module in public_modules(src)
        for path in sorted(module.glob("*.py"))
        if path.name != "__init__.py" and path.stem not in lazy_names(module / "__init__.py")
    ]


def folders_open_to_users(src: Path) -> list[str]:
    """Return folders of code inside a public module that do not say by an underscore that they are private."""
    folders = (path for module in public_modules(src) for path in module.rglob("*") if any(path.glob("*.py")))
    return [path.relative_to(src).as_posix() for path in folders if not path.name.startswith("_")]


def test_a_listing_shows_the_public_names():
    assert [module.name for module in public_modules(SRC)] == spatialhist.__all__
    assert misplaced_files(SRC) == []
    assert folders_open_to_users(SRC) == []


def test_listing_rule_bites(tmp_path):
    names = 'lazy.attach(__name__, submod_attrs={"_mask": ["mask"], "_stain.fit": ["Reference"]})'
    write(tmp_path, {"pp/__init__.py": names, "pp/_mask.py": "", "pp/_ranks.py": "", "pp/_stain/fit.py": ""})
    write(tmp_path, {"_sdata/__init__.py": "", "_sdata/slide.py": "", "pp/tools/__init__.py": ""})
    assert misplaced_files(tmp_path) == ["pp/_ranks.py"]
    assert folders_open_to_users(tmp_path) == ["pp/tools"]


# ----------------------------------------------------------------------------------------------------------------------
# what may import what


def place_of(file: str) -> str:
    """Return the innermost place of `FLOORS` that a file lies in."""
    parts = Path(file).with_suffix("").parts
    nested = ("/".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    return next((place for place in nested if place in FLOOR), "/".join(parts))


def is_allowed(place: str, other: str) -> bool:
    if place == other or (place, other) in EXCEPTIONS:
        return True
    if other == "__init__":
        return place in USERS
    if place in ALONE or place not in FLOOR or other not in FLOOR:
        return False
    return FLOOR[other] < FLOOR[place]


def imports_going_up(src: Path) -> list[str]:
    return [
        f"{file} imports {other}"
        for file, imported in read_imports(src).items()
        for other in sorted(imported)
        if not is_allowed(place_of(file), place_of(other))
    ]


def test_imports_run_down():
    assert imports_going_up(SRC) == []


def test_no_import_runs_in_a_circle():
    graph = read_imports(SRC)
    assert find_circle(graph) == []
    assert find_circle(fold(graph, folder_of)) == []


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("pp/_mask.py", "from ..tl import predict"),
        ("pp/_mask.py", "def f():\n    from spatialhist.tl._predict import predict"),
        ("pp/_mask.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .. import tl"),
        ("_keys.py", "from . import _sdata"),
        ("_runtime/files.py", "from .._keys import TABLE"),
        ("_sdata/slide.py", "import spatialhist.io"),
        ("_sdata/slide.py", "from ..metrics import pearson"),
        ("tl/_fit.py", "from ..pl import genes"),
        ("tl/_data/gather.py", "from .._fit import fit"),
        ("tl/_data/gather.py", "from .. import fit"),
        ("tl/_scores/scorer.py", "from .._predictors.linear import Ridge"),
        ("tl/_runs/plan.py", "from spatialhist.tl._inference import layers"),
        ("nn/_mlp.py", "from .._keys import TABLE"),
        ("metrics/_scores.py", "from ..nn import StackingMLP"),
        ("io/_st.py", "import spatialhist as sh"),
        ("cli/_console.py", "from ._app import app"),
        ("_scratch.py", "from ._keys import TABLE"),
    ],
)
def test_floor_rule_bites(house, file, statement):
    write(house, {file: statement})
    assert len(imports_going_up(house)) == 1


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        (
            "pp/_mask.py",
            "from .._sdata import slide\nfrom . import _tissue\nfrom ._tissue.find import find\nimport numpy",
        ),
        (
            "tl/_fit.py",
            "from ..nn import StackingMLP\nfrom ..pp import rank\nfrom ._inference.layers import provenance",
        ),
        (
            "tl/_runs/plan.py",
            "from .._scores.scorer import Scorer\nfrom .folder import write\nfrom .._data import gather",
        ),
        ("cli/_app.py", "from spatialhist import tl, report\nfrom spatialhist.cli._console import say"),
        ("report/_page/facts.py", "import spatialhist as sh"),
    ],
)
def test_floor_rule_lets_pass(house, file, statement):
    write(house, {file: statement})
    assert imports_going_up(house) == []


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        ({"a.py": "from .b import f", "b.py": "def f():\n    from .a import g"}, {"a.py", "b.py"}),
        ({"p/a.py": "from ..q.b import f", "q/b.py": "import spatialhist.p.a"}, {"p/a.py", "q/b.py"}),
    ],
)
def test_circle_rule_bites(tmp_path, files, circle):
    write(tmp_path, {"p/__init__.py": "", "q/__init__.py": "", "__init__.py": ""})
    write(tmp_path, files)
    assert set(find_circle(read_imports(tmp_path))) == circle


def test_circle_between_folders_is_found_where_files_have_none(tmp_path):
    write(tmp_path, {"p/__init__.py": "", "p/a.py": "from ..q.b import f", "p/c.py": ""})
    write(tmp_path, {"q/__init__.py": "", "q/b.py": "", "q/d.py": "from ..p.c import f"})
    graph = read_imports(tmp_path)
    assert find_circle(graph) == []
    assert set(find_circle(fold(graph, folder_of))) == {"p", "q"}


def test_public_name_counts_as_the_file_that_provides_it(tmp_path):
    names = 'lazy.attach(__name__, submod_attrs={"_fit": ["fit"], "_runs.model": ["Model"]})'
    write(tmp_path, {"tl/__init__.py": names, "tl/_fit.py": "", "tl/_runs/__init__.py": "", "tl/_runs/model.py": ""})
    write(tmp_path, {"cli.py": "from .tl import Model, fit\nfrom . import tl"})
    assert read_imports(tmp_path)["cli.py"] == {"tl/_runs/model.py", "tl/_fit.py", "tl/__init__.py"}


# ----------------------------------------------------------------------------------------------------------------------
# who takes the object


def takers_of_the_object(src: Path) -> list[str]:
    """Return what takes a `SpatialData` or a cohort in `tl`, `pp`, `tiles` and `pl`, and is not public."""
    return [
        f"{path.relative_to(src).as_posix()}: {name}"
        for module in public_modules(src)
        if module.name in {"tl", "pp", "tiles", "pl"}
        for path in sorted(module.rglob("*.py"))
        for name, node in definitions(parse(path))
        if takes_the_object(node) and not is_public(name, path, module)
    ]


def definitions(tree: ast.AST, parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """Yield functions and classes with their qualified names."""
    for node in ast.iter_child_nodes(tree):
        inside = parents
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield ".".join([*parents, node.name]), node
            inside = (*parents, node.name) if isinstance(node, ast.ClassDef) else (*parents, node.name, "<locals>")
        yield from definitions(node, inside)


def takes_the_object(node: ast.AST) -> bool:
    """Return whether an argument, or a field of a dataclass, is the object by its name or its annotation."""
    if isinstance(node, ast.ClassDef):
        return any(
            isinstance(field, ast.AnnAssign) and names_in(field) & (OBJECTS | OBJECT_NAMES) for field in node.body
        )
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(one.arg in OBJECT_NAMES or names_in(one.annotation) & OBJECTS for one in arguments)


def names_in(node: ast.AST | None) -> set[str]:
    inside = list(ast.walk(node)) if node else []
    return {one.id for one in inside if isinstance(one, ast.Name)} | {
        one.attr for one in inside if isinstance(one, ast.Attribute)
    }


def is_public(name: str, path: Path, module: Path) -> bool:
    first, *rest = name.split(".")
    file = path.relative_to(module).with_suffix("").as_posix().replace("/", ".")
    listed = first in lazy_names(module / "__init__.py").get(file, [])
    return listed and all(part[0].isalpha() or part == "__init__" for part in rest)


def test_below_the_verbs_nobody_takes_the_object():
    assert takers_of_the_object(SRC) == []


@pytest.mark.parametrize(
    ("code", "taker"),
    [
        ("def _part(sdata): ...", "_part"),
        ("def _part(*, cohort=None): ...", "_part"),
        ("def _part(a: Cohort): ...", "_part"),
        ("def _part(a: list[sd.SpatialData] | None): ...", "_part"),
        ("def predict(sdata):\n    def part(sdata): ...", "predict.<locals>.part"),
        ("@dataclass\nclass Part:\n    rows: int\n    of: Cohort", "Part"),
        ("class Run:\n    def _open(self, sdata): ...", "Run._open"),
        ("class Part:\n    def of(sdata): ...", "Part.of"),
    ],
)
def test_object_rule_bites(tmp_path, code, taker):
    names = 'lazy.attach(__name__, submod_attrs={"_predict": ["predict", "Run"]})'
    write(tmp_path, {"tl/__init__.py": names, "tl/_predict.py": code})
    assert takers_of_the_object(tmp_path) == [f"tl/_predict.py: {taker}"]


def test_object_rule_lets_public_names_pass(tmp_path):
    names = 'lazy.attach(__name__, submod_attrs={"_predict": ["predict"], "_loading.dataset": ["Tiles"]})'
    tiles = "class Tiles:\n    def __init__(self, sdata): ...\n    def add(self, sdata): ..."
    write(tmp_path, {"tiles/__init__.py": names, "tiles/_loading/dataset.py": tiles})
    write(tmp_path, {"tiles/_predict.py": "def predict(sdata: SpatialData): ...\ndef _part(slide): ..."})
    assert takers_of_the_object(tmp_path) == []


# ----------------------------------------------------------------------------------------------------------------------
# what is done in one place only


def find_nodes(src: Path, matches: Callable[[ast.AST], bool]) -> list[str]:
    """Return file and line of the nodes of the syntax tree that match."""
    return [
        f"{path.relative_to(src).as_posix()}:{node.lineno}"
        for path in sorted(src.rglob("*.py"))
        for node in ast.walk(parse(path))
        if matches(node)
    ]


def outside(found: list[str], files: set[str]) -> list[str]:
    return [place for place in found if place.rpartition(":")[0] not in files]


def is_switch_over_handles(node: ast.AST) -> bool:
    if isinstance(node, ast.MatchClass):
        return bool(names_in(node.cls) & HANDLES)
    return is_call(node, "isinstance") and bool(names_in(node.args[1]) & HANDLES)


def is_manifest_subscript(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and last_name(node.value).endswith("manifest")


def is_rename_on_disk(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    # `path.replace(target)` and `path.rename(target)`; those of strings and tables take two arguments or keywords
    moves_path = last_name(node.func) in {"rename", "replace"} and len(node.args) == 1 and not node.keywords
    return ast.unparse(node.func) in ON_DISK or (moves_path and isinstance(node.func, ast.Attribute))


def is_choice_check(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return any(is_call(other, "get_args") for other in node.comparators)
    return isinstance(node, ast.Raise) and "is not one of" in ast.unparse(node)


def is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == name


def last_name(node: ast.AST) -> str:
    return getattr(node, "attr", None) or getattr(node, "id", "")


def test_no_switch_over_handles():
    assert find_nodes(SRC, is_switch_over_handles) == []


def test_manifests_are_read_by_name():
    assert find_nodes(SRC, is_manifest_subscript) == []


def test_files_are_renamed_in_one_place():
    assert outside(find_nodes(SRC, is_rename_on_disk), WRITES_FILES) == []


def test_choices_are_checked_in_one_place():
    assert outside(find_nodes(SRC, is_choice_check), {"_runtime/checks.py"}) == []


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (is_switch_over_handles, "isinstance(a, Model | Stack)", "isinstance(a, str | Path)"),
        (is_switch_over_handles, "isinstance(a, (str, tl.CrossValidation))", "issubclass(a, Model)"),
        (is_switch_over_handles, "match a:\n    case Model(): pass", "match a:\n    case str(): pass"),
        (is_manifest_subscript, "self.manifest['genes']", "self.manifest.genes"),
        (is_manifest_subscript, "manifest['genes']", "written['manifest']"),
        (is_choice_check, "a not in get_args(Method)", "get_args(Method).index(a)"),
        (is_choice_check, "raise ValueError(f'{a} is not one of {b}')", "raise ValueError(f'{a} is no {b}')"),
        (is_rename_on_disk, "os.replace(a, b)", "dataclasses.replace(a, b=1)"),
        (is_rename_on_disk, "part.rename(target)", "frame.rename(columns=names)"),
        (is_rename_on_disk, "part.replace(target)", "text.replace('a', 'b')"),
        (is_rename_on_disk, "tempfile.mkstemp()", "files.replace(old, new)"),
    ],
)
def test_rules_of_one_place_bite(tmp_path, rule, bad, good):
    write(tmp_path, {"tl/_bad.py": f"import os\n{bad}", "tl/_good.py": f"import os\n{good}"})
    assert [place.rpartition(":")[0] for place in find_nodes(tmp_path, rule)] == ["tl/_bad.py"]


@pytest.fixture
def house(tmp_path):
    """Return a made-up tree with one empty file or folder a place."""
    for place in FLOOR:
        is_file = place in {"_keys", "cli/_console", "cli/_contents"}
        write(tmp_path, {f"{place}.py" if is_file else f"{place}/__init__.py": ""})
    for file in ("tl/_predict.py", "tl/_fit.py", "tl/_inference/layers.py", "cli/_app.py", "pp/_tissue/find.py"):
        write(tmp_path, {file: ""})
    write(tmp_path, {"__init__.py": ""})
    return tmp_path


def write(src: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = src / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
