from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from spatialhist._runtime.text import cell, paragraph, plot_text, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ERBB2 µm – Grün 基因", "ERBB2 µm – Grün 基因"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\nb\r\tc\x85", r"a\nb\r\tc\x85"),
        ("\u202egnp.exe\u200b", r"\u202egnp.exe\u200b"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_what_is_not_seen_is_written_out(name, shown):
    assert printable(name) == shown
    assert printable(name).encode()


def test_lines_stay_where_they_are_not_of_a_name():
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"
    assert paragraph("no slide\nspatialhist: all good") == "no slide\n  spatialhist: all good"


@pytest.mark.parametrize("name", [r"$\frac{1}{$", "$undefined$", "${x}", "100 $", r"\$\alpha$", "$$", "\x1b$x$"])
def test_no_name_is_a_formula_of_a_plot(name):
    figure, ax = plt.subplots()
    title = ax.set_title(plot_text(name))
    shown, is_math = title._preprocess_math(title.get_text())
    figure.canvas.draw()
    plt.close(figure)
    assert (shown, is_math) == (printable(name), False)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("+cmd", "'+cmd"),
        ("\tx", "'\tx"),
        ("-2.5e-3", "-2.5e-3"),
        ("+7", "+7"),
        ("HLA-A", "HLA-A"),
        ("A=B", "A=B"),
        (12, "12"),
    ],
)
def test_no_name_is_a_formula_of_a_spreadsheet(name, written):
    assert cell(name) == written
