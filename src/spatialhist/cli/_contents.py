"""What stores and model folders hold, in words and numbers for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.tl._load import Source
    from spatialhist.tl._runs.trained import Trained


def store_facts(sdata: SpatialData) -> dict[str, Any]:
    """Slides, scale, images, and layers with how they were made."""
    from spatialhist._sdata.cohort import open_images
    from spatialhist._sdata.compat import layer_names
    from spatialhist._sdata.layers import recorded
    from spatialhist.tl._scores.card import count_verdicts

    cohort = open_images(sdata)
    slides = {}
    for slide in cohort.every_slide():
        slides[slide.name] = {
            "spots": len(slide.rows),
            **_grids(sdata, slide.name),
            "patient": slide.patient,
            "mpp": slide.scale.mpp,
            "pitch_px": slide.scale.pitch_px,
            "images": [k for k in sdata.images if k.startswith(f"{slide.name}_")],
        }
    layers = {
        layer: {k: str(v) for k, v in recorded(cohort.table, layer).items()} for layer in layer_names(cohort.table)
    }
    for layer in layers:
        if verdicts := count_verdicts(cohort.table, layer):
            layers[layer]["genes"] = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())
    return {"slides": slides, "genes": cohort.table.n_vars, "layers": layers}


def _grids(sdata: SpatialData, slide: str) -> dict[str, str]:
    """Predicted spots of a slide, by the table that holds them."""
    from spatialhist._sdata.compat import layer_names

    tables = {key: table for key, table in sdata.tables.items() if key.startswith(f"{slide}_grid")}
    found = [f"{len(table)} in table {key!r} (layers {', '.join(layer_names(table))})" for key, table in tables.items()]
    return {"predicted spots": "; ".join(found)} if found else {}


def model_facts(trained: Trained) -> dict[str, Any]:
    """What a run or model predicts, was trained on, and is worth."""
    manifest, card = trained.manifest, trained.card()
    return {
        "predictor": trained.name,
        "predicts": manifest.layer,
        "genes": len(trained.genes),
        "trained on": list(manifest.slides),
        "encoder": manifest.encoder,
        "fields of view": [_field_of_view(field) for field in manifest.fields_of_view],
        "version": manifest.version,
        "scores": {entry["predictor"]: entry["mean"] for entry in card.get("scores", [])},
        "scores beyond depth": {
            e["predictor"]: e["beyond_depth"] for e in card.get("scores", []) if "beyond_depth" in e
        },
        "verdicts": count_genes(trained),
    }


def _field_of_view(field: dict[str, Any]) -> str:
    """Side and pixels of tiles, and how fine they are."""
    unit, side = field["extent"]
    um = field["um_per_pixel"]
    sizes = "" if um is None else f", {' to '.join(map(str, dict.fromkeys(um)))} um each"
    return f"{side:g} {unit}: {field['pixels']} pixels{sizes}"


def count_genes(model: Source) -> dict[str, int]:
    """Number of genes per reliability; empty for a model that was not evaluated."""
    from spatialhist.tl._load import as_trained
    from spatialhist.tl._scores import card_file

    trained = as_trained(model)
    return card_file.count_genes(trained.card(), trained.genes)
