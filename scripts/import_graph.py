"""Which file of the package imports which, read from the syntax tree: nothing is imported, nothing is run."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path

PACKAGE = "spatialhist"


def read_imports(src: Path) -> dict[str, set[str]]:
    """Return the files that each file of the package imports, as paths relative to `src`.

    Imports inside functions and under `TYPE_CHECKING` count. A public name counts as the file that provides it, not as
    the `__init__.py` that hands it on.
    """
    files = {path.relative_to(src).as_posix(): path for path in sorted(src.rglob("*.py"))}
    provided = {name: lazy_names(path) for name, path in files.items() if path.name == "__init__.py"}
    return {
        name: {_providing_file(parts, files, provided) for parts in _imported(path, src)} - {name}
        for name, path in files.items()
    }


def lazy_names(init: Path) -> dict[str, list[str]]:
    """Return the public names by the file that provides them, as `lazy.attach(submod_attrs=...)` lists them."""
    for node in ast.walk(parse(init)):
        if isinstance(node, ast.keyword) and node.arg == "submod_attrs":
            return ast.literal_eval(node.value)
    return {}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_names(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    """Return absolute dotted names of what one statement imports; `package` is the one it stands in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) + 1 - node.level] if node.level else ()
        origin = ".".join([*base, *filter(None, [node.module])])
        return [f"{origin}.{alias.name}" for alias in node.names]
    return []


def fold(graph: dict[str, set[str]], place_of: Callable[[str], str]) -> dict[str, set[str]]:
    """Return the graph between the places that files lie in."""
    folded: dict[str, set[str]] = {}
    for file, imported in graph.items():
        place = place_of(file)
        folded.setdefault(place, set()).update({place_of(other) for other in imported} - {place})
    return folded


def folder_of(file: str) -> str:
    """Return the folder of a file; a file directly in the package stands for itself."""
    return file.rpartition("/")[0] or file


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of imports, its first member repeated at the end, or an empty list."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def _imported(path: Path, src: Path) -> Iterator[list[str]]:
    package = (PACKAGE, *path.relative_to(src).parent.parts)
    for node in ast.walk(parse(path)):
        for name in imported_names(node, package):
            root, *parts = name.split(".")
            if root == PACKAGE:
                yield parts


def _providing_file(parts: list[str], files: Container[str], provided: dict[str, dict[str, list[str]]]) -> str:
    """Follow a dotted name to the deepest file that has it."""
    package = ""
    for part in parts:
        if f"{package}{part}.py" in files:
            return f"{package}{part}.py"
        if f"{package}{part}/__init__.py" not in files:
            return _behind(f"{package}__init__.py", part, provided)
        package += f"{part}/"
    return f"{package}__init__.py"


def _behind(init: str, name: str, provided: dict[str, dict[str, list[str]]]) -> str:
    modules = (module for module, names in provided[init].items() if name in names)
    module = next(modules, "__init__")
    return init.removesuffix("__init__.py") + module.replace(".", "/") + ".py"
