"""Trained models as models of LazySlide, which predict from its tables of features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spatialhist._runtime.threads import pinned_threads
from spatialhist.nn._encoders.catalog import find_named, is_built_in
from spatialhist.tl._data.samples import Samples, standardize
from spatialhist.tl._load import Source, as_trained

SOURCE = "lazyslide:"


class LazySlideModel:
    """A trained model that LazySlide applies to features of its own tiles.

    It is a ``FeaturePredictionModelProtocol`` of LazySlide, for ``lazyslide.tl.feature_prediction(wsi, model)``.

    Parameters
    ----------
    source
        A stack, a cross-validation, a fitted model, or a run folder. It must have been trained without ``context``, on
        the encoder of the features and with tiles of the same size: ``encoder="uni2"``, or another of its names, ``extents`` of
        the tile's side and ``pixels`` of the encoder's input.
    name
        How LazySlide calls its predictions.

    Raises
    ------
    ValueError
        If a model looks at pixels, or at context.

    Notes
    -----
    Features are standardized by mean and deviation over all tiles of the slide, which LazySlide therefore hands over at
    once. Elsewhere in this package these come from a fixed grid of the tissue, so predictions agree closely, not exactly.

    Examples
    --------
    >>> import numpy as np, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=2, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> trained = sh.tl.fit(sdata, models="ridge", genes=5, extents=[("um", 100.0)], context=(), progress=False)
    >>> model = sh.tl.LazySlideModel(trained)
    >>> model.whole_slide
    True
    """

    needs_coords = False
    whole_slide = True

    def __init__(self, source: Source, *, name: str = "spatialhist") -> None:
        self.model = as_trained(source)
        self.name = name
        self._design = self.model.manifest.design
        if self.model.needs_tiles:
            raise ValueError(
                "a model that looks at pixels cannot predict from features: leave it out, sh.tl.fit(sdata, models=[...])"
            )
        if self._design.radii:
            raise ValueError("features of tiles alone hold no context: train with sh.tl.fit(sdata, context=())")

    @property
    def features_model_name(self) -> str | None:
        """Name of LazySlide's encoder that the model was trained on."""
        encoder = self.model.manifest.encoder
        if encoder.startswith(SOURCE):
            return encoder.removeprefix(SOURCE)
        named = find_named(encoder)
        return None if named is None or is_built_in(named.name) else named.name

    def get_transform(self) -> Callable[..., Any] | None:
        """Nothing is done to features."""
        return None

    def to(self, device: Any) -> LazySlideModel:
        """Stay on the CPU: heads over features take no time."""
        return self

    def try_compile(self, **options: Any) -> None:
        """Stay as it is."""

    def predict(self, features: Any, coords: Any = None, *args: Any, **options: Any) -> dict[str, np.ndarray]:
        """Predict every gene.

        Parameters
        ----------
        features
            ``(tiles, F)`` of all tiles of a slide; those of several fields of view side by side, in the order of ``extents``.
        coords
            Not looked at.
        args, options
            Nor are these.

        Returns
        -------
        dict[str, ndarray]
            Array ``(tiles,)`` float32 by gene, in the units the model was trained in.

        Raises
        ------
        ValueError
            If the number of features is another than in training.
        """
        values = np.asarray(features, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != self.model.n_features():
            raise ValueError(f"features are {values.shape}: the model takes (tiles, {self.model.n_features()})")
        blocks = np.split(values, len(self._design.extents), axis=1)
        n = len(values)
        samples = Samples(
            slide=np.full(n, ""),
            group=np.full(n, ""),
            patient=np.full(n, ""),
            position=np.zeros((n, 2)),
            features=tuple(blocks),
            # the tiles of one call stand for the tissue of their slide, whose mean and deviation they are scaled by
            standardized=tuple(standardize(b, b.mean(axis=0), b.std(axis=0)) for b in blocks),
        )
        with pinned_threads(self.model.threads):
            predicted = self.model.predict(samples)
        return dict(zip(self.model.genes, predicted.T, strict=True))
