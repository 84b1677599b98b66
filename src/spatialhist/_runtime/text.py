"""Names that come from files, made harmless where they are shown."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters that move the cursor, turn the direction of writing, or show nothing; and halves of characters."""
_FORMULA = re.compile(r"[=+@\t\r-]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def printable(text: object, *, keep: str = "") -> str:
    """Write out characters that are not seen as escape sequences.

    Parameters
    ----------
    text
        What is shown in a terminal or on a page; it may hold names from files.
    keep
        Characters that stay, such as the ends of lines that are not part of a name.
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], str(text))


def paragraph(text: object) -> str:
    """Printable text of several lines, the later ones indented: a name cannot look like a line of its own."""
    return printable(text, keep="\n").replace("\n", "\n  ")


def plot_text(text: object) -> str:
    """Text of a plot, of which matplotlib must take nothing for a formula."""
    return printable(text, keep="\n").replace("$", r"\$")


def cell(text: object) -> str:
    """Text of a CSV cell, which a spreadsheet must not take for a formula; numbers stay as they are."""
    value = str(text)
    return f"'{value}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value
