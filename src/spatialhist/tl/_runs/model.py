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
from spatialhist.tl._predictors.registry import from_description
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.folder import MANIFEST, check_facts, read_manifest, run_id


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
    manifest: dict[str, Any] = field(repr=False)
    models: tuple[Predictor, ...]
    _temporary: Any = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the temporary folder to the process that made it."""
        return {**self.__dict__, "_temporary": None}

    @classmethod
    def load(cls, folder: str | Path, *, models: Sequence[Predictor] = ()) -> Model:
        """Load a model folder; predictors of your own must be handed in again."""
        manifest = read_manifest(Path(folder))
        with intact(Path(folder) / MANIFEST):
            described = manifest["identity"]["models"]
            model = cls(Path(folder), manifest, tuple(from_description(d, models) for d in described))
            check_facts(manifest)
            model.fits()
        return model

    @property
    def run_id(self) -> str:
        """Hash of parameters and data; layers carry it."""
        return run_id(self.manifest)

    @property
    def genes(self) -> list[str]:
        """The panel."""
        return self.manifest["genes"]

    def fits(self) -> list[Fit]:
        """One fit a predictor."""
        identity = self.manifest["identity"]
        every = tuple(range(len(self.genes)))
        return [
            Fit(p, (), every, self.folder / "full" / _keys.sanitize(p.name), identity["seed"], identity["threads"])
            for p in self.models
        ]

    def restore_design(self, encoder: Any = None) -> Design:
        """The design with its encoder."""
        with intact(self.folder / MANIFEST):
            return Design.from_json(self.manifest["identity"]["design"], encoder)
