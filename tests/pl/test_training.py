from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import spatialhist as sh


@pytest.fixture
def run(tmp_path):
    """Two folds of a head and one of a network; the order of the epochs is that of a resumed run."""
    for group, model, rows in (
        ("00_P1", "mlp", "0,7,1.5\n1,15,0.75\n"),
        ("01_P2", "mlp", "1,15,0.5\n0,7,1.25\n"),
        ("00_P1", "vision_mlp", "0,7,2.5\n"),
    ):
        folder = tmp_path / "folds" / group / model / "log"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(f"epoch,step,loss\n{rows}")
    (tmp_path / "folds" / "00_P1" / "ridge").mkdir()
    models = [{"name": "ridge"}, {"name": "mlp"}]
    return SimpleNamespace(folder=tmp_path, models=[SimpleNamespace(**m) for m in models])


def test_one_line_a_fold_one_color_a_model(run):
    ax = sh.pl.training(run)
    curves = [np.column_stack(line.get_data()).tolist() for line in ax.lines]
    assert curves == [[[0, 1.5], [1, 0.75]], [[0, 1.25], [1, 0.5]], [[0, 2.5]]]
    first, second, third = (line.get_color() for line in ax.lines)
    assert first == second != third
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["mlp", "vision_mlp"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "training loss")


def test_title_counts_folds_and_the_networks_of_each(run):
    assert sh.pl.training(run).get_title(loc="left") == "one line per network, 2 folds"
    for group in ("00_P1", "01_P2"):
        for member in "01":
            folder = run.folder / "folds" / group / "averaged" / member / "log"
            folder.mkdir(parents=True)
            (folder / "metrics.csv").write_text("epoch,step,loss\n0,7,1.5\n")
    assert sh.pl.training(run).get_title(loc="left") == "one line per network, 2 folds of 2"


def test_axes_are_those_passed(run):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert sh.pl.training(run, ax=ax) is ax


def test_without_networks_there_is_nothing_to_draw(tmp_path):
    run = SimpleNamespace(folder=tmp_path, models=[SimpleNamespace(name="ridge")])
    with pytest.raises(ValueError, match=r"none of the models \['ridge'\] was trained by epochs"):
        sh.pl.training(run)
