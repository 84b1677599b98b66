"""How docstrings of public names render: the sections that a reader of the API pages sees."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

import pytest

import spatialhist

PUBLIC = [
    (module, name)
    for module in spatialhist.__all__
    for name in importlib.import_module(f"spatialhist.{module}").__all__
]


def documented(module: str, name: str) -> Iterator[tuple[str, str]]:
    """A public object, and the methods that its page shows, with their docstrings."""
    found = getattr(importlib.import_module(f"spatialhist.{module}"), name)
    if not callable(found):  # a constant has no docstring of its own
        return
    yield name, inspect.getdoc(found) or ""
    if inspect.isclass(found):
        for method, value in vars(found).items():
            if method[0] != "_" and (inspect.isfunction(value) or isinstance(value, classmethod | staticmethod)):
                yield f"{name}.{method}", inspect.getdoc(getattr(found, method)) or ""


def html_of(docstring: str) -> str:
    """What Sphinx makes of a docstring."""
    from docutils.core import publish_parts
    from sphinx.ext.napoleon import Config, NumpyDocstring

    text = str(NumpyDocstring(docstring, Config(napoleon_use_rtype=True)))
    settings = {"report_level": 5, "default_role": "literal"}
    return publish_parts(text, writer_name="html5", settings_overrides=settings)["body"]


def returns_of(html: str) -> str:
    """The field of a page that says what is returned."""
    start = html.lower().find("<dt>returns<")
    return html[start : html.find("</dd>", start)] if start >= 0 else ""


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[f"{m}.{n}" for m, n in PUBLIC])
def test_returns_is_a_paragraph(module, name):
    pytest.importorskip("sphinx")
    for what, docstring in documented(module, name):
        assert "<li><p><em>" not in returns_of(html_of(docstring)), f"Returns of {what} is broken into bullets"


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[f"{m}.{n}" for m, n in PUBLIC])
def test_first_line_of_a_property_is_a_sentence(module, name):
    pytest.importorskip("sphinx")
    found = getattr(importlib.import_module(f"spatialhist.{module}"), name)
    properties = inspect.getmembers(found, lambda value: isinstance(value, property)) if inspect.isclass(found) else []
    for member, value in properties:
        assert not is_split(inspect.getdoc(value) or ""), f"the page of {name} takes the line of {member} for its type"


def is_split(docstring: str) -> bool:
    """Whether Sphinx takes what stands before a colon for the type of a property."""
    from sphinx.ext.napoleon import Config, NumpyDocstring

    return ":type:" in str(NumpyDocstring(docstring, Config(), what="property", name="member"))


def test_split_properties_are_seen():
    pytest.importorskip("sphinx")
    assert is_split("Genes: those of the panel.")
    assert not is_split("Genes, those of the panel ``a: b``.")


def test_broken_returns_are_seen():
    pytest.importorskip("sphinx")
    broken = "Do it.\n\nReturns\n-------\nThe first of two lines, which is no type,\nand the second one."
    right = "Do it.\n\nReturns\n-------\nint\n    The first of two lines, which is no type,\n    and the second one."
    assert "<li><p><em>" in returns_of(html_of(broken))
    assert returns_of(html_of(right)).count("second one") == 1 and "<li>" not in returns_of(html_of(right))


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[f"{m}.{n}" for m, n in PUBLIC])
def test_a_docstring_starts_with_one_sentence(module, name):
    for what, docstring in documented(module, name):
        first = docstring.split("\n\n")[0]
        assert first.endswith((".", ":", "?")) and "\n" not in first, f"{what}: {first!r}"
