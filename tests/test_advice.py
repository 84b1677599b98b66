"""Messages of the package advise only what works: names exist, calls bind, and advice that is followed helps."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from import_graph import lazy_names, parse, read_imports

import spatialhist as sh

SRC = Path(sh.__file__).parent
MODULES = "|".join(sh.__all__)
OTHERS = {
    "Image2DModel": "spatialdata.models:Image2DModel",
    "ShapesModel": "spatialdata.models:ShapesModel",
    "TableModel": "spatialdata.models:TableModel",
    "get_transformation": "spatialdata.transformations:get_transformation",
    "set_transformation": "spatialdata.transformations:set_transformation",
    "spatialdata": "spatialdata",
    "spatialdata_io": "spatialdata_io",
    "scanpy": "scanpy",
    "anndata": "anndata",
}
"""What messages name of other packages."""
CALL = re.compile(
    rf"(?<![\w.])(?:sh\.(?:{MODULES})|(?:pp|tl|pl|io))\.\w+(?:\.\w+)*\(|(?<![\w.])(?:{'|'.join(OTHERS)})(?:\.\w+)*\("
)
NAME = re.compile(rf"(?<![\w./])(?:sh\.(?:{MODULES})|(?:pp|tl|pl|io))\.[A-Za-z]\w+")
ARGUMENT = re.compile(r"(?<![\w.\]=-])([a-z]\w*)=(?!=)")


class Message(NamedTuple):
    file: str
    line: int
    text: str


# ----------------------------------------------------------------------------------------------------------------------
# what messages say


@cache
def messages() -> tuple[Message, ...]:
    """Return the texts of the package that are no docstrings; what is filled in later stands as `_`."""
    return tuple(
        Message(path.relative_to(SRC).as_posix(), line, text)
        for path in sorted(SRC.rglob("*.py"))
        for line, text in texts(parse(path))
        if " " in text
    )


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        text = as_text(child)
        if text is None:
            yield from texts(child)
        else:
            yield child.lineno, text


def as_text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "_" for part in node.values)
    return None


def calls_in(text: str) -> list[str]:
    """Return the calls that a message names, up to the bracket that closes them."""
    return [closed(text[found.start() :]) for found in CALL.finditer(text)]


def closed(text: str) -> str:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and not depth:
            return text[: i + 1]
    return text + ")" * depth


def as_call(text: str) -> ast.Call:
    """Return a call as Python; `image=` without a value gets one."""
    return ast.parse(re.sub(r"=(?=[,)])", "=None", text), mode="eval").body  # type: ignore[return-value]


def find(name: str) -> object:
    """Return what a dotted name of a message means; AttributeError where there is no such thing."""
    first, *rest = name.removeprefix("sh.").split(".")
    if first in OTHERS:
        module, _, member = OTHERS[first].partition(":")
        found: object = importlib.import_module(module)
        rest = [*filter(None, [member]), *rest]
    else:
        found = getattr(sh, first)
    for part in rest:
        found = getattr(found, part)
    return found


def bound(call: ast.Call, function: Callable[..., object]) -> None:
    """Bind the arguments of a call; TypeError where one does not exist, or one is missing in a call without `...`."""
    positional = [arg for arg in call.args if not (isinstance(arg, ast.Constant) and arg.value is ...)]
    named = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    whole = len(positional) == len(call.args) and call.args
    signature = inspect.signature(function)
    (signature.bind if whole else signature.bind_partial)(*positional, **named)


def installed(name: str) -> bool:
    first = name.removeprefix("sh.").split(".")[0]
    return first not in OTHERS or importlib.util.find_spec(OTHERS[first].split(":")[0].split(".")[0]) is not None


NAMED_CALLS = [(message, call) for message in messages() for call in calls_in(message.text)]


@pytest.mark.parametrize(("message", "text"), NAMED_CALLS, ids=range(len(NAMED_CALLS)))
def test_calls_in_messages_can_be_made(message, text):
    call = as_call(text)
    name = ast.unparse(call.func)
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    bound(call, find(name))


def test_names_in_messages_exist():
    named = {(name, m.file) for m in messages() for name in NAME.findall(m.text)}
    missing = []
    for name, file in sorted(named):
        try:
            find(name)
        except AttributeError:
            missing.append(f"{file}: {name}")
    assert len(named) > 20 and missing == []


# ----------------------------------------------------------------------------------------------------------------------
# arguments that messages name


@cache
def users_of() -> dict[str, set[str]]:
    """Return the public files that each file of the package is used by, itself included."""
    imports = read_imports(SRC)
    public = {f"{m}/{file.replace('.', '/')}.py" for m in sh.__all__ for file in lazy_names(SRC / m / "__init__.py")}
    users: dict[str, set[str]] = {file: set() for file in imports}
    for file in public & set(imports):
        todo, seen = [file], set()
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                users[one].add(file)
                todo += imports[one]
    return users


@cache
def parameters_of(file: str) -> set[str]:
    """Return the parameters of the public names of a file, and of the methods of those that are classes."""
    module, _, path = file.partition("/")
    names = lazy_names(SRC / module / "__init__.py")[path.removesuffix(".py").replace("/", ".")]
    found: set[str] = set()
    for name in names:
        thing = getattr(getattr(sh, module), name)
        for function in [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]:
            if callable(function):
                try:
                    found |= set(inspect.signature(function).parameters)
                except (TypeError, ValueError):
                    continue
    return found


def arguments_in(text: str) -> set[str]:
    """Return the arguments that a message names outside of calls."""
    for start in reversed([found.start() for found in re.finditer(r"(?<![\w.])[A-Za-z_][\w.\[\]]*\(", text)]):
        text = text.replace(closed(text[start:]), "")
    return set(ARGUMENT.findall(text))


def arguments_of_named(text: str) -> set[str]:
    """Return the parameters of the public functions that a message names."""
    named = [find(name) for name in NAME.findall(text)]
    return {
        parameter for function in named if callable(function) for parameter in inspect.signature(function).parameters
    }


def test_arguments_in_messages_are_those_of_the_function_that_is_called_or_named():
    fields = set(vars(sh.tl.Predictor))
    wrong = [
        f"{m.file}:{m.line}: {argument}= in {m.text!r}"
        for m in messages()
        if not m.file.startswith("cli/")
        for argument in sorted(arguments_in(m.text) - arguments_of_named(m.text) - fields)
        if not any(argument in parameters_of(user) for user in users_of()[m.file])
    ]
    assert wrong == []


def test_what_tests_of_messages_look_at():
    assert calls_in("call sh.pp.a(f(x), b=) or pp.b") == ["sh.pp.a(f(x), b=)"]
    assert arguments_in("a=3 is not one of [1], pass b=, or sh.tl.fit(c=)") == {"a", "b"}
    with pytest.raises(TypeError, match="image"):
        bound(as_call("sh.pp.mask_background(sdata, image=)"), sh.pp.mask_background)
    with pytest.raises(TypeError, match="missing"):
        bound(as_call("sh.io.from_arrays(image)"), sh.io.from_arrays)
    with pytest.raises(AttributeError):
        find("sh.pp.no_such_step")


def test_extras_in_messages_exist():
    known = set(importlib.metadata.metadata("spatialhist").get_all("Provides-Extra"))
    named = {extra for m in messages() for extra in re.findall(r"spatialhist\[(\w+)\]", m.text)}
    assert named and named <= known
