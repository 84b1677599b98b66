"""What a handle has read from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist.tl._predictors.protocol import Fitted
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.out_of_distribution import TrainingFeatures

if TYPE_CHECKING:
    import numpy as np

    from spatialhist.tl._data.samples import Samples


class Restored:
    """Fits and training features of a run, each read once.

    Another process gets none of it, and reads the folder itself: that is less to send than weights.
    """

    def __init__(self) -> None:
        self._fitted: dict[Path, Fitted] = {}
        self._features: dict[Path, TrainingFeatures] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to other processes empty."""
        return Restored, ()

    def fitted(self, fit: Fit) -> Fitted:
        """The fitted predictor of a fit."""
        if fit.folder not in self._fitted:
            self._fitted[fit.folder] = fit.fitted()
        return self._fitted[fit.folder]

    def predict(self, fit: Fit, samples: Samples) -> np.ndarray:
        """Predict ``(n, genes)`` by a fit."""
        return fit.predict(self.fitted(fit), samples)

    def training_features(self, folder: Path) -> TrainingFeatures:
        """Where the training spots of a run lie."""
        if folder not in self._features:
            self._features[folder] = TrainingFeatures.load(folder)
        return self._features[folder]
