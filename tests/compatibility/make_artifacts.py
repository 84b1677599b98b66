"""What version 0.1.0 wrote, for tests that later versions read it. Run once, with the sources of 0.1.0.

``PYTHONPATH=SOURCES_OF_0.1.0/src:tests/support OMP_NUM_THREADS=1 python tests/compatibility/make_artifacts.py`` was run
before names and files were reorganized; do not run it with later sources. It leaves ``version_0_1_0.tar.xz`` beside
itself: see README.md.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import spatialdata as sd
from numerics import fingerprint
from typer.testing import CliRunner

import spatialhist as sh
from spatialhist.cli import app

OUT = Path(__file__).with_name("version_0_1_0.tar.xz")
TRAINED, NEW = ["S1", "S2", "S3"], "S4"
OPTIONS = {"slides": TRAINED, "genes": 6, "extents": [("um", 150.0)], "context": (), "seed": 5, "progress": False}
LEVEL = 0.6
KILLED_AT = 90 + 12
"""Checkpoints after which the run is killed: the first fold's network has written 90."""


def draw() -> None:
    """Write the store, preprocessed."""
    sdata = sh.datasets.synthetic(
        4, n_patients=4, size_px=(120, 95), mpp=4.0, pitch_um=100.0, n_genes=8, max_offset=0.0, seed=3
    )
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.normalize_stain(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.pp.rank_expression(sdata, scale="unit")
    sh.pp.spot_distances(sdata)
    sdata.write("store.zarr")


def read() -> sd.SpatialData:
    """Open the store."""
    return sd.read_zarr("store.zarr")


def be_killed() -> None:
    """Run the cross-validation until a network is half trained."""
    from spatialhist.tl._predictors._training import WholeCheckpoints

    save, written = WholeCheckpoints.save_checkpoint, []

    def counted(*args: object, **options: object) -> None:
        save(*args, **options)
        written.append(1)
        if len(written) == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    WholeCheckpoints.save_checkpoint = counted
    sh.tl.cross_validate(read(), out="unfinished", **OPTIONS)


def make() -> None:
    """Write every folder and what is expected of it."""
    draw()
    sdata, expected = read(), Path("expected")
    expected.mkdir()
    arrays: dict[str, np.ndarray] = {}
    table = sdata["table"]

    cv = sh.tl.cross_validate(sdata, out="run", **OPTIONS)
    sh.tl.predict(sdata, cv, key_added="predicted_cv", progress=False)
    stack = sh.tl.stack(sdata, cv)
    sh.tl.predict(sdata, stack, progress=False)
    arrays["out_of_distribution"] = table.obs["out_of_distribution"].to_numpy()
    sh.tl.calibrate(sdata, stack, level=LEVEL)
    model = sh.tl.fit(sdata, judged_by=cv, out="model", **OPTIONS)
    sh.tl.predict(sdata, model, slides=NEW, key_added="predicted_model", progress=False)
    arrays |= {name: np.asarray(table.layers[name]) for name in table.layers if name.startswith(("oof", "pred"))}
    sh.pp.save(sdata)
    sh.tl.evaluate(sdata, metrics="all").to_csv(expected / "scores.csv", index=False)
    named = sh.tl.evaluate(sdata, layers=["predicted", "predicted_model"], slides=NEW)
    named.to_csv(expected / "scores_new.csv", index=False)
    sh.tl.summarize(sh.tl.evaluate(sdata)).to_csv(expected / "summary.csv")
    sh.tl.gene_reliability("run").to_csv(expected / "genes.csv")

    other = read()
    design = {"image": "normalized", "extents": [("um", 75.0), ("um", 300.0)], "context": [("um", 150.0)]}
    ridge = sh.tl.fit(other, models="ridge", out="ridge", **OPTIONS | design)
    sh.tl.predict(other, ridge, slides=NEW, key_added="ridge", progress=False)
    sh.tl.predict_grid(other, ridge, slides=NEW, spacing=("um", 80.0), progress=False)
    tuned = sh.tl.fit(other, models=sh.tl.FeatureNetwork(members=3, epochs=2), start="model", out="tuned", **OPTIONS)
    sh.tl.predict(other, tuned, slides=NEW, key_added="tuned", progress=False)
    arrays |= {name: np.asarray(other["table"].layers[name]) for name in ("ridge", "tuned")}
    arrays["grid"] = np.asarray(other[f"{NEW}_grid_table"].layers["predicted"])

    other = read()
    models = ["ridge", "kernel_ridge", "kernel_ridge_raw"]
    ranks = sh.tl.cross_validate(other, models=models, layer="ranks", out="ranks", **OPTIONS)
    stack = sh.tl.stack(other, ranks, method="rank_mean")
    sh.tl.predict(other, stack, progress=False)
    arrays |= {f"ranks_{name}": np.asarray(other["table"].layers[name]) for name in ("oof", "predicted")}
    sh.tl.evaluate(other, truth="ranks", oracles=False).to_csv(expected / "scores_ranks.csv", index=False)

    np.savez_compressed(expected / "arrays.npz", **arrays)
    for name in ("store.zarr", "run", "model", "ridge", "ranks"):
        facts = CliRunner().invoke(app, ["info", name, "--json"], catch_exceptions=False).stdout
        (expected / f"info_{name}.json").write_text(facts)
    (expected / "machine.json").write_text(json.dumps(fingerprint(), indent=1))


def trim() -> None:
    """Remove what is not needed to load, predict, score and go on."""
    for folder in ("run", "unfinished", "ranks", "model", "ridge"):
        shutil.rmtree(f"{folder}/cache")
        Path(folder, ".lock").unlink()
    for folder in ("model", "ridge"):
        shutil.rmtree(f"{folder}/inputs")
    seen = [*Path("run").glob("inner/**/model.safetensors"), *Path("ranks").glob("inner/**/model.safetensors")]
    seen += Path("ranks").glob("folds/*/null_*/model.safetensors")
    seen += [f for r in ("run", "unfinished") for f in Path(r).glob("folds/*/null_*/model.safetensors")]
    for path in seen:
        path.unlink()
    shutil.rmtree("tuned")


def pack() -> None:
    """Write all folders into one archive, the same whenever it is written."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(p for p in Path().rglob("*") if p.is_file() or not any(p.iterdir())):
            info = archive.gettarinfo(path)
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
            info.mode = 0o644 if path.is_file() else 0o755
            archive.addfile(info, path.open("rb") if path.is_file() else None)
    # most of it are numbers of four bytes
    packing = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lp": 2, "lc": 2, "dict_size": 1 << 24}
    OUT.write_bytes(lzma.compress(raw.getvalue(), filters=[packing]))
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.2f} MB of {len(raw.getvalue()) / 1e6:.2f} MB")


if __name__ == "__main__":
    assert version("spatialhist") == "0.1.0"
    warnings.simplefilter("ignore")
    if "killed" in sys.argv:
        be_killed()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv[0] = "make_artifacts.py"
        make()
        script = [sys.executable, __file__, "killed"]
        assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
        trim()
        pack()
