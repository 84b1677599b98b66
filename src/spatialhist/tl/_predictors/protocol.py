"""What a predictor is, and what makes one prediction of several."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from spatialhist.tl._data.samples import Samples

State = tuple[dict[str, "np.ndarray"], dict[str, Any]]
"""Arrays, and what JSON can hold."""


@runtime_checkable
class Fitted(Protocol):
    """A fitted predictor. :meth:`Predictor.fit` and :meth:`Predictor.restore` return one.

    It never changes again: a fold's predictions are made once, and must come out the same from its stored state. It may be
    any object with these two methods.
    """

    def predict(self, samples: Samples) -> np.ndarray:
        """Predict every spot.

        The prediction of a spot depends on that spot alone: slides are predicted some spots at a time, in any order. The
        samples are left as they are.

        Parameters
        ----------
        samples
            Spots without targets: those of the held-out group, or of a new slide, of which ``samples.group`` is ``""``.

        Returns
        -------
        numpy.ndarray
            ``(n, genes)`` float32, in the order of the spots and of the columns of the training targets, and in their units.
            A model predicts finite values; a baseline may return NaN where it cannot tell.
        """

    def state(self) -> State:
        """Return all that is needed to predict again.

        Returns
        -------
        tuple
            Arrays by name, which are stored as safetensors, and a dictionary that JSON can hold; ``{}`` for nothing. Arrays
            hold numbers; text goes into the dictionary, whose keys are text. A single number comes back as an array
            of shape ``(1,)``, a tuple as a list.
        """


@runtime_checkable
class Predictor(Protocol):
    """A recipe for a model. Write one of your own and pass it as ``models=`` of :func:`cross_validate` and :func:`fit`.

    It holds parameters only, so that every fold gets a fresh model: :meth:`fit` returns what was fitted, and leaves predictor
    and samples as they are. A frozen dataclass will do; nothing has to be inherited. :func:`check_predictor` fits one on
    simulated spots and says what is wrong with it.

    A run knows its predictors by the hash of their code, fields and weights; what cannot be hashed needs an attribute
    ``fingerprint``, a text that changes whenever it predicts something else. A stored run holds what was fitted and not
    the code: pass the predictor again to :func:`load`, as in ``sh.tl.load("run", models=[Darkness()])``.

    Examples
    --------
    A regression through the origin on the first feature, relative to the slide's tissue:

    >>> from dataclasses import dataclass
    >>> from typing import ClassVar
    >>> import numpy as np
    >>> import spatialhist as sh
    >>> @dataclass(frozen=True)
    ... class Darkness:
    ...     name: str = "darkness"
    ...     kind: ClassVar[str] = "model"
    ...     needs_tiles: ClassVar[bool] = False
    ...
    ...     def fit(self, samples, *, seed, scratch):
    ...         first = samples.blocks(True, "own")[0][:, :1]
    ...         return FittedDarkness(first.T @ samples.targets / len(samples))
    ...
    ...     def restore(self, state):
    ...         return FittedDarkness(state[0]["slope"])
    >>> @dataclass(frozen=True)
    ... class FittedDarkness:
    ...     slope: np.ndarray
    ...
    ...     def predict(self, samples):
    ...         return samples.blocks(True, "own")[0][:, :1] @ self.slope
    ...
    ...     def state(self):
    ...         return {"slope": self.slope}, {}
    >>> isinstance(Darkness(), sh.tl.Predictor)
    True
    >>> sh.tl.check_predictor(Darkness())
    []
    """

    @property
    def name(self) -> str:
        """Name of the layer of its out-of-fold predictions, ``oof_NAME``, of letters, digits and ``_.-``."""

    @property
    def kind(self) -> str:
        """``"model"``, or ``"baseline"`` for one that models are compared with."""

    @property
    def needs_tiles(self) -> bool:
        """Whether it looks at pixels; ``samples.tiles`` is None where no predictor of a run does."""

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> Fitted:
        """Fit on training spots.

        Scaling, penalties and the number of epochs are fitted or chosen on these alone, by leaving out one of
        :meth:`Samples.inner_groups` after the other. The same samples and seed give the same model in any process.

        Parameters
        ----------
        samples
            Training spots of all slides of the fold, with their targets.
        seed
            For random numbers; use no others.
        scratch
            Folder for logs and checkpoints. A fit that was killed finds it again; it is removed once the fit is stored.

        Returns
        -------
        Fitted
            What predicts.
        """

    def restore(self, state: State) -> Fitted:
        """Rebuild what :meth:`fit` returned.

        Parameters
        ----------
        state
            What :meth:`Fitted.state` returned.

        Returns
        -------
        Fitted
            What predicts, with the same result.
        """


@runtime_checkable
class FittedCombiner(Protocol):
    """A fitted combiner. :meth:`Combiner.fit` and :meth:`Combiner.restore` return one."""

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Make one prediction of several.

        Parameters
        ----------
        predictions
            ``(models, n, genes)``, NaN where a model cannot tell.

        Returns
        -------
        numpy.ndarray
            ``(n, genes)`` float32.
        """

    def state(self) -> State:
        """Return all that is needed to combine again.

        Returns
        -------
        tuple
            Arrays by name, which are stored as safetensors, and a dictionary that JSON can hold.
        """


@runtime_checkable
class Combiner(Protocol):
    """A way to make one prediction of several. Write one of your own and pass it as ``method=`` of :func:`stack`.

    It holds parameters only, so that every held-out group gets a fresh one. Nothing has to be inherited. Code, settings
    and arrays identify it: hand in the same one when you load the run, ``sh.tl.load(folder, combiners=[...])``.

    Examples
    --------
    >>> import numpy as np
    >>> import spatialhist as sh
    >>> class Median:
    ...     name = "median"
    ...     min_groups = 2
    ...     needs_inner = False
    ...     in_ranks = False
    ...
    ...     def fit(self, predictions, targets, *, slide, group, seed, scratch):
    ...         return self
    ...
    ...     def restore(self, state):
    ...         return self
    ...
    ...     def apply(self, predictions):
    ...         return np.median(predictions, axis=0).astype(np.float32)
    ...
    ...     def state(self):
    ...         return {}, {}
    >>> isinstance(Median(), sh.tl.Combiner)
    True
    """

    @property
    def name(self) -> str:
        """Name of the stack in tables of scores, ``stack_NAME``, and of its folder in the run."""

    @property
    def min_groups(self) -> int:
        """Groups that a run must have; three at least where it is fitted on predictions of other groups."""

    @property
    def needs_inner(self) -> bool:
        """Whether :meth:`fit` looks at predictions; one that does not is handed those of no spot."""

    @property
    def in_ranks(self) -> bool:
        """Whether it predicts ranks of genes within a spot, even where the models predict something else."""

    def fit(
        self,
        predictions: np.ndarray,
        targets: np.ndarray,
        *,
        slide: np.ndarray,
        group: np.ndarray,
        seed: int,
        scratch: Path,
    ) -> FittedCombiner:
        """Fit on predictions for spots that the models were not trained on.

        To evaluate a group, the spots are those of the other groups, predicted by models that saw neither the spot's group
        nor the evaluated one.

        Parameters
        ----------
        predictions
            ``(models, n, genes)``.
        targets
            ``(n, genes)``.
        slide, group
            Of every spot.
        seed
            For whatever is random.
        scratch
            Folder for checkpoints, which may not exist yet. A stack that was killed finds it again.

        Returns
        -------
        FittedCombiner
            What combines.
        """

    def restore(self, state: State) -> FittedCombiner:
        """Rebuild what :meth:`fit` returned.

        Parameters
        ----------
        state
            What :meth:`FittedCombiner.state` returned.

        Returns
        -------
        FittedCombiner
            What combines, with the same result.
        """


MEMBERS = ("name", "kind", "needs_tiles", "fit", "restore")
COMBINER = ("name", "min_groups", "needs_inner", "in_ranks", "fit", "restore")
KINDS = ("model", "baseline")


def check_predictor(candidate: Any) -> None:
    """Refuse what was passed as ``models=`` and is no predictor, and say how it can be one.

    Raises
    ------
    TypeError
        If it is a class or a network, lacks a member, or its ``fit`` takes other arguments.
    """
    cls = candidate if isinstance(candidate, type) else type(candidate)
    # by name: importing torch takes seconds, also where no network is used
    if "torch.nn.modules.module.Module" in (f"{c.__module__}.{c.__qualname__}" for c in cls.__mro__):
        raise TypeError(
            f"models={cls.__name__} is a network of torch: pass sh.tl.TileNetwork(build=...), where build(n_outputs) returns "
            "a network that takes uint8 tiles (n, 3, pixels, pixels), or a predictor of your own, see sh.tl.Predictor"
        )
    missing = [member for member in MEMBERS if not hasattr(candidate, member)]
    if isinstance(candidate, type) and not {"fit", "restore"} & set(missing):
        raise TypeError(f"models={cls.__name__} is a class: pass one of its objects, {cls.__name__}()")
    if missing:
        estimator = hasattr(candidate, "predict")
        advice = "an estimator is fitted inside of one, as in the example of sh.tl.Predictor" if estimator else ""
        raise TypeError(
            f"models={candidate!r} is no predictor: it lacks {missing}; {advice or 'see sh.tl.Predictor for what one has'}"
        )
    _check_members(candidate)


def _check_members(predictor: Predictor) -> None:
    if not isinstance(predictor.name, str) or not predictor.name:
        raise TypeError(f"models={predictor!r} has name={predictor.name!r}: give it a name (text)")
    if predictor.kind not in KINDS:
        raise TypeError(f"model {predictor.name!r} has kind={predictor.kind!r}: it must be one of {list(KINDS)}")
    try:
        # bound, not called: this tells how the arguments are named without a fit
        inspect.signature(predictor.fit).bind(None, seed=0, scratch=None)
        inspect.signature(predictor.restore).bind(None)
    except TypeError as error:
        raise TypeError(
            f"model {predictor.name!r} is called as fit(samples, seed=..., scratch=...) and restore(state): {error}"
        ) from error


def check_combiner(candidate: Any) -> None:
    """Refuse what was passed as ``method=`` and is no combiner, and say how it can be one.

    Raises
    ------
    TypeError
        If it is a class, lacks a member, or its ``fit`` takes other arguments.
    """
    missing = [member for member in COMBINER if not hasattr(candidate, member)]
    if isinstance(candidate, type) and not {"fit", "restore"} & set(missing):
        raise TypeError(f"method={candidate.__name__} is a class: pass one of its objects, {candidate.__name__}()")
    if missing:
        raise TypeError(f"method={candidate!r} is no combiner: it lacks {missing}; see sh.tl.Combiner for what one has")
    try:
        inspect.signature(candidate.fit).bind(None, None, slide=None, group=None, seed=0, scratch=None)
        inspect.signature(candidate.restore).bind(None)
    except TypeError as error:
        raise TypeError(
            f"combiner {candidate.name!r} is called as fit(predictions, targets, slide=..., group=..., seed=..., "
            f"scratch=...) and restore(state): {error}"
        ) from error
