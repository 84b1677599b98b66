"""What a cross-validation and a fit on everything have in common: checking, gathering, claiming a folder."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.executor import n_workers
from spatialhist._runtime.files import whole_folder
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.cohort import usable_rows
from spatialhist._sdata.counts import spot_depth
from spatialhist._sdata.layers import get_layer, recorded
from spatialhist.nn import get_encoder
from spatialhist.tiles._features.compute import DEFAULT, Compute
from spatialhist.tiles._features.engines import as_engine
from spatialhist.tl._data.design import COLOR_TEXTURE, Design
from spatialhist.tl._data.features import check_slide
from spatialhist.tl._data.gather import fingerprint, gather_run
from spatialhist.tl._data.panel import refuse_missing_values
from spatialhist.tl._data.samples import Inputs
from spatialhist.tl._data.shared_genes import refuse_other_genes
from spatialhist.tl._data.signature import Signature, sign_slide
from spatialhist.tl._data.upsampling import warn_of_upsampling
from spatialhist.tl._predictors.registry import describe, resolve_models
from spatialhist.tl._runs.composition import PARTS, count_parts
from spatialhist.tl._runs.folder import check_free, claim
from spatialhist.tl._runs.manifest import DEPTH, Manifest, TrainingSlide
from spatialhist.tl._runs.out_of_distribution import TrainingFeatures
from spatialhist.tl._runs.signatures import save_signatures

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide
    from spatialhist.nn import ColorTexture, FrozenEncoder
    from spatialhist.tl._predictors.protocol import Predictor

LIBRARIES = ("numpy", "scipy", "scikit-learn", "spatialdata", "torch")


@dataclass(frozen=True)
class Task:
    """What models are fitted on, checked.

    Attributes
    ----------
    table
        Spots and genes.
    slides
        The measured slides.
    rows
        Rows of the table that are trained on, per slide.
    layer
        What is predicted.
    design
        What models look at.
    encoder
        Its encoder.
    models
        The predictors.
    seed, threads
        Of every fit.
    depth
        Total counts of every row of the table, where a model is trained with them.
    compute
        Where and how exactly the encoder runs.
    """

    table: AnnData
    slides: list[Slide]
    rows: dict[str, np.ndarray]
    layer: str
    design: Design
    encoder: ColorTexture | FrozenEncoder
    models: list[Predictor]
    seed: int
    threads: int
    depth: np.ndarray | None = None
    compute: Compute = DEFAULT

    @classmethod
    def of(
        cls,
        table: AnnData,
        slides: Sequence[Slide],
        models: str | Predictor | Sequence[str | Predictor],
        *,
        layer: str,
        design: Design,
        seed: int,
        threads: int,
        compute: Compute = DEFAULT,
    ) -> Task:
        """Check the arguments of a run.

        Raises
        ------
        KeyError
            If the layer is missing, or a slide lacks its image or mask.
        ValueError
            If no slide was measured, one lacks its scale or the place of its spots, or a model needs depth that is unknown.
        """
        if threads < 1:
            raise ValueError(f"threads={threads} must be at least 1")
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed={seed!r} must be a whole number of at least 0")
        get_layer(table, layer)
        rows = usable_rows(slides)
        if not rows:
            names = [s.name for s in slides]
            raise ValueError(f"none of the slides {names} has measured spots that passed pp.filter_spots")
        used = [s for s in slides if s.name in rows]
        refuse_other_genes(table, used, rows, layer)
        encoder = get_encoder(design.encoder)
        looks = design.on([s.scale for s in used], encoder)
        for slide in used:
            check_slide(slide, looks)
        warn_of_upsampling(used, looks, encoder)
        resolved = resolve_models(models)
        depth = _depth(table, used, layer, resolved)
        return cls(table, used, rows, layer, looks, encoder, resolved, int(seed), threads, depth, compute)

    @cached_property
    def signatures(self) -> dict[str, Signature]:
        """Keypoints of the picture of every slide."""
        return {s.name: sign_slide(s) for s in self.slides}

    @property
    def named_encoder(self) -> str | None:
        """Name of the encoder, which the user has given; None for one of their own."""
        return self.design.encoder if isinstance(self.design.encoder, str) else None

    @cached_property
    def known_depth(self) -> np.ndarray | None:
        """Total counts of every row of the table, whether a model asks for them or not; None where nothing says them."""
        return spot_depth(self.table, self.slides, self.layer)

    @cached_property
    def parts(self) -> int:
        """How many targets are parts of a whole; 0 where they do not sum to 1."""
        return count_parts(self.table, self.rows, self.layer)

    @property
    def depth_hash(self) -> str | None:
        """Hash of the depth of the spots that are trained on."""
        if self.known_depth is None:
            return None
        used = self.known_depth[np.concatenate(list(self.rows.values()))]
        # in one byte order and width, so that the hash is the same on every machine
        return hashlib.blake2b(used.astype("<f8").tobytes(), digest_size=16).hexdigest()

    def recipe(self) -> dict[str, Any]:
        """What is fitted on and how, apart from the slides."""
        return {
            "models": [describe(m) for m in self.models],
            "layer": self.layer,
            "design": self.design.to_json(),
        }

    def recipe_hash(self, facts: dict[str, Any]) -> str:
        """Hash of all parameters but the seed, with the slides."""
        about = {**self.recipe(), **facts, "slides": {s.name: s.pixel_hash for s in self.slides}}
        return hashlib.blake2b(json.dumps(about, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()

    def manifest(
        self,
        what: str,
        columns: np.ndarray,
        assigned: dict[str, str] | None = None,
        *,
        license: str | None = None,
        selection: dict[str, Any] | None = None,
        **identity: Any,
    ) -> Manifest:
        """Everything that a run folder says of itself, but for the hash of its data.

        Parameters
        ----------
        what
            ``"cross-validation"`` or ``"model"``.
        columns
            Genes of all panels, as positions in the table.
        assigned
            Group of every slide, where some are held out.
        license
            Under which a model may be used.
        selection
            What selected genes, slides and spots.
        identity
            Further parameters on which the result depends.
        """
        return Manifest.of(
            what,
            {**self.recipe(), "seed": self.seed, "threads": self.threads, **self._asked_depth(), **identity},
            {
                s.name: TrainingSlide(
                    pixels=s.pixel_hash,
                    group=None if assigned is None else assigned[s.name],
                    spots=len(self.rows[s.name]),
                    stain=s.stain_target(self.design.image),
                    scale=s.scale,
                    patient=s.patient,
                )
                for s in self.slides
            },
            genes=list(self.table.var_names[columns]),
            units=_units(recorded(self.table, self.layer)) | ({PARTS: self.parts} if self.parts else {}),
            version=version("spatialhist"),
            versions={name: version(name) for name in LIBRARIES},
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            license=license,
            selection=selection or {},
        )

    def _asked_depth(self) -> dict[str, str | None]:
        return {} if self.depth is None else {DEPTH: self.depth_hash}

    def begin(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        assigned: dict[str, str],
        columns: np.ndarray,
        overwrite: bool,
        executor: Any,
        progress: bool,
        for_baselines: bool = False,
        features: Path | None = None,
    ) -> Inputs:
        """Gather the inputs and claim the folder with them and the manifest.

        Inputs are gathered beside those of the run that the folder may hold, so that a refused call changes nothing.
        ``for_baselines`` adds what baselines alone see: color and texture where the encoder is another one, and depth.
        ``features`` is where features are kept, a folder of the run by default.

        Raises
        ------
        FileExistsError
            If the folder holds another run.
        ValueError
            If targets are missing.
        """
        refuse_missing_values(self.table, self.slides, self.rows, self.layer, columns)
        # before anything is gathered, which may take hours; the hash of the data is compared by `claim`
        check_free(folder, manifest, overwrite=overwrite)
        with whole_folder(folder / "inputs") as beside:
            inputs = gather_run(
                self.table,
                self.slides,
                beside,
                features or folder / "cache",
                rows=self.rows,
                assigned=assigned,
                columns=columns,
                layer=self.layer,
                design=self.design,
                encoder=as_engine(self.encoder, self.compute),
                colors=get_encoder(COLOR_TEXTURE) if for_baselines and self.design.encoder != COLOR_TEXTURE else None,
                depth=self.known_depth if for_baselines else self.depth,
                tiles=any(m.needs_tiles for m in self.models),
                workers=n_workers(executor),
                progress=progress,
            )
            gathered = manifest.of_inputs(fingerprint(beside, manifest.genes), inputs.meta["ranking"])
            # within the block: where the folder is refused, its own inputs stay and these are dropped
            claim(folder, gathered, overwrite=overwrite)
        save_signatures(folder, self.signatures)
        inputs = Inputs.open(folder / "inputs")
        with pinned_threads(self.threads):
            TrainingFeatures.of(inputs, sorted(set(assigned.values())), len(self.design.extents)).save(folder)
        return inputs


def _depth(table: AnnData, slides: Sequence[Slide], layer: str, models: Sequence[Predictor]) -> np.ndarray | None:
    """Total counts of every row of the table, if a model is trained with them."""
    asking = [m.name for m in models if getattr(m, "needs_depth", False)]
    if not asking:
        return None
    depth = spot_depth(table, slides, layer)
    if depth is None:
        raise ValueError(
            f"models {asking} are trained with the total counts of spots, which are not known: no counts lie behind layer "
            f"{layer!r}; put total counts into sdata[table_key].obs['total_counts'], or leave these models out"
        )
    return depth


def _units(made: dict[str, Any]) -> dict[str, Any]:
    """What the numbers of a layer are; tables that hold predictions alone know it from here."""
    return {key: made[key] for key in ("target_sum", "smoothed", "unit") if key in made}
