"""Which files of a Space Ranger output a folder has; downloads put the sample's name before each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spatialhist.io._folders.sample_files import find_file, first_file

POSITIONS = ("spatial/tissue_positions.csv", "spatial/tissue_positions_list.csv")
SCALE_FACTORS = "spatial/scalefactors_json.json"


@dataclass(frozen=True)
class SpaceRangerFiles:
    """Files of one slide; small images are None where there are none."""

    counts: Path
    positions: Path
    scale_factors: Path
    hires: Path | None
    lowres: Path | None


def find_files(path: Path, counts: str, positions: tuple[str, ...] = POSITIONS) -> SpaceRangerFiles:
    """Find the files of a slide, with or without the sample's name in front.

    Parameters
    ----------
    path
        Folder of the slide.
    counts
        Name of the matrix.
    positions
        Names that the file of positions may have.

    Raises
    ------
    FileNotFoundError
        If one is missing; the message names it, and files that may be meant.
    ValueError
        If a folder holds files of several samples.
    """
    wanted = [(counts,), positions, (SCALE_FACTORS,)]
    found = [first_file(path, names) for names in wanted]
    missing = [names for names, file in zip(wanted, found, strict=True) if file is None]
    if missing:
        raise FileNotFoundError(_what_is_missing(path, missing))
    images = [find_file(path, f"spatial/tissue_{size}_image.png") for size in ("hires", "lowres")]
    return SpaceRangerFiles(*(file for file in found if file is not None), *images)


def _what_is_missing(path: Path, missing: list[tuple[str, ...]]) -> str:
    names = ", ".join(" or ".join([str(path / first), *(Path(o).name for o in others)]) for first, *others in missing)
    if (path / "outs").is_dir():
        return f"missing for a Space Ranger output: {names}; did you mean {path / 'outs'}?"
    return f"missing for a Space Ranger output: {names}{_similar(path, [first for first, *_ in missing])}"


def _similar(path: Path, missing: list[str]) -> str:
    """Files that lie elsewhere or are packed, as GEO has them."""
    matrix = next((name.removesuffix(".h5") for name in missing if name.endswith("_feature_bc_matrix.h5")), None)
    if matrix is not None and any((path / matrix).glob("matrix.mtx*")):
        return (
            f"; {path / matrix} holds the matrix as MTX files: adata = scanpy.read_10x_mtx(folder), set adata.obsm['spatial'] "
            "to x and y in pixels of the image, and sh.io.from_anndata(adata, image=)"
        )
    kinds = [Path(name).name.split(".")[0].removesuffix("_list") for name in missing]
    here = [
        p for folder in (path, path / "spatial") if folder.is_dir() for p in sorted(folder.iterdir()) if p.is_file()
    ]
    similar = [str(p.relative_to(path)) for p in here if any(kind in p.name for kind in kinds)]
    if not similar:
        return ""
    return f"; there is {', '.join(similar[:4])}: unpack and rename as above"
