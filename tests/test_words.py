"""Words that the project no longer uses, in what users read: pages, notebooks, docstrings, messages and comments."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tutorials").glob("*")])
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.j2")])
TRANSLATES = "renamed.py"
"""What earlier versions wrote, in the words of this one."""
MAX_COLUMNS = 72

RETIRED = {
    r"kernel_ridge_raw": "kernel_ridge",
    r"null_permuted": "control_permuted",
    r"null_(mean|donor|position|color|neighbors)": "baseline_...",
    r"\bhead\b(?=`|\")": "mlp",
    r"ways? out\b": "troubleshooting, 'To fix this, ...'",
    r"\bhomeless\b": "unassigned",
    r"\bobjections?\b": "reason",
    r"\b(mis)?judg(e|es|ed|ing)\b": "evaluate",
    r"\brooms?\b": "module",
    r"\bnobody\b": "say what is unknown or missing",
    r"\bflatters?\b": "scores look better than they are",
    r"\bdo not trust\b": "unreliable",
    r"\bdrawn (slides?|tissue|patients?|cohorts?|sections?|features)\b": "simulated",
    r"\b(going|gone|goes) on (from|where)\b": "warm start, resume",
    r"\bshare of training spots\b": "out-of-distribution score",
    r"\bin secret\b": "hidden",
    r"\bwhat (it|they) forgives?\b": "what they do not penalize",
    r"\bcounts (as )?0\b": "is scored 0",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(his|theirs|mine)\b": "name the thing",
    r"\bwhatever the\b": "at any",
    r"\bso it is with\b": "say it again",
    r"\btumour": "tumor",
    r"\bhaemato": "hemato",
    r"(?<=[a-z])metr(e|es)\b": "...meter",
    r"\banalys(e|ed|ing)\b": "analyze",
}
"""Pattern, and what to write."""

RETIRED_IN_PROSE = {
    r"\bpitch(es)?\b": "spot spacing",
    r"\bextents?\b": "field of view",
    r"\bnulls?\b": "baseline",
    r"\bdonors?\b": "patient",
    r"\bplacements?\b": "registration, position, spot coordinates",
    r"\bsurroundings\b": "context",
}
"""Words that only code may hold."""


def named(path: Path) -> list[str]:
    """Retired words of a file, each with its place."""
    return [word for place, line, text in pieces(path) for word in retired(place, line, text)]


def pieces(path: Path) -> Iterator[tuple[str, int, str]]:
    """What a person reads in a file: its name, the line on which a piece starts, and the piece."""
    name = path.relative_to(ROOT).as_posix()
    if path.suffix in (".md", ".j2"):
        yield name, 1, path.read_text(encoding="utf-8")
    elif path.suffix == ".py":
        yield from ((name, line, text) for line, text in spoken(path.read_text(encoding="utf-8")))
    elif path.suffix == ".ipynb":
        for i, cell in enumerate(nbformat.read(path, as_version=4).cells):
            code = cell.cell_type == "code"
            yield f"{name} cell {i}", 0 if code else 1, f"```\n{cell.source}\n```" if code else cell.source


def spoken(source: str) -> Iterator[tuple[int, str]]:
    """Comments, and strings of more than one word."""
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in kinds and re.search(r"\w\s+\w", token.string):
            yield token.start[0], token.string


def retired(place: str, first_line: int, text: str) -> Iterator[str]:
    for words, kept in ((RETIRED, text), (RETIRED_IN_PROSE, prose(text))):
        for i, line in enumerate(kept.splitlines(), first_line):
            for pattern, instead in words.items():
                for match in re.finditer(pattern, line, flags=re.IGNORECASE):
                    yield f"{place}:{i}: {match.group()!r}, write: {instead}"


def prose(text: str) -> str:
    """Blank out what is code or an address; what is left keeps its lines."""
    return CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


CODE = re.compile(
    r"""
    ^```.*?^```$ | `+[^`\n]+`+ | https?://\S+
    | ^\s*(>>>|\.\.\.).*?$         # an example in a docstring
    | ^\s*\w+(,\ \w+)*$             # names of parameters above their description
    | \{.*?\} | \b\w+= | '\w+' | "\w+"
    """,
    flags=re.DOTALL | re.MULTILINE | re.VERBOSE,
)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_pages_use_words_of_the_field(path):
    assert not named(path)


def test_docstrings_messages_and_comments_use_words_of_the_field():
    assert not [word for path in SOURCES if path.name != TRANSLATES for word in named(path)]


def test_a_retired_word_is_named_with_its_place():
    text = "The score of\nthe null_color is one pitch.\n`pitch_px` and `('pitch', 3)` are code."
    assert list(retired("a.md", 1, text)) == [
        "a.md:2: 'null_color', write: baseline_...",
        "a.md:2: 'pitch', write: spot spacing",
    ]


@pytest.mark.parametrize("path", [p for p in PAGES if p.suffix == ".md"], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_code_in_pages_fits_the_column_of_a_laptop(path):
    blocks = re.findall(
        r"^```(?:python|bash|powershell)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert not [line for block in blocks for line in block.splitlines() if len(line) > MAX_COLUMNS]
