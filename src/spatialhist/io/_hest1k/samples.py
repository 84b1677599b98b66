"""Which samples a folder of HEST-1k holds, and what its metadata says of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from spatialhist._runtime.files import BROKEN, inside, intact

SHEETS = "HEST_v*.csv"
TABLES, IMAGES, METADATA = "st", "wsis", "metadata"
MPP = "pixel_size_um_estimated"
COLUMNS = {
    "organ": "organ",
    "st_technology": "technology",
    "species": "species",
    "disease_state": "disease_state",
    "oncotree_code": "oncotree_code",
}
"""Keys of the metadata that become columns of ``obs``."""
POOLED = {"xenium", "visium hd"}
"""Technologies whose transcripts or bins HEST has pooled into squares."""
POOLED_UM = 100.0
"""Side of these squares."""
MOST_LISTED = 20


@dataclass(frozen=True)
class Sample:
    """One sample: its id, its files and its row of the metadata."""

    id: str
    table: Path
    image: Path
    about: Mapping[str, Any]
    source: Path

    def text(self, key: str) -> str | None:
        """Return what the metadata says under a key; None where it says nothing."""
        value = str(self.about.get(key, "")).strip()
        return value or None

    def length(self, key: str) -> float | None:
        """Return a positive number of the metadata; None where there is none.

        Raises
        ------
        ValueError
            If it is something else.
        """
        text = self.text(key)
        if text is None:
            return None
        number = pd.to_numeric(text, errors="coerce")
        if not 0 < number < float("inf"):
            raise ValueError(
                f"{key!r} of sample {self.id!r} in {self.source} is {text!r}: it must be a positive number"
            )
        return float(number)

    def require_mpp(self) -> float:
        """Return micrometers per pixel of the image.

        Raises
        ------
        ValueError
            If the metadata does not say them.
        """
        value = self.length(MPP)
        if value is None:
            raise ValueError(
                f"{self.source} has no {MPP!r} for sample {self.id!r}: add it, in um per pixel of {self.image}"
            )
        return value

    @property
    def spacing_um(self) -> float | None:
        """Distance of neighboring spots in micrometers, None where it is not known."""
        return POOLED_UM if self.is_pooled else self.length("inter_spot_dist")

    @property
    def diameter_um(self) -> float | None:
        """Diameter of a spot, for a square that of the circle of its area; None where it is not known."""
        return 2 * POOLED_UM / math.sqrt(math.pi) if self.is_pooled else self.length("spot_diameter")

    @property
    def is_pooled(self) -> bool:
        """Whether spots are squares that HEST has pooled."""
        return (self.text("st_technology") or "").lower() in POOLED

    @property
    def columns(self) -> dict[str, str]:
        """Columns of ``obs``."""
        return {new: text for key, new in COLUMNS.items() if (text := self.text(key)) is not None}


def is_hest(folder: Path) -> bool:
    """Whether a folder is laid out as HEST-1k is."""
    if not (folder / TABLES).is_dir() or not any((folder / TABLES).glob("*.h5ad")):
        return False
    return (folder / IMAGES).is_dir() or (folder / METADATA).is_dir() or any(folder.glob(SHEETS))


def find_samples(folder: Path, ids: str | Sequence[str] | None, organ: str | Sequence[str] | None) -> list[Sample]:
    """Return the samples that are asked for, in the order of ``ids``, or of their numbers.

    Raises
    ------
    FileNotFoundError
        If a file of one is missing.
    KeyError
        If there is no such sample or organ; the message lists those that there are.
    ValueError
        If the metadata is broken.
    """
    if not is_hest(folder):
        raise FileNotFoundError(
            f"{folder} is no folder of HEST-1k, which has {TABLES}/<id>.h5ad, {IMAGES}/<id>.tif and {METADATA}/<id>.json"
        )
    sheet, rows = _read_sheet(folder)
    here = sorted((p.stem for p in (folder / TABLES).glob("*.h5ad")), key=_by_number)
    chosen = here if ids is None else [ids] if isinstance(ids, str) else list(ids)
    unknown = [i for i in chosen if i not in here]
    if unknown or not chosen:
        advice = ": download its files from HEST-1k" if unknown and set(unknown) <= set(rows) else ""
        raise KeyError(f"no {TABLES}/<id>.h5ad of samples {unknown} in {folder}; it has {_some(here)}{advice}")
    samples = [_sample(folder, i, sheet, rows.get(i, {})) for i in chosen]
    wanted = samples if organ is None else _of_organ(samples, organ, folder)
    for sample in wanted:
        _check_files(sample, folder)
    return wanted


def _by_number(sample: str) -> tuple[str, int]:
    number = re.search(r"\d+$", sample)
    return (sample[: number.start()], int(number[0])) if number else (sample, 0)


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_LISTED
    return f"{list(names[:MOST_LISTED])}" + (f" and {more} more" if more > 0 else "")


def _read_sheet(folder: Path) -> tuple[Path | None, dict[str, dict[str, Any]]]:
    """Return the newest table of all samples, by their ids; nothing where there is none."""
    # by numbers: as text v1_10 would come before v1_2
    sheets = sorted(folder.glob(SHEETS), key=lambda p: [int(n) for n in re.findall(r"\d+", p.stem)])
    if not sheets:
        return None, {}
    with intact(sheets[-1], "{path} cannot be read as CSV: {error}", errors=(ValueError,)):
        # as text: an id that looks like a number stays as it is, and "NA" is what was written
        frame = pd.read_csv(sheets[-1], dtype=str, keep_default_na=False)
    if "id" not in frame:
        raise ValueError(f"{sheets[-1]} has no column 'id'; it has {list(frame)}")
    if frame["id"].duplicated().any():
        raise ValueError(f"{sheets[-1]} has sample {frame['id'][frame['id'].duplicated()].iloc[0]!r} twice")
    return sheets[-1], frame.set_index("id").to_dict("index")


def _sample(folder: Path, name: str, sheet: Path | None, row: Mapping[str, Any]) -> Sample:
    """Return a sample; its own file says more than the table of all."""
    table, image = inside(folder, TABLES, f"{name}.h5ad"), inside(folder, IMAGES, f"{name}.tif")
    own = inside(folder, METADATA, f"{name}.json")
    said = _read_json(own) if own.is_file() else {}
    # JSON of Python holds NaN, which is the only value that differs from itself
    about = {**row, **{key: value for key, value in said.items() if value is not None and value == value}}
    return Sample(name, table, image, about, own if own.is_file() or sheet is None else sheet)


def _check_files(sample: Sample, folder: Path) -> None:
    if not sample.about:
        own = folder / METADATA / f"{sample.id}.json"
        raise FileNotFoundError(
            f"sample {sample.id!r} has no metadata: there is neither {own} nor a row in {folder / SHEETS}"
        )
    if not sample.image.is_file():
        raise FileNotFoundError(
            f"sample {sample.id!r} has no image {sample.image}: download it, or read the table with the small picture in it, "
            f"sh.io.read({str(sample.table)!r})"
        )


def _read_json(path: Path) -> dict[str, Any]:
    with intact(path, "{path} is no metadata of a sample, or broken: {error}", errors=(*BROKEN, OSError, ValueError)):
        found = json.loads(path.read_text(encoding="utf-8"))
        # inside, so that a list or a number, which has no items, is told as a broken file
        return dict(found.items())


def _of_organ(samples: Sequence[Sample], organ: str | Sequence[str], folder: Path) -> list[Sample]:
    wanted = {o.strip().lower() for o in ([organ] if isinstance(organ, str) else organ)}
    known = {(s.text("organ") or "").lower() for s in samples}
    if not wanted or not wanted <= known:
        organs = sorted({s.text("organ") or "unknown" for s in samples})
        raise KeyError(f"no sample of organ {sorted(wanted - known)} in {folder}; there are {organs}")
    return [s for s in samples if (s.text("organ") or "").lower() in wanted]
