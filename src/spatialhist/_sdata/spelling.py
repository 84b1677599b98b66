"""Names of patients and groups that are spelled in more than one way."""

from __future__ import annotations

import itertools
import re
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from spatialhist._sdata.values import as_words

if TYPE_CHECKING:
    from anndata import AnnData

_ALIKE = str.maketrans(
    "oil\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0432\u043a\u043c\u043d\u0442", "011ae0pcyx1bkmht"
)
"""Letters that are taken for digits, and Cyrillic ones that are taken for Latin ones, in lower case."""


def same_name(name: str) -> str:
    """Key that spellings of one name share: case, blanks, punctuation and forms of Unicode do not count."""
    # again after case is folded, which can take characters apart
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"[\W_]+", " ", plain).strip() or name


def near_name(name: str) -> str:
    """Key that names share which are easily taken for each other: separators, accents, leading zeros, O and 0."""
    apart = unicodedata.normalize("NFKD", same_name(name))
    letters = "".join(c for c in apart if not unicodedata.combining(c)).translate(_ALIKE)
    # leading zeros go, the 0 of 10 stays
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\W_]+", "", letters)) or name


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Spelling of every name by which it is called: the first one of the same name."""
    first: dict[str, str] = {}
    return {name: first.setdefault(same_name(name), name) for name in dict.fromkeys(names)}


def spelled_in_several_ways(names: Iterable[str]) -> dict[str, str]:
    """Spellings that are not the first of their name, with the first."""
    return {name: first for name, first in one_spelling(names).items() if name != first}


def nearly_the_same(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different names that are easily taken for each other."""
    called = {name: near_name(name) for name in one_spelling(names).values()}
    return [(a, b) for a, b in itertools.combinations(called, 2) if called[a] == called[b]]


def names_in(table: AnnData, column: str) -> list[str]:
    """Names in a column of ``obs`` in order of appearance, as they are spelled."""
    return [] if column not in table.obs else list(as_words(table.obs[column].drop_duplicates()).dropna().unique())


def warn_of_spellings(table: AnnData, columns: Sequence[str], table_key: str) -> None:
    """Name what is taken as one name in several spellings, and ask about names that differ little.

    Parameters
    ----------
    table
        With the columns.
    columns
        Names of columns of ``obs``.
    table_key
        How a user reaches the table.
    """
    for text in (
        text for column in dict.fromkeys(columns) for text in told(names_in(table, column), column, table_key)
    ):
        warnings.warn(text, stacklevel=4)


def told(names: Sequence[str], column: str, table_key: str) -> list[str]:
    """What is to be said of the names of a column."""
    place = f"sdata[{table_key!r}].obs[{column!r}]"
    found = []
    if several := spelled_in_several_ways(names):
        spelled = ", ".join(f"{other!r} is taken as {first!r}" for other, first in several.items())
        found.append(
            f"obs[{column!r}] spells names in several ways, which differ only in case, blanks, punctuation or Unicode form: "
            f"{spelled}. To spell each in one way: {_replacing(place, several)}"
        )
    if near := nearly_the_same(names):
        pairs = ", ".join(f"{a!r} and {b!r}" for a, b in near)
        found.append(
            f"obs[{column!r}] holds alike names that are taken as different: {pairs}. If they are one, spell it in one "
            f"way: {_replacing(place, {b: a for a, b in near})}"
        )
    return found


def _replacing(place: str, spellings: Mapping[str, str]) -> str:
    return f"{place} = {place}.astype(str).replace({dict(spellings)!r})"
