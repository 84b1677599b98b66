"""Write the tables and plots of docs/benchmarks.md from benchmarks/results.csv: python docs/draw_benchmarks.py."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from spatialhist.pl._draw.style import CYCLE, FONT

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "benchmarks" / "results.csv"
PAGE = DOCS / "benchmarks.md"
PICTURES = DOCS / "_static" / "benchmarks"
BLOCK = re.compile(r"(<!-- results: ([\w ]+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)

WIDTH, MARGIN, BAR, TEXT, LINES = 8.0, 0.75, 0.24, 0.16, 2.2
"""Inches: width of a plot, what axis and legend take, height of a bar, of a line of its label, and of a plot of lines."""
LABEL = 34
"""Characters of a line of a label."""
OTHER = "#9a9a9a"
"""Color of what is not this package."""
COLORS = (CYCLE[0], CYCLE[4], CYCLE[2], CYCLE[3], CYCLE[5], CYCLE[6])
STYLE = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "spatialhist",
}


def read() -> pd.DataFrame:
    """One measured figure a row; ``value`` and ``to`` stay text, with the digits that are shown."""
    return pd.read_csv(RESULTS, dtype=str, keep_default_na=False)


# tables


def block(rows: pd.DataFrame, named: set[str]) -> str:
    """Write the table of a step, and the commands that print its figures where the section has not named them."""
    rows = rows.assign(shown=[shown(*each) for each in rows[["value", "to", "unit"]].itertuples(index=False)])
    table = rows.pivot(index="case", columns="what", values="shown")
    table = table.reindex(index=rows["case"].unique(), columns=rows["what"].unique()).fillna("")
    names = {what: heading(what, group["unit"].iloc[0]) for what, group in rows.groupby("what")}
    lines = [
        ["", *(names[what] for what in table.columns)],
        ["---", *("--:" for _ in table.columns)],
        *([grouped(case), *row] for case, row in zip(table.index, table.to_numpy(), strict=True)),
    ]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    new = [command for command in rows["command"].unique() if command not in named]
    named.update(new)
    return text + ("\n\n```bash\n" + "\n".join(new) + "\n```\n" if new else "\n")


def shown(value: str, to: str, unit: str) -> str:
    """Write a figure or a range as it stands in the page: 15–19, 49 of 49, 1,595."""
    text = "–".join(grouped(each) for each in (value, to) if each)
    return f"{text} {unit[:3]}{grouped(unit[3:])}" if unit.startswith("of ") else text


def grouped(text: str) -> str:
    """Separate thousands of a whole number."""
    return f"{int(text):,}" if text.isdigit() else text


def heading(what: str, unit: str) -> str:
    return what if unit in ("", "times") or unit.startswith("of ") else f"{what}, {unit}"


def write_page(results: pd.DataFrame) -> str:
    """Return the page with the tables of the results."""
    steps = dict(list(results.groupby("step", sort=False)))
    sections = re.split(r"^(?=###? )", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return "".join(write_section(section, steps) for section in sections)


def write_section(section: str, steps: Mapping[str, pd.DataFrame]) -> str:
    named: set[str] = set()
    return BLOCK.sub(lambda found: found[1] + block(steps[found[2]], named) + found[3], section)


# plots


def bars(
    ax: Axes,
    rows: pd.DataFrame,
    *,
    label: str,
    other: Sequence[str] = (),
    peer: str = "",
    limits: tuple[float | None, float | None] = (0, None),
    scale: str = "linear",
) -> None:
    """Draw a bar a case and column; a range is a pale end. Cases and columns named ``other`` are gray."""
    cases, kinds = list(rows["case"].unique()), list(rows["what"].unique())
    low, high = bounds(rows)
    for value, top, (_, row) in zip(low, high, rows.iterrows(), strict=True):
        kind, height = kinds.index(row["what"]), 0.8 / max(len(kinds), 1.25)
        y = cases.index(row["case"]) + (kind - (len(kinds) - 1) / 2) * height
        color = OTHER if {row["case"], row["what"]} & set(other) else COLORS[kind]
        ax.barh(y, top, 0.9 * height, color=color, alpha=0.45 if top > value else 1)
        ax.barh(y, value, 0.9 * height, color=color, label=row["what"])
        text = shown(row["value"], row["to"], row["unit"])
        ax.annotate(text, (top, y), (3, 0), textcoords="offset points", va="center", fontsize=FONT - 1)
    ax.set_yticks(range(len(cases)), [wrapped(case) for case in cases])
    ax.invert_yaxis()
    ax.margins(x=0.2)
    ax.set(xscale=scale, xlabel=label, xlim=limits)
    if peer:
        ax.axvline(1, color=CYCLE[6], linestyle="--", linewidth=1, label=f"{peer} = 1")
    name_columns(ax, named=len(kinds) > 1 or bool(peer))


def bounds(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of each figure, counts as a fraction of what was tried."""
    parts = [float(unit[3:]) if unit.startswith("of ") else 1.0 for unit in rows["unit"]]
    low = rows["value"].astype(float) / parts
    return low.to_numpy(), np.where(rows["to"] != "", pd.to_numeric(rows["to"]) / parts, low)


def wrapped(case: str) -> str:
    return "\n".join(textwrap.wrap(grouped(case).replace("`", ""), LABEL))


def name_columns(ax: Axes, *, named: bool) -> None:
    """Name the columns above the axes, each once."""
    handles, names = ax.get_legend_handles_labels()
    if named:
        once = dict(zip(names[::-1], handles[::-1], strict=True))
        names = [name for name in dict.fromkeys(names) if name in once]
        ax.legend(
            [once[name] for name in names],
            names,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(names),
            fontsize=FONT - 1,
        )


def lines(ax: Axes, rows: pd.DataFrame, *, along: str, label: str, log: str = "xy") -> None:
    """Draw a line a column over the size that a case is; on two log axes with the slope of proportional growth."""
    for kind, color in zip(rows["what"].unique(), [*COLORS, OTHER], strict=False):
        line = rows[rows["what"] == kind]
        x, y = line["case"].astype(float), line["value"].astype(float)
        ax.plot(x, y, "o-", color=color, label=kind.replace("`", ""))
    x = np.sort(rows["case"].astype(float).unique())
    if log == "xy":
        low = rows["value"].astype(float)[rows["case"] == rows["case"].iloc[0]].min() / 2
        ax.plot(x, low * x / x[0], ":", color=OTHER, label="in proportion")
    ax.set(
        xlabel=along, ylabel=label, xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear"
    )
    if "y" in log:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.minorticks_off()
    ax.set_xticks(x, [f"{size:,.0f}" for size in x])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    if rows["what"].nunique() > 1 or log == "xy":
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=FONT - 1)


Draw = Callable[[Axes, pd.DataFrame], None]
Panel = tuple[str, tuple[str, ...], Draw]
"""Step, the columns that are drawn (all where none is named), and how."""

FRACTION = partial(bars, limits=(0, 1.15))
SECONDS = partial(bars, label="CPU seconds")
GROWTH = partial(lines, label="CPU seconds")
SIDE = partial(lines, along="pixels per side", log="x")
TORCHSTAIN = ("Macenko, torchstain with numpy", "Macenko, torchstain with torch")
NOT_NETWORKS = (
    "ridge, one field of view",
    "ridge, four fields of view",
    "ridge, four, standardized by slide",
    "MLP on features, one seed",
    "MLP on features, mean of three seeds",
    "default models",
)

PLOTS: dict[str, list[Panel]] = {
    "first_lines": [("first lines", (), SECONDS)],
    "realignment": [
        ("realignment", (), partial(bars, label="residual, spot spacings")),
        ("realignment decisions", (), partial(FRACTION, label="fraction")),
    ],
    "stain_speed": [
        ("stain speed", (), partial(bars, label="times as fast", peer="squidpy")),
        ("stain throughput", (), partial(bars, label="Mpx/s", other=TORCHSTAIN)),
    ],
    "stain_effect": [("stain effect", (), partial(FRACTION, label="accuracy", other=("chance",)))],
    "tissue": [
        ("tissue mask", ("spots on tissue",), partial(FRACTION, label="fraction", other=("Otsu", "Felzenszwalb"))),
        ("tissue mask", ("CPU",), partial(SECONDS, other=("Felzenszwalb",))),
    ],
    "artifacts": [("artifacts", (), partial(FRACTION, label="fraction"))],
    "ranks": [("ranks", (), partial(bars, label="times as fast", peer="scipy"))],
    "grids": [("grids", (), partial(bars, label="r"))],
    "networks": [
        ("networks on her2st", (), partial(bars, label="r, section C5", other=NOT_NETWORKS)),
        ("networks on simulated slides", (), partial(bars, label="r, left-out patient", other=NOT_NETWORKS)),
    ],
    "normalization_layers": [("normalization layers", (), partial(lines, along="epoch", label="r", log=""))],
    "challenge": [("challenge", (), partial(bars, label="Spearman per spot"))],
    "copies": [("copies", (), partial(FRACTION, label="fraction"))],
    "depth": [("depth", (), partial(bars, label="within-slide Pearson"))],
    "noise": [("noise", (), partial(FRACTION, label="r on labels that are unrelated to the pixels"))],
    "encoders": [
        ("network encoders", ("this package", "whole batches"), partial(bars, label="ms CPU", other=("whole batches",)))
    ],
    "whole_slides": [
        ("whole slides", ("spots per second",), partial(SIDE, label="spots per second")),
        ("whole slides", ("reading", "encoder", "models"), partial(SIDE, label="fraction of the time")),
    ],
    "spots": [
        (
            "spots",
            ("all steps", "graph", "fit", "prediction", "prediction of a grid"),
            partial(GROWTH, along="spots"),
        )
    ],
    "default_models": [
        ("default models", ("all three", "ridge", "kernel ridge", "MLP"), partial(GROWTH, along="spots"))
    ],
    "slides": [("slides", (), partial(GROWTH, along="slides"))],
    "cohorts": [("cohorts", (), partial(GROWTH, along="slides"))],
    "platforms": [
        ("Visium HD and Xenium", ("CPU",), SECONDS),
        ("Visium HD and Xenium", ("memory",), partial(bars, label="GB of memory")),
    ],
    "run_hd": [("a run on Visium HD", (), SECONDS)],
    "damaged_files": [("damaged files", (), partial(bars, label="damaged inputs", limits=(10, 1e7), scale="log"))],
    "kills": [("kills", (), partial(FRACTION, label="fraction that is done again"))],
}


def draw(name: str, results: pd.DataFrame) -> None:
    """Draw a plot of one or two panels, with the checksum of its figures in its metadata."""
    panels = [(rows_of(results, step, kinds), how) for step, kinds, how in PLOTS[name]]
    size = (WIDTH, MARGIN + max(height(rows, how) for rows, how in panels))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
        for ax, (rows, how) in zip(axes[0], panels, strict=True):
            how(ax, rows)
        if len(panels) > 1 and labels(axes[0, 0]) == labels(axes[0, 1]):
            axes[0, 1].set_yticklabels([])
        figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None, "Description": checksum(name, results)})
    plt.close(figure)


def height(rows: pd.DataFrame, how: Draw) -> float:
    """Inches that bars or lines take."""
    if getattr(how, "func", how) is not bars:
        return LINES
    text = max(wrapped(case).count("\n") for case in rows["case"]) + 1
    return rows["case"].nunique() * max(rows["what"].nunique() * BAR, text * TEXT + 0.1)


def labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def rows_of(results: pd.DataFrame, step: str, kinds: Sequence[str] = ()) -> pd.DataFrame:
    rows = results[results["step"] == step]
    return rows[rows["what"].isin(kinds)] if kinds else rows


def checksum(name: str, results: pd.DataFrame) -> str:
    """Tell figures that were drawn from figures that changed since."""
    drawn = pd.concat([rows_of(results, step, kinds) for step, kinds, _ in PLOTS[name]])
    text = drawn[["case", "what", "value", "to", "unit"]].to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    results = read()
    PAGE.write_text(write_page(results), encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in PLOTS:
        draw(name, results)


if __name__ == "__main__":
    main()
