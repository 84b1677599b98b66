"""What a cross-validation and a fit on everything have in common: checking, gathering, claiming a folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.executor import n_workers
from spatialhist._runtime.files import whole_folder
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.cohort import Cohort, open_cohort, usable_rows
from spatialhist._sdata.layers import get_layer, recorded
from spatialhist._sdata.scale import scale, stain_target
from spatialhist.nn import get_encoder
from spatialhist.tl._data.design import Design, default_context, default_extents
from spatialhist.tl._data.features import check_slide
from spatialhist.tl._data.gather import fingerprint, gather_run
from spatialhist.tl._data.panel import refuse_missing_values
from spatialhist.tl._data.samples import Inputs
from spatialhist.tl._predictors.registry import describe, resolve_models
from spatialhist.tl._runs.folder import FORMAT, check_free, claim
from spatialhist.tl._runs.out_of_distribution import TrainingFeatures

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.tl._predictors.protocol import Predictor

LIBRARIES = ("numpy", "scipy", "scikit-learn", "spatialdata", "torch")


@dataclass(frozen=True)
class Task:
    """What models are fitted on, checked.

    Attributes
    ----------
    cohort
        The measured slides.
    rows
        Rows of the table that are trained on, per slide.
    layer
        What is predicted.
    design
        What models look at.
    models
        The predictors.
    seed, threads
        Of every fit.
    """

    cohort: Cohort
    rows: dict[str, np.ndarray]
    layer: str
    design: Design
    models: list[Predictor]
    seed: int
    threads: int

    @classmethod
    def of(
        cls,
        sdata: SpatialData,
        models: str | Predictor | Sequence[str | Predictor],
        *,
        slides: str | Sequence[str] | None,
        table_key: str,
        layer: str,
        encoder: str | Callable[..., Any],
        extents: Sequence[tuple[str, float]] | None,
        context: Sequence[tuple[str, float]] | None,
        seed: int,
        threads: int,
        **design: Any,
    ) -> Task:
        """Check the arguments of a run.

        Raises
        ------
        KeyError
            If the layer is missing, or a slide lacks its image or mask.
        ValueError
            If no slide was measured, or one lacks its scale or the place of its spots.
        """
        if threads < 1:
            raise ValueError(f"threads={threads} must be at least 1")
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed={seed!r} must be a whole number of at least 0")
        cohort = open_cohort(sdata, slides, table_key=table_key)
        get_layer(cohort.table, layer)
        rows = usable_rows(cohort)
        if not rows:
            raise ValueError(f"none of the slides {cohort.slides} has measured spots that passed pp.filter_spots")
        cohort = Cohort(sdata, cohort.table, list(rows))
        looks = Design(
            encoder=encoder,
            extents=tuple(extents or default_extents(cohort)),
            context=default_context(cohort) if context is None else tuple(context),
            **design,
        )
        for slide in cohort.slides:
            check_slide(cohort, slide, looks)
        return cls(cohort, rows, layer, looks, resolve_models(models, looks), seed, threads)

    def recipe(self) -> dict[str, Any]:
        """What is fitted on, in what way, whatever the slides."""
        return {
            "models": [describe(m) for m in self.models],
            "layer": self.layer,
            "design": self.design.to_json(),
        }

    def manifest(
        self, what: str, columns: np.ndarray, slides: dict[str, dict[str, Any]], **identity: Any
    ) -> dict[str, Any]:
        """Everything that a run folder says of itself, but for the hash of its data.

        Parameters
        ----------
        what
            ``"cross-validation"`` or ``"model"``.
        columns
            Genes of all panels, as positions in the table.
        slides
            Facts of every slide.
        identity
            Further parameters on which the result depends.
        """
        return {
            "format": FORMAT,
            "what": what,
            "version": version("spatialhist"),
            "versions": {name: version(name) for name in LIBRARIES},
            "identity": {
                **self.recipe(),
                "seed": self.seed,
                "threads": self.threads,
                **identity,
            },
            "slides": {
                s: {
                    **facts,
                    "spots": len(self.rows[s]),
                    "stain": stain_target(self.cohort.sdata, s, self.design.image),
                    **asdict(scale(self.cohort.sdata, s)),
                }
                for s, facts in slides.items()
            },
            "genes": list(self.cohort.table.var_names[columns]),
            "units": _units(recorded(self.cohort.table, self.layer)),
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }

    def begin(
        self,
        folder: Path,
        manifest: dict[str, Any],
        *,
        assigned: dict[str, str],
        columns: np.ndarray,
        overwrite: bool,
        executor: Any,
        progress: bool,
    ) -> Inputs:
        """Gather the inputs and claim the folder; ``manifest`` gets the hash of the data and how it is ranked.

        Inputs are gathered beside those of the run that the folder may hold, so that a refused call changes nothing.

        Raises
        ------
        FileExistsError
            If the folder holds another run.
        ValueError
            If targets are missing.
        """
        refuse_missing_values(self.cohort, self.rows, self.layer, columns)
        check_free(folder, manifest["identity"], overwrite=overwrite)
        with whole_folder(folder / "inputs") as beside:
            inputs = gather_run(
                self.cohort,
                beside,
                folder / "cache",
                rows=self.rows,
                assigned=assigned,
                columns=columns,
                layer=self.layer,
                design=self.design,
                encoder=get_encoder(self.design.encoder),
                tiles=any(m.needs_tiles for m in self.models),
                workers=n_workers(executor),
                threads=self.threads,
                progress=progress,
            )
            manifest["identity"]["data"] = fingerprint(beside, manifest["genes"])
            manifest["ranking"] = inputs.meta["ranking"]
            claim(folder, manifest, overwrite=overwrite)
        inputs = Inputs.open(folder / "inputs")
        with pinned_threads(self.threads):
            TrainingFeatures.of(inputs, sorted(set(assigned.values())), len(self.design.extents)).save(folder)
        return inputs


def _units(made: dict[str, Any]) -> dict[str, Any]:
    """What the numbers of a layer are; tables that hold predictions alone know it from here."""
    return {key: made[key] for key in ("target_sum", "smoothed") if key in made}
