"""The page itself: what is on it, as text that holds no name from the data outside of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spatialhist._runtime.text import printable
from spatialhist.report._explore_page.figures import panels

HERE = Path(__file__).parent
TEMPLATE = "explore.html.j2"
SCRIPTS = ("decode", "spots", "looks", "panels", "selection", "page")
"""In the order in which they use each other."""


def as_json(facts: Any) -> str:
    """JSON that can stand inside of a script element, with characters that are not seen written out."""
    plain = json.dumps(_shown(facts), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    # the only letter by which text leaves a script element
    return plain.replace("<", "\\u003c")


def _shown(facts: Any) -> Any:
    if isinstance(facts, Mapping):
        return {key: _shown(value) for key, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_shown(value) for value in facts]
    # text of numbers has no such characters, and is long
    return printable(facts) if isinstance(facts, str) and len(facts) < 10_000 else facts


def render(title: str, facts: Mapping[str, Any], slides: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    """Give the page piece by piece: it may be larger than what one wants to hold twice."""
    from bokeh.embed import components
    from bokeh.resources import Resources
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    script, places = components(panels(), wrap_script=False)
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    yield from environment.get_template(TEMPLATE).generate(
        title=printable(title),
        style=(HERE / "explore.css").read_text(encoding="utf-8"),
        # the plain library alone: a third of what all its parts take
        library=Resources(mode="inline", components=["bokeh"]).render_js(),
        script=script,
        places=places,
        facts=as_json(facts),
        slides=(as_json(slide) for slide in slides),
        own=own_script(),
    )


def own_script() -> str:
    """The scripts of the page, one after the other in a scope of their own."""
    parts = [(HERE / "_script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "\n})();"
