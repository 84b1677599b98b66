"""A model fitted on everything: a handle on its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialhist import _keys
from spatialhist._runtime.files import intact
from spatialhist.tl._data.design import Design
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.manifest import MANIFEST, MODEL, Manifest, restored


@dataclass(frozen=True)
class Model:
    """What :func:`fit` returns; everything lies in ``folder``.

    Attributes
    ----------
    folder
        The model folder.
    manifest
        Parameters, panel, training slides, versions.
    models
        The predictors, whose predictions are averaged.
    """

    folder: Path
    manifest: Manifest = field(repr=False)
    models: tuple[Predictor, ...]
    _temporary: Any = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the temporary folder to the process that made it."""
        return {**self.__dict__, "_temporary": None}

    @classmethod
    def load(cls, folder: str | Path, *, models: Sequence[Predictor] = ()) -> Model:
        """Load a model folder; predictors of your own must be handed in again.

        Raises
        ------
        FileNotFoundError, ValueError
            If the folder holds no model, a broken one, or one of a newer version.
        """
        manifest = Manifest.read(Path(folder), MODEL)
        with intact(Path(folder) / MANIFEST):
            model = cls(Path(folder), manifest, restored(manifest.models, models))
            model.fits()
        return model

    @property
    def run_id(self) -> str:
        """Hash of parameters and data; layers carry it."""
        return self.manifest.run_id

    @property
    def genes(self) -> list[str]:
        """The panel."""
        return self.manifest.genes

    def fits(self) -> list[Fit]:
        """One fit a predictor."""
        seed, threads = self.manifest.seed, self.manifest.threads
        every = tuple(range(len(self.genes)))
        full = self.folder / "full"
        return [Fit(p, (), every, full / _keys.sanitize(p.name), seed, threads) for p in self.models]

    def restore_design(self, encoder: Any = None) -> Design:
        """The design with its encoder."""
        return self.manifest.restore_design(encoder)
