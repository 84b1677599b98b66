"""What a predictor is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from spatialhist.tl._data.samples import Samples

State = tuple[dict[str, "np.ndarray"], dict[str, Any]]
"""Arrays, and what JSON can hold."""


@runtime_checkable
class Fitted(Protocol):
    """A predictor that has seen its training spots and never changes again."""

    def predict(self, samples: Samples) -> np.ndarray:
        """Predict ``(n, genes)`` float32."""
        ...

    def state(self) -> State:
        """Everything that ``restore`` of its predictor needs."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A recipe; it holds parameters only, so that every fold gets a fresh model."""

    @property
    def name(self) -> str:
        """Names the layer of its out-of-fold predictions, ``oof_NAME``."""
        ...

    @property
    def kind(self) -> str:
        """``"model"`` or ``"baseline"``."""
        ...

    @property
    def needs_tiles(self) -> bool:
        """Whether it looks at pixels besides features."""
        ...

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> Fitted:
        """Fit on training spots only; whatever it chooses, it chooses on these.

        ``scratch`` is a folder for logs and checkpoints.
        """
        ...

    def restore(self, state: State) -> Fitted:
        """Rebuild a fitted predictor from its state."""
        ...
