import subprocess
import sys
from pathlib import Path

import spatialhist as sh
from spatialhist.nn._encoders.catalog import CATALOG


def test_every_encoder_has_a_row():
    table = sh.nn.encoders()
    assert list(table.columns) == ["dimension", "pixels", "um_per_pixel", "license", "gated", "weights"]
    assert list(table.index) == [entry.name for entry in CATALOG]
    assert table.loc["virchow2"].tolist() == [
        2560,
        224,
        0.5,
        "CC-BY-NC-ND-4.0",
        True,
        "huggingface.co/paige-ai/Virchow2",
    ]
    assert table["um_per_pixel"].isna()["plip"] and table["dimension"].isna()["omiclip"]
    assert table.index[~table["gated"]].tolist()[:2] == ["color_texture", "efficientnet-lite0"]


def test_the_list_needs_no_torch():
    script = "import sys, spatialhist.nn as nn; nn.encoders(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_the_page_shows_the_same_list():
    page = (Path(__file__).parents[3] / "docs" / "encoders.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:3] == "| `"]
    assert [row[0].strip("`") for row in rows] == [entry.name for entry in CATALOG]
    for (_, dimension, pixels, um, license_, gated, weights), entry in zip(rows, CATALOG, strict=True):
        assert dimension == str(entry.dimension or "") and pixels == str(entry.pixels)
        assert um == str(entry.um_per_pixel or "") and license_ == entry.license
        assert (gated == "yes") is entry.gated and entry.weights in weights.replace("https://", "")
