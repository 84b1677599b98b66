"""What does not fit between a trained model and the slides it is to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialhist._sdata.layers import recorded
from spatialhist.tl._inference.trained_scale import TrainedScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._runs.manifest import Manifest
    from spatialhist.tl._runs.trained import Trained

MIN_SHARED = 0.5
"""Share of the panel below which genes are likely to go by other names."""


def mismatches(table: AnnData, slides: Sequence[Slide], trained: Trained) -> list[str]:
    """Warnings about scale, genes and units of slides, each with what to do.

    Raises
    ------
    ValueError
        If a slide's stain was normalized in another way than that of the training slides.
    """
    sizes = TrainedScale.of(trained.manifest.scales)
    for slide in slides:
        refuse_other_stain(slide, trained.manifest)
    found = [sizes.mismatch(s.scale.mpp, s.name) for s in slides]
    found += [_other_genes(table, s, trained.genes) for s in slides]
    found.append(_other_units(table, trained.manifest))
    return [text for text in found if text]


def refuse_other_stain(slide: Slide, manifest: Manifest) -> None:
    """Refuse a slide whose image was recolored in another way than those of training.

    Raises
    ------
    ValueError
        Naming both ways.
    """
    image = manifest.design.image
    own = slide.stain_target(image)
    known = [s.stain for s in manifest.slides.values()]
    if _colors(own) not in [_colors(k) for k in known]:
        raise ValueError(
            f"image {image!r} of slide {slide.name!r} was recolored by {_name(own)}, those of the training slides by "
            f"{_name(known[0])}: call "
            "sh.pp.normalize_stain(sdata, method=..., reference=...) with those of the training slides"
        )


def _colors(target: dict[str, Any] | None) -> dict[str, Any]:
    """What decides on colors; who it was fitted on does not."""
    return {k: v for k, v in (target or {}).items() if k not in ("fitted_on", "pixel_hashes")}


def _name(target: dict[str, Any] | None) -> str:
    if target is None:
        return "nothing that is recorded"
    fitted_on = list(target["fitted_on"])
    return f"{target['method']!r} to {f'a reference fitted on {fitted_on}' if fitted_on else 'the shipped reference'}"


def _other_genes(table: AnnData, slide: Slide, genes: list[str]) -> str | None:
    if not slide.measured.any():
        return None
    own = table.var_names[slide.genes_measured]
    shared = len(own.intersection(genes))
    if shared >= MIN_SHARED * len(genes):
        return None
    return (
        f"slide {slide.name!r} measured {shared} of the {len(genes)} genes that the model predicts ({genes[0]!r}, ...); its own "
        f"are {own[0]!r}, ...: if these are other names of the same genes, rename table.var_names"
    )


def _other_units(table: AnnData, manifest: Manifest) -> str | None:
    """Compare the layer that the model predicts with that of the slides, as far as both are recorded."""
    layer, trained = manifest.layer, {**manifest.units, **(manifest.ranking or {})}
    own = {k: v for k, v in recorded(table, layer).items() if k in trained}
    differ = {k: (own[k], trained[k]) for k in own if own[k] != trained[k]}
    if not differ:
        return None
    which = ", ".join(f"{k}={a!r} here, {b!r} in training" for k, (a, b) in differ.items())
    return (
        f"layer {layer!r} of the table is in other units than what the model predicts ({which}): make the layer anew with "
        "the parameters of training before comparing them"
    )
