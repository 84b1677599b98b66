"""A finished cross-validation: a handle on its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.files import intact
from spatialhist.tl._data.design import Design
from spatialhist.tl._data.samples import Inputs
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.manifest import CROSS_VALIDATION, MANIFEST, Manifest, restored
from spatialhist.tl._runs.plan import inner_fits, outer_fits

LATEST = "cross_validate"
"""Entry of ``uns`` that names the latest run for each target."""


@dataclass(frozen=True)
class CrossValidation:
    """What :func:`cross_validate` returns; everything lies in ``folder``, and a folder can be loaded again.

    Attributes
    ----------
    folder
        The run folder.
    manifest
        Parameters, groups, panels, versions: what every number of the run has seen.
    models, baselines
        The predictors.
    """

    folder: Path
    manifest: Manifest = field(repr=False)
    models: tuple[Predictor, ...]
    baselines: tuple[Predictor, ...]
    _temporary: Any = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the temporary folder to the process that made it."""
        return {**self.__dict__, "_temporary": None}

    @classmethod
    def load(cls, folder: str | Path, *, models: Sequence[Predictor] = ()) -> CrossValidation:
        """Load a run folder; predictors of your own must be handed in again.

        Raises
        ------
        FileNotFoundError, ValueError
            If the folder holds no run, a broken one, or one of a newer version.
        """
        manifest = Manifest.read(Path(folder), CROSS_VALIDATION)
        with intact(Path(folder) / MANIFEST):
            cv = cls(Path(folder), manifest, restored(manifest.models, models), restored(manifest.baselines))
            cv.outer()
        return cv

    @property
    def run_id(self) -> str:
        """Hash of parameters and data; layers carry it."""
        return self.manifest.run_id

    @property
    def groups(self) -> list[str]:
        """Held-out groups, in the order of their numbers."""
        return self.manifest.groups

    @property
    def genes(self) -> list[str]:
        """Genes of the union of all panels, in the order of the run's columns."""
        return self.manifest.genes

    @property
    def panels(self) -> dict[str, tuple[int, ...]]:
        """Columns that each outer fold models."""
        return self.manifest.panels

    @property
    def inputs(self) -> Inputs:
        """Spots of the run."""
        return Inputs.open(self.folder / "inputs")

    def outer(self) -> dict[tuple[str, str], Fit]:
        """Fits by (group, predictor name)."""
        return outer_fits(self.folder, self.groups, [*self.models, *self.baselines], self.panels, **self._common())

    def inner(self) -> dict[tuple[str, str, str], Fit]:
        """Fits by (outer group, predicted group, model name)."""
        return inner_fits(self.folder, self.groups, self.models, self.panels, **self._common())

    def _common(self) -> dict[str, int]:
        return {"seed": self.manifest.seed, "threads": self.manifest.threads}

    def out_of_fold(self, name: str) -> np.ndarray:
        """Out-of-fold predictions of one predictor ``(spots, genes)``; NaN outside a fold's panel."""
        fits = self.outer()
        result = np.full((len(self.inputs), len(self.genes)), np.nan, dtype=np.float32)
        for group in self.groups:
            rows, predicted = fits[group, name].result()
            result[np.ix_(rows, np.asarray(self.panels[group]))] = predicted
        return result

    def targets(self, rows: np.ndarray, group: str) -> np.ndarray:
        """Targets of some spots as the fold of a group models them."""
        return self.inputs.samples(rows, self.panels[group]).targets

    def restore_design(self, encoder: Any = None) -> Design:
        """The design with its encoder."""
        return self.manifest.restore_design(encoder)
