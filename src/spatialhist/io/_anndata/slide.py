"""One slide from some spots of an AnnData and a picture."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.known_scale import spot_pitch
from spatialhist._sdata.spots_on_image import check_distance
from spatialhist.io._anndata import contents
from spatialhist.io._anndata.pictures import scale_factor
from spatialhist.io._anndata.scale import said_mpp
from spatialhist.io._assembly.slide import check_centers, make_slide

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist.io._anndata.contents import Contents
    from spatialhist.io._anndata.libraries import Library
    from spatialhist.io._anndata.pictures import Picture


def build_part(
    table: Contents,
    library: Library,
    picture: Picture,
    *,
    slide: str,
    patient: str | None = None,
    mpp: float | None = None,
    diameter_px: float | None = None,
    spacing_um: float | None = None,
    columns: dict[str, str] | None = None,
) -> SpatialData:
    """Build the slide of one library.

    Parameters
    ----------
    table
        What the spots are taken from.
    library
        Which spots of it.
    picture
        What they are laid on.
    slide, patient
        Ids.
    mpp
        Micrometers per pixel of positions.
    diameter_px
        Of a spot, in pixels of positions; that of the scale factors if None.
    spacing_um
        Distance of neighboring spots in micrometers, which the scale is compared with.
    columns
        Further columns of ``obs``, the same for all spots.
    """
    rows = library.rows
    xy = check_centers(contents.positions(table.adata, rows), slide)
    pitch = spot_pitch(table.adata.obs.iloc[rows], xy)
    mpp = _choose_mpp(library, picture, mpp, said_mpp(library, xy, pitch), pitch, slide)
    diameter = diameter_px or scale_factor(library, "spot_diameter_fullres")
    check_distance(pitch, mpp if spacing_um else None, slide, known_um=spacing_um)
    _tell_small(picture, mpp, slide)
    whose = picture.patient if patient is None and _keys.PATIENT not in table.obs else patient
    part = make_slide(
        picture.pixels,
        xy * picture.factor,
        contents.expression(table.adata, rows, slide),
        slide=slide,
        genes=list(table.var.index),
        spot_ids=_barcodes(table.adata, rows, slide),
        patient=whose,
        mpp=None if mpp is None else mpp / picture.factor,
        pitch_px=None if pitch is None else pitch * picture.factor,
        spot_diameter_px=None if diameter is None else diameter * picture.factor,
        obs=_obs(table, rows, whose, columns or {}),
        small=picture.small,
    )
    _fill(part.tables[_keys.TABLE], table, rows)
    return part


def _choose_mpp(
    library: Library, picture: Picture, given: float | None, said: float | None, pitch: float | None, slide: str
) -> float | None:
    """Micrometers per pixel of positions as the caller says, else the slide, the table, the file of the image."""
    known = next((m for m in (given, picture.mpp, said, picture.recorded_mpp) if m is not None), None)
    if said is not None and pitch is not None:
        # a set: the two are often one, which would be warned of twice
        for other in {known, picture.recorded_mpp}:
            check_distance(pitch, other, slide, known_um=said * pitch)
    return known


def _tell_small(picture: Picture, mpp: float | None, slide: str) -> None:
    if not picture.key:
        return
    size = f"{picture.pixels.shape[2]} x {picture.pixels.shape[1]} pixels"
    um = "" if mpp is None else f", {mpp / picture.factor:.3g} um each"
    warnings.warn(
        f"slide {slide!r} has no full-resolution image: positions are scaled by {picture.factor:.4g} onto its {picture.key} "
        f"picture of {size}{um}. Nuclei do not show there: give the image that positions were measured on, where you have it, "
        "by image=",
        stacklevel=4,
    )


def _barcodes(adata: AnnData, rows: np.ndarray, slide: str) -> list[str]:
    names = adata.obs_names[rows].astype(str)
    if names.has_duplicates:
        raise ValueError(
            f"adata.obs_names repeat on slide {slide!r}, e.g. {names[names.duplicated()][0]!r}: call "
            "adata.obs_names_make_unique()"
        )
    return list(names)


def _obs(table: Contents, rows: np.ndarray, patient: str | None, columns: dict[str, str]) -> pd.DataFrame:
    given = [_keys.PATIENT] if patient is not None else []
    frame = table.obs.iloc[rows].drop(columns=[*given, *columns], errors="ignore")
    return frame.assign(**{name: pd.Categorical([value] * len(rows)) for name, value in columns.items()})


def _fill(made: AnnData, table: Contents, rows: np.ndarray) -> None:
    """Add to the table of a slide what a slide does not need."""
    if table.measured is not None:
        made.obs[_keys.MEASURED] = table.measured[rows]
    for column in table.var:
        made.var[column] = table.var[column]
    for name, layer in contents.layers(table, rows).items():
        made.layers[name] = layer
    for name, values in contents.obsm(table, rows, made.obs_names).items():
        made.obsm[name] = values
    made.uns.update(contents.logarithm(table.adata.uns))
