"""Which files of a Space Ranger output a folder has; downloads put the sample's name before each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv")
SCALE_FACTORS = "scalefactors_json.json"


@dataclass(frozen=True)
class SpaceRangerFiles:
    """Files of one slide; small images are None where there are none."""

    counts: Path
    positions: Path
    scale_factors: Path
    hires: Path | None
    lowres: Path | None


def find_files(path: Path, counts: str) -> SpaceRangerFiles:
    """Find the files of a slide, with or without the sample's name in front.

    Raises
    ------
    FileNotFoundError
        If one is missing; the message names it, and files that may be meant.
    ValueError
        If a folder holds files of several samples.
    """
    spatial = path / "spatial"
    matrix = _find(path, counts)
    positions = _find(spatial, POSITIONS[0]) or _find(spatial, POSITIONS[1])
    factors = _find(spatial, SCALE_FACTORS)
    if matrix is None or positions is None or factors is None:
        found = {counts: matrix, POSITIONS[0]: positions, SCALE_FACTORS: factors}
        missing = [name for name, file in found.items() if file is None]
        raise FileNotFoundError(_what_is_missing(path, counts, missing))
    hires, lowres = (_find(spatial, f"tissue_{size}_image.png") for size in ("hires", "lowres"))
    return SpaceRangerFiles(matrix, positions, factors, hires, lowres)


def _find(folder: Path, name: str) -> Path | None:
    if (folder / name).is_file():
        return folder / name
    prefixed = sorted(folder.glob(f"*_{name}"))
    if len(prefixed) > 1:
        raise ValueError(
            f"{folder} holds {len(prefixed)} samples: {', '.join(p.name for p in prefixed[:4])}. Give each sample a "
            "folder of its own"
        )
    return prefixed[0] if prefixed else None


def _what_is_missing(path: Path, counts: str, missing: list[str]) -> str:
    where = {counts: path / counts}
    names = [str(where.get(name, path / "spatial" / name)) for name in missing]
    names = [f"{name} (or {POSITIONS[1]})" if name.endswith(POSITIONS[0]) else name for name in names]
    if (path / "outs").is_dir():
        return f"missing for a Space Ranger output: {', '.join(names)}; did you mean {path / 'outs'}?"
    return f"missing for a Space Ranger output: {', '.join(names)}{_similar(path, missing)}"


def _similar(path: Path, missing: list[str]) -> str:
    """Files that lie elsewhere or are packed, as GEO has them."""
    kinds = [name.split(".")[0].removesuffix("_list") for name in missing]
    here = [
        p for folder in (path, path / "spatial") if folder.is_dir() for p in sorted(folder.iterdir()) if p.is_file()
    ]
    similar = [str(p.relative_to(path)) for p in here if any(kind in p.name for kind in kinds)]
    if not similar:
        return ""
    return f"; there is {', '.join(similar[:4])}: unpack and rename as above"
