"""Networks as predictors: a head over features, and any ``nn.Module`` over pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset

from spatialhist._runtime.checks import at_least
from spatialhist.nn import FeatureHead, VisionMLPMultiTask, augment, get_loss
from spatialhist.tl._predictors.batches import Schedule, seeded
from spatialhist.tl._predictors.ridge_solver import center_by_slide, target_projection
from spatialhist.tl._predictors.short_training import train_together
from spatialhist.tl._predictors.stored import check_arrays, check_finite, whole

if TYPE_CHECKING:
    from spatialhist.nn._blocks import Norm
    from spatialhist.tl._data.samples import Blocks, Samples, StoredTiles
    from spatialhist.tl._predictors.protocol import State

PREDICT_BATCH = 512
"""Spots that go through a network at once."""
HELD_BYTES = 2**28
"""Features up to so many are held in memory while a network is trained on them."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A small network on features: a branch per field of view, joined by a decoder (:class:`spatialhist.nn.FeatureHead`).

    Parameters
    ----------
    name
        Name of its layer.
    standardized
        Use features relative to the slide's own tissue.
    blocks
        Which features: those of the encoder's fields of view (``"own"``), their averages over the context too (``"all"``),
        or positions among these.
    dim, dropout
        Of the network.
    rank
        Principal components of the targets that are learned, 0 for all: the rest is mostly noise.
    members
        Networks from different seeds whose predictions are averaged.
    loss
        Of :func:`spatialhist.nn.get_loss`, on targets scaled to unit variance.
    epochs, batch, learning_rate, weight_decay, accelerator
        Of the training.
    max_steps
        Large cohorts are trained for fewer epochs, so that no network takes more steps than this, or than one epoch has.

    Raises
    ------
    ValueError
        Naming a size that no network can have.
    """

    kind: ClassVar[str] = "model"
    needs_tiles: ClassVar[bool] = False
    name: str = "mlp"
    standardized: bool = True
    blocks: Blocks = "all"
    dim: int = 64
    dropout: float = 0.4
    rank: int = 16
    members: int = 3
    loss: str = "mse"
    epochs: int = 30
    max_steps: int = 3000
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, dim=1, rank=0, members=1, epochs=1, max_steps=1, batch=1)

    def fit(self, samples: Samples, *, seed: int, scratch: Path, start: State | None = None) -> FittedNetwork:
        """Train on training spots, from random weights or from those of a fitted head."""
        before = None if start is None else self.restore(start)
        scaler = TargetScaler.fit(samples, before)
        data = _FeatureData(self, samples, torch.from_numpy(_leading(scaler.scaled(samples), self.rank)))
        seeds = [_member_seed(seed, member) for member in range(self.members)]
        networks = []
        for member, own_seed in enumerate(seeds):
            with seeded(own_seed):
                networks.append(
                    before.networks[member].train() if before else self.build(data.sizes, data.targets.shape[1])
                )
        with seeded(seed):
            networks = train_together(networks, get_loss(self.loss), data, self._schedule(len(samples)), seeds, scratch)
        return FittedNetwork(self, networks, scaler, {"sizes": data.sizes})

    def _schedule(self, n: int) -> Schedule:
        """Of the training on ``n`` spots."""
        epochs = min(self.epochs, max(1, self.max_steps * self.batch // n))
        return Schedule(epochs, self.batch, self.learning_rate, self.weight_decay, self.accelerator)

    def build(self, sizes: list[int], n_outputs: int) -> torch.nn.Module:
        """Make a fresh head."""
        return FeatureHead(sizes, n_outputs, dim=self.dim, dropout=self.dropout)

    def inputs(self, samples: Samples, rows: slice | list[int]) -> list[torch.Tensor]:
        """What the head looks at, of some spots."""
        chosen = samples.blocks(self.standardized, self.blocks, rows)
        return [torch.from_numpy(np.ascontiguousarray(b)) for b in chosen]

    def forward(self, network: torch.nn.Module, samples: Samples, rows: slice) -> torch.Tensor:
        """Predict some spots in scaled units."""
        return network(self.inputs(samples, rows))

    def restore(self, state: State) -> FittedNetwork:
        """Rebuild from arrays."""
        return FittedNetwork.from_state(self, state, lambda n, extra: self.build(_sizes(extra), n))


@dataclass(frozen=True)
class TileNetwork:
    """A network over pixels, trained from scratch; by default the three-branch network.

    Parameters
    ----------
    name
        Name of its layer.
    build
        ``build(n_outputs) -> nn.Module`` that takes ``(n, 3, pixels, pixels)`` uint8 tiles; None for
        :class:`spatialhist.nn.VisionMLPMultiTask`.
    width, grid, norm
        Of the three-branch network. At half the width of the original, 32, an epoch costs a quarter. Group
        normalization takes a tile's own contrast away, and learns less.
    augment
        Flips, quarter turns and stain jitter of the training tiles.
    members
        Networks from different seeds whose predictions are averaged.
    loss
        Of :func:`spatialhist.nn.get_loss`, on targets scaled to unit variance.
    epochs, batch, learning_rate, weight_decay, accelerator
        Of the training.
    ema
        Decay, per step, of the running mean of the weights that is kept in place of the last weights; 0 keeps these.
    devices
        Processes that train a network together, each with a device of its own, dividing every batch.

    Raises
    ------
    ValueError
        Naming a size that no network can have.
    """

    kind: ClassVar[str] = "model"
    needs_tiles: ClassVar[bool] = True
    name: str = "vision_mlp"
    build: Callable[[int], torch.nn.Module] | None = None
    width: int = 16
    grid: int = 3
    norm: Norm = "batch"
    augment: bool = True
    members: int = 1
    loss: str = "mse"
    epochs: int = 30
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    accelerator: str = "auto"
    ema: float = 0.0
    devices: int = 1

    def __post_init__(self) -> None:
        at_least(self, width=1, grid=1, members=1, epochs=1, batch=1, devices=1)

    def fit(self, samples: Samples, *, seed: int, scratch: Path, start: State | None = None) -> FittedNetwork:
        """Train on training tiles, from random weights or from those of a fitted network."""
        # Lightning, which takes seconds to import, is not needed to predict
        from spatialhist.tl._predictors.training import Regression, train

        before = None if start is None else self.restore(start)
        scaler = TargetScaler.fit(samples, before)
        data = ArrayData(samples.needed_tiles, torch.from_numpy(scaler.scaled(samples)))
        change = _augment_tiles if self.augment else None
        networks = []
        for member in range(self.members):
            own_seed = _member_seed(seed, member)
            with seeded(own_seed):
                network = before.networks[member].train() if before else self.make(data.targets.shape[1])
                if self.build is not None:
                    self._try_out(network, samples.needed_tiles[:2], data.targets.shape[1])
                module = Regression(network, get_loss(self.loss), self.schedule, own_seed, change)
                networks.append(train(module, data, scratch / str(member)))
        return FittedNetwork(self, networks, scaler, {})

    @property
    def schedule(self) -> Schedule:
        """Of the training."""
        return Schedule(
            self.epochs, self.batch, self.learning_rate, self.weight_decay, self.accelerator, self.ema, self.devices
        )

    def make(self, n_outputs: int) -> torch.nn.Module:
        """Make a fresh network.

        Raises
        ------
        TypeError
            If ``build`` makes none.
        """
        if self.build is not None:
            return self._built(n_outputs)
        return VisionMLPMultiTask(n_outputs, width=self.width, grid=self.grid, norm=self.norm)

    def _built(self, n_outputs: int) -> torch.nn.Module:
        way_out = "pass build=lambda n_outputs: ..., which returns a torch.nn.Module with so many outputs"
        if not callable(self.build) or isinstance(self.build, torch.nn.Module):
            raise TypeError(f"build= of model {self.name!r} is a {type(self.build).__name__}: {way_out}")
        network = self.build(n_outputs)
        if not isinstance(network, torch.nn.Module):
            raise TypeError(f"build({n_outputs}) of model {self.name!r} made a {type(network).__name__}: {way_out}")
        return network

    def _try_out(self, network: torch.nn.Module, tiles: np.ndarray, n_outputs: int) -> None:
        """Predict two tiles, as they come.

        Raises
        ------
        ValueError
            If a network of the user's fails on them, or gives anything but a row a tile.
        """
        device = next((p.device for p in network.parameters()), None)
        # modes part by part: some of the user's may be frozen in evaluation mode
        modes = {part: part.training for part in network.modules()}
        handed = f"tiles (n, 3, H, W) = {tiles.shape}, uint8 of {tiles.shape[-1]} pixels"
        try:
            with torch.no_grad():
                found = network.eval()(torch.from_numpy(np.ascontiguousarray(tiles)).to(device))
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, AttributeError) as error:
            raise ValueError(
                f"the network that build= of model {self.name!r} made fails on {handed}: {type(error).__name__}: {error}. Scale "
                "the tiles in its forward, such as (tiles / 255 - 0.5) / 0.5; tile_pixels= of sh.tl.cross_validate sets their size"
            ) from error
        finally:
            for part, mode in modes.items():
                part.training = mode
        if not isinstance(found, torch.Tensor) or found.shape != (len(tiles), n_outputs):
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ValueError(
                f"the network that build= of model {self.name!r} made returned {shape} for {len(tiles)} tiles; it must return "
                f"a tensor ({len(tiles)}, {n_outputs}), as many outputs as build(n_outputs) is given"
            )

    def forward(self, network: torch.nn.Module, samples: Samples, rows: slice) -> torch.Tensor:
        """Predict some spots in scaled units."""
        return network(torch.from_numpy(np.ascontiguousarray(samples.needed_tiles[rows])))

    def restore(self, state: State) -> FittedNetwork:
        """Rebuild from arrays."""
        return FittedNetwork.from_state(self, state, lambda n, extra: self.make(n))


@dataclass(frozen=True)
class TargetScaler:
    """Targets without their slide's mean, at unit variance; those that do not vary are predicted as they are.

    Attributes
    ----------
    intercept
        Mean of the slides' means ``(genes,)``.
    deviation
        Of what is left ``(genes,)``; 0 for a gene that varied on no training slide. In folders of earlier versions that is
        1, and what their networks say of the gene counts.
    """

    intercept: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, samples: Samples, before: FittedNetwork | None = None) -> TargetScaler:
        """Fit on training targets; weights of a warm start keep the units they were trained in."""
        centered, intercept = center_by_slide(samples.training_targets, samples.slide)
        deviation = centered.std(axis=0)
        if before is not None:
            deviation = np.where(before.scaler.deviation > 0, before.scaler.deviation, deviation)
        # a gene that deviates by the rounding of float32 alone must not be blown up to unit variance
        return cls(intercept.astype(np.float32), np.where(deviation > 1e-6, deviation, 0).astype(np.float32))

    def scaled(self, samples: Samples) -> np.ndarray:
        """Training targets as the network sees them."""
        unit = np.where(self.deviation > 0, self.deviation, 1).astype(np.float32)
        return (center_by_slide(samples.training_targets, samples.slide)[0] / unit).astype(np.float32)

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Back to the units of the layer."""
        return values * self.deviation + self.intercept


@dataclass(frozen=True)
class FittedNetwork:
    """Trained networks of one predictor, averaged."""

    predictor: FeatureNetwork | TileNetwork
    networks: list[torch.nn.Module]
    scaler: TargetScaler
    extra: dict[str, Any]

    def predict(self, samples: Samples) -> np.ndarray:
        """Predict ``(n, genes)``, in batches on the CPU."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(samples), PREDICT_BATCH):
                rows = slice(start, start + PREDICT_BATCH)
                each = [self.predictor.forward(network, samples, rows) for network in self.networks]
                parts.append(torch.stack(each).mean(dim=0).numpy())
        return self.scaler.unscale(np.concatenate(parts)).astype(np.float32)

    def state(self) -> State:
        """Weights under ``MEMBER/NAME``."""
        arrays = {"intercept": self.scaler.intercept, "deviation": self.scaler.deviation}
        for member, network in enumerate(self.networks):
            arrays |= {f"{member}/{name}": t.numpy() for name, t in network.state_dict().items()}
        return arrays, self.extra

    @classmethod
    def from_state(
        cls,
        predictor: FeatureNetwork | TileNetwork,
        state: State,
        make: Callable[[int, dict[str, Any]], torch.nn.Module],
    ) -> FittedNetwork:
        """Inverse of :meth:`state`."""
        arrays, extra = state
        check_arrays(arrays, {"intercept": "G", "deviation": "G"})
        # buffers of a user's network may hold infinities, such as masks of attention
        ours = isinstance(predictor, FeatureNetwork) or predictor.build is None
        for name, array in arrays.items() if ours else ():
            check_finite(name, array)
        scaler = TargetScaler(arrays["intercept"], arrays["deviation"])
        members = sorted({int(name.split("/")[0]) for name in arrays if "/" in name})
        networks = []
        for member in members:
            own = {n.split("/", 1)[1]: torch.tensor(a) for n, a in arrays.items() if n.startswith(f"{member}/")}
            try:
                # making a network draws random numbers, which are replaced by the weights
                with seeded(0):
                    # these networks are ours, whose sizes come from the folder: looked at before memory is asked for
                    if ours:
                        _check_sizes(partial(make, len(scaler.intercept), extra), own)
                    network = make(len(scaler.intercept), extra)
                network.load_state_dict(own)
            except RuntimeError as error:
                raise ValueError(
                    f"weights of model {predictor.name!r} do not fit the network that it makes now: pass build= as in "
                    f"training ({error})"
                ) from error
            networks.append(network.eval())
        return cls(predictor, networks, scaler, extra)


def _sizes(extra: dict[str, Any]) -> list[int]:
    """Features of every block."""
    return [whole("sizes", size) for size in list(extra["sizes"])]


def _check_sizes(make: Callable[[], torch.nn.Module], weights: dict[str, torch.Tensor]) -> None:
    """Compare weights with a network without memory of its own, since its sizes come from the folder too.

    Raises
    ------
    RuntimeError
        If they do not fit it.
    """

    def shapes(of: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
        # a file keeps single numbers, such as the steps of batch norm, as arrays of one
        return {name: tuple(value.shape) or (1,) for name, value in of.items()}

    with torch.device("meta"):
        wanted = shapes(make().state_dict())
    if differ := sorted(wanted.items() ^ shapes(weights).items()):
        raise RuntimeError(f"e.g. {differ[0]}")


def _member_seed(seed: int, member: int) -> int:
    # a prime above any number of members: runs with seeds 0, 1, 2... share no network
    return seed * 1009 + member


def _leading(targets: np.ndarray, rank: int) -> np.ndarray:
    """Targets without all but their leading principal components."""
    projection = target_projection(targets, rank)
    return targets if projection is None else (targets @ projection).astype(np.float32)


def _augment_tiles(tiles: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return augment(tiles, generator)


class _FeatureData(Dataset):
    """Feature blocks and targets, a whole batch at a time; features lie in memory where they are few, else on disk."""

    def __init__(self, head: FeatureNetwork, samples: Samples, targets: torch.Tensor) -> None:
        self.head, self.samples, self.targets = head, samples, targets
        self.sizes = [block.shape[1] for block in head.inputs(samples, slice(1))]
        few = 4 * sum(self.sizes) * len(samples) <= HELD_BYTES
        self._held = head.inputs(samples, slice(None)) if few else None

    def __len__(self) -> int:
        return len(self.targets)

    def __getitems__(self, rows: list[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
        index = torch.tensor(rows)
        if self._held is None:
            return self.head.inputs(self.samples, rows), self.targets[index]
        return [block.index_select(0, index) for block in self._held], self.targets.index_select(0, index)


class ArrayData(Dataset):
    """One input array and targets, a whole batch at a time; the array may lie on disk."""

    def __init__(self, inputs: np.ndarray | StoredTiles, targets: torch.Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self.inputs[rows]), self.targets[rows]


PRESETS = (FeatureNetwork(), FeatureNetwork(name="mlp_raw", standardized=False), TileNetwork())
