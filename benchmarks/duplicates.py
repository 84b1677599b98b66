"""How often a copy of a section is found: python benchmarks/duplicates.py [--data FOLDER] [--store ZARR].

Every section of her2st and of a simulated cohort is changed in each way, and compared with all sections as
cross-validation and prediction compare them. Found: the section itself. False alarms: the other sections, among them
adjacent ones of a tumor (C2 to C5) and of another (A1 and A2). At the end stands what the search costs in a run.
"""

from __future__ import annotations

import io
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from _her2st import stored_cohort
from PIL import Image

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.images import read_overview
from spatialhist.tl._data.candidates import may_share_counts, may_share_pictures
from spatialhist.tl._data.copies import MIN_CONTINUITY, MIN_SHARE, MIN_SPOTS, count_profiles, refuse_copies
from spatialhist.tl._data.edges import continuities, edges_of
from spatialhist.tl._data.profiles import Profiles, choose_genes, matched, profile
from spatialhist.tl._data.signature import Signature, compare, sign, sign_slide

SIDE, FINE = 1024, 2048
GLASS = 240


@dataclass(frozen=True)
class Section:
    """What is known of a slide: its picture ``(y, x, c)`` in two sizes, its mask, counts and places of its spots."""

    name: str
    picture: np.ndarray
    fine: np.ndarray
    tissue: np.ndarray
    counts: np.ndarray
    xy: np.ndarray
    pitch: float


def main() -> None:
    warnings.simplefilter("ignore")
    real, drawn = stored_cohort(), simulated()
    sh.pp.mask_background(real)
    cohorts = {"her2st": list(sections(real)), "simulated": list(sections(drawn))}
    print(f"{'change':<34}" + "".join(f"{name + ' found':>18}{'false alarms':>16}" for name in cohorts))
    for title, ways, look in (
        ("picture", PICTURES, of_pictures),
        ("counts", COUNTS, of_counts),
        ("cut", CUTS, of_cuts),
    ):
        for name, change in ways.items():
            cells = (look(each, change) for each in cohorts.values())
            print(
                f"{title + ', ' + name:<34}"
                + "".join(f"{f'{a} of {b}':>18}{f'{c} of {d}':>16}" for a, b, c, d in cells),
                flush=True,
            )
    screened(cohorts)
    growth()
    cost(real)


def simulated():
    sdata = sh.datasets.synthetic(n_slides=8, n_patients=4, size_px=(900, 1200), seed=3)
    sh.pp.mask_background(sdata)
    return sdata


def sections(sdata) -> Iterator[Section]:
    cohort = open_cohort(sdata)
    for slide in cohort.every_slide():
        (picture, _), (fine, _) = (read_overview(slide.image().pyramid, side) for side in (SIDE, FINE))
        mask = slide.tissue[0]
        rows, columns = (np.arange(n) * m // n for n, m in zip(picture.shape[:2], mask.shape, strict=True))
        counts = cohort.table.X[slide.rows].toarray()
        yield Section(slide.name, picture, fine, mask[rows][:, columns], counts, slide.xy, slide.scale.pitch_px)


def placed(change: Callable[[Image.Image], Image.Image]):
    """A change of places, of the picture and of its mask."""

    def both(picture, tissue):
        mask = change(Image.fromarray(np.stack([tissue * np.uint8(255)] * 3, axis=2)), 0)
        return np.asarray(change(Image.fromarray(picture), GLASS)), np.asarray(mask)[:, :, 0] > 127

    return both


def painted(change: Callable[[np.ndarray], np.ndarray]):
    """A change of colors."""
    return lambda picture, tissue: (np.clip(change(picture.astype(float)), 0, 255).astype(np.uint8), tissue)


def turned(degrees: float):
    return placed(lambda im, fill: im.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=(fill,) * 3))


def cropped(left: float, top: float, right: float, bottom: float):
    def crop(im, fill):
        return im.crop(
            (round(left * im.width), round(top * im.height), round(right * im.width), round(bottom * im.height))
        )

    return placed(crop)


def resized(factor: float):
    return placed(
        lambda im, fill: im.resize((round(im.width * factor), round(im.height * factor)), Image.Resampling.BOX)
    )


def padded(share: float):
    def pad(im, fill):
        canvas = Image.new("RGB", (round(im.width * (1 + share)), round(im.height * (1 + share))), (fill,) * 3)
        canvas.paste(im, (round(share * im.width / 2), round(share * im.height)))
        return canvas

    return placed(pad)


def jpeg(quality: int):
    def encode(picture):
        file = io.BytesIO()
        Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return painted(encode)


def after(*changes):
    def every(picture, tissue):
        for change in changes:
            picture, tissue = change(picture, tissue)
        return picture, tissue

    return every


MIRROR = placed(lambda im, fill: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
ONE_PIXEL = placed(lambda im, fill: im.crop((1, 1, im.width, im.height)))
OTHER_COLORS = painted(lambda p: p * [0.8, 1.1, 0.7] + [20, -10, 40])
DARKER = painted(lambda p: 255 * (p / 255) ** 1.6)
PICTURES = {
    "JPEG of quality 60": jpeg(60),
    "a quarter turn": turned(90),
    "turned by 20°": turned(20),
    "turned by 45°": turned(45),
    "mirrored": MIRROR,
    "without a row and a column": ONE_PIXEL,
    "middle 3/4 of width and height": cropped(1 / 8, 1 / 8, 7 / 8, 7 / 8),
    "middle half of width and height": cropped(1 / 4, 1 / 4, 3 / 4, 3 / 4),
    "left half": cropped(0, 0, 0.5, 1),
    "lower half": cropped(0, 0.5, 1, 1),
    "an image of 512 pixels": resized(0.5),
    "a thumbnail of 128 pixels": resized(0.125),
    "padded by half with glass": padded(0.5),
    "padded to twice the size": padded(1.0),
    "other colors": OTHER_COLORS,
    "darker": DARKER,
    "gray": painted(lambda p: np.repeat(p.mean(axis=2, keepdims=True), 3, axis=2)),
    "cropped, mirrored, turned, JPEG": after(cropped(0.1, 0.1, 1, 1), MIRROR, turned(33), OTHER_COLORS, jpeg(60)),
}


def of_pictures(every: list[Section], change) -> tuple[int, int, int, int]:
    """How many sections are found, of how many, and how many others are taken for them, of how many."""
    known = [sign(s.picture, s.tissue) for s in every]
    new = [sign(*change(s.picture, s.tissue)) for s in every]
    return tally(np.array([[compare(a, b).certain for b in known] for a in new]))


def tally(found: np.ndarray) -> tuple[int, int, int, int]:
    own = np.eye(len(found), dtype=bool)
    return int(found[own].sum()), len(found), int(found[~own].sum()), int((~own).sum())


def thinned(share: float):
    return lambda s: (np.random.default_rng(0).binomial(s.counts.astype(int), share), s.xy, s.pitch)


def scaled(s: Section):
    return 3 * s.counts, s.xy, s.pitch


def half_turned_and_thinned(s: Section):
    right = s.xy[:, 0] > np.median(s.xy[:, 0])
    counts = np.random.default_rng(0).binomial(s.counts[right].astype(int), 0.5)
    return counts, 1.7 * s.xy[right] @ [[0, -1], [1, 0]] + 500, 1.7 * s.pitch


COUNTS = {
    "as they are": lambda s: (s.counts, s.xy, s.pitch),
    "three times as many": scaled,
    "thinned to 1/2": thinned(0.5),
    "thinned to 1/4": thinned(0.25),
    "thinned to 1/10": thinned(0.1),
    "half the spots, turned, thinned to 1/2": half_turned_and_thinned,
}


def of_counts(every: list[Section], change) -> tuple[int, int, int, int]:
    genes = choose_genes(np.concatenate([s.counts for s in every]))
    known = [profile(s.counts, s.xy, genes, s.pitch) for s in every]
    new = [profile(counts, xy, genes, pitch) for counts, xy, pitch in map(change, every)]
    pairs = [[matched(a, b) for b in known] for a in new]
    return tally(np.array([[n >= MIN_SPOTS and n >= MIN_SHARE * of for n, of in row] for row in pairs]))


def apart(axis: int, second: Callable[[np.ndarray], np.ndarray] = lambda p: p):
    def parts(s: Section) -> list[np.ndarray]:
        first, other = np.split(s.fine, [s.fine.shape[axis] // 2], axis=axis)
        return [first, second(other)]

    return parts


CUTS = {
    "left and right half": apart(1),
    "upper and lower half": apart(0),
    "halves, one turned and a pixel less": apart(1, lambda p: np.rot90(p[:, 1:])),
}


def of_cuts(every: list[Section], cut) -> tuple[int, int, int, int]:
    """Halves of one section, and halves of two."""
    halves = [[edges_of(as_pyramid(p)) for p in cut(s)] for s in every]
    r = continuities([a[0] for a in halves] + [b[1] for b in halves])
    return tally(r[: len(halves), len(halves) :] > MIN_CONTINUITY)


def as_pyramid(picture: np.ndarray):
    return SimpleNamespace(levels=[np.moveaxis(picture, 2, 0)], factors=[(1.0, 1.0)])


def screened(cohorts: dict[str, list[Section]]) -> None:
    """Whether copies are among the pairs that are compared in full where a cohort has 200 slides."""
    every = [s for sections in cohorts.values() for s in sections]
    known = [sign(s.picture, s.tissue) for s in every]
    rng = np.random.default_rng(0)
    fields = [sign(field(every[i % 7].fine, rng)) for i in range(200 - 2 * len(every))]
    kept = of = 0
    for change in PICTURES.values():
        new = [sign(*change(s.picture, s.tissue)) for s in every]
        found = [i for i, (a, b) in enumerate(zip(new, known, strict=True)) if compare(a, b).certain]
        pairs = may_share_pictures([*new, *known, *fields], list(map(str, range(200))))
        kept, of = kept + sum((i, i + len(every)) in pairs for i in found), of + len(found)
    print(f"\nof copies of pictures that are found, compared in a cohort of 200: {kept} of {of}")
    kept, of = np.sum([screened_counts(sections, c) for sections in cohorts.values() for c in COUNTS.values()], axis=0)
    print(f"of copies of counts that are found, compared in a cohort of 200: {kept} of {of}", flush=True)


def field(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    y, x = (rng.integers(0, n - m) for n, m in zip(picture.shape[:2], (260, 340), strict=True))
    return picture[y : y + 260, x : x + 340]


def screened_counts(every: list[Section], change) -> tuple[int, int]:
    genes = choose_genes(np.concatenate([s.counts for s in every]))
    of = len(every)
    others = [drawn_anew(every[i % of], i) for i in range(200 - 2 * of)]
    new = [profile(counts, xy, genes, pitch) for counts, xy, pitch in map(change, every)]
    known = [profile(counts, s.xy, genes, s.pitch) for s, counts in [*((s, s.counts) for s in every), *others]]
    pairs = may_share_counts([*new, *known], list(map(str, range(200))))
    return sum((i, i + of) in pairs for i in range(of)), of


def drawn_anew(s: Section, seed: int) -> tuple[Section, np.ndarray]:
    """Counts of another section of the same tissue: Poisson around eight components of the measured ones."""
    total = s.counts.sum(axis=1, keepdims=True) + 1e-9
    u, size, v = np.linalg.svd(np.sqrt(s.counts / total), full_matrices=False)
    shares = np.maximum((u[:, :8] * size[:8]) @ v[:8], 0) ** 2
    expected = total * shares / (shares.sum(axis=1, keepdims=True) + 1e-12)
    return s, np.random.default_rng(seed).poisson(expected)


def growth() -> None:
    """Processor time of the search among slides of 2,048 spots and 500 keypoints that are no copies."""
    for n in (50, 200):
        rng, names = np.random.default_rng(n), list(map(str, range(n)))
        signatures = [
            Signature(rng.uniform(0, 512, (500, 2)).astype(np.float32), rng.integers(-99, 99, (500, 64), dtype=np.int8))
            for _ in range(n)
        ]
        sketches = rng.normal(size=(n, 2048, 128)).astype(np.float32) / 128**0.5
        points = rng.uniform(0, 45, 2048) + 1j * rng.uniform(0, 45, 2048)
        profiles = [Profiles(points, s, np.arange(2048)) for s in sketches]
        start = time.process_time()
        for a, b in may_share_pictures(signatures, names):
            compare(signatures[a], signatures[b])
        for a, b in may_share_counts(profiles, names):
            matched(profiles[a], profiles[b])
        print(f"search among {n} slides: {time.process_time() - start:.1f} s CPU", flush=True)


def cost(sdata) -> None:
    """Processor time of the search beside that of the run that it belongs to."""
    sh.pp.log_normalize(sdata)
    slides = open_cohort(sdata).every_slide()
    start = time.process_time()
    signatures = {s.name: sign_slide(s) for s in slides}
    signed = time.process_time() - start
    refuse_copies(sdata["table"], slides, {s.name: s.name for s in slides}, signatures)
    search = time.process_time() - start
    start = time.process_time()
    sh.tl.cross_validate(sdata, models="ridge", groups="slide", progress=False)
    run = time.process_time() - start
    print(
        f"\n{len(slides)} slides: keypoints {signed:.1f} s CPU, with comparison {search:.1f} s, whole run of a ridge {run:.0f} s: {search / run:.1%}"
    )
    pairs = list(itertools.combinations(signatures.values(), 2))
    start = time.process_time()
    for a, b in pairs:
        compare(a, b)
    print(f"a further pair: {1000 * (time.process_time() - start) / len(pairs):.1f} ms for pictures; ", end="")
    profiles = list(count_profiles(sdata["table"], slides).values())
    start = time.process_time()
    for a, b in itertools.combinations(profiles, 2):
        matched(a, b)
    print(f"{1000 * (time.process_time() - start) / len(pairs):.1f} ms for counts")
    size = sum(s.points.nbytes + s.descriptors.nbytes for s in signatures.values())
    print(f"kept in the run folder: {size / len(signatures) / 1000:.0f} kB a slide")


if __name__ == "__main__":
    main()
