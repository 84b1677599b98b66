"""Run an encoder on the CPU, on all cores, or on a GPU, which works while the next tiles are read."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from spatialhist._runtime.executor import cores
from spatialhist._runtime.threads import core_pool
from spatialhist.nn import ColorTexture, FrozenEncoder, encoder_fingerprint, get_encoder
from spatialhist.tiles._features.compute import AUTO, DEFAULT, HALF, Compute

if TYPE_CHECKING:
    Encoder = Callable[[torch.Tensor], torch.Tensor]

logger = logging.getLogger(__name__)

CPU_BATCH = 256
"""Tiles that are read at once for the CPU."""
GPU_BATCH = 512
"""Tiles that a GPU gets at once, halved until they fit into its memory."""
AHEAD = 3
"""Batches that wait for a GPU, so that it never waits."""


class Pending(Protocol):
    """Features of a batch, being computed."""

    @property
    def pieces(self) -> int:
        """Pieces of work that it holds."""

    def result(self) -> np.ndarray:
        """Wait for the features ``(B, F)``."""

    def cancel(self) -> None:
        """Do not start what has not been started."""


@dataclass
class Engine:
    """An encoder with where and how it runs.

    Attributes
    ----------
    encoder
        As it was made, on the CPU unless the user has moved it.
    compute
        How it was asked for.
    handed_in
        What the user handed in, whose hash tells features apart.
    """

    encoder: ColorTexture | FrozenEncoder
    compute: Compute = DEFAULT
    handed_in: Any = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the encoder."""
        return encoder_fingerprint(self.encoder if self.handed_in is None else self.handed_in)

    @property
    def batch(self) -> int:
        """Tiles that are read at once."""
        return CPU_BATCH

    @property
    def most(self) -> int:
        """Pieces of work that wait while tiles are read."""
        return 0

    @property
    def readers(self) -> Executor | None:
        """Threads that cut tiles; None where the threads have other work."""
        return None

    @property
    def device(self) -> str:
        """Where it runs."""
        return "cpu"

    @property
    def precision(self) -> str:
        """In which it computes."""
        return "float32"

    def submit(self, tiles: np.ndarray) -> Pending:
        """Compute the features of tiles ``(B, 3, H, W)`` here and now."""
        return Done(run(self.encoder, torch.from_numpy(tiles)))


@dataclass
class Done:
    """Features that are there."""

    features: np.ndarray
    pieces: int = 1

    def result(self) -> np.ndarray:
        """Return them."""
        return self.features

    def cancel(self) -> None:
        """Nothing is left to do."""


def run(encoder: Encoder, tiles: torch.Tensor) -> np.ndarray:
    """Encode on the CPU."""
    with torch.inference_mode():
        return encoder(tiles).to("cpu", torch.float32).numpy()


@dataclass
class Cores(Engine):
    """Pieces of batches on all cores, one thread of torch each: the numbers are those of one core, to the bit."""

    @property
    def most(self) -> int:
        """Two pieces a core."""
        return 2 * cores()

    def submit(self, tiles: np.ndarray) -> Pending:
        """Hand out the pieces in which the encoder would work on the batch by itself."""
        pool, pieces = core_pool(), self.encoder.pieces(torch.from_numpy(tiles))
        return Parallel([pool.submit(run, self.encoder, piece) for piece in pieces])


@dataclass
class Parallel:
    """Pieces of a batch in several threads."""

    futures: list[Future[np.ndarray]]

    @property
    def pieces(self) -> int:
        """How many they are."""
        return len(self.futures)

    def result(self) -> np.ndarray:
        """Wait for all."""
        return np.concatenate([future.result() for future in self.futures])

    def cancel(self) -> None:
        """Drop those that were not started."""
        for future in self.futures:
            future.cancel()


@dataclass
class Gpu(Engine):
    """A network on a GPU: tiles go there once as bytes, features come back once, and nothing waits in between."""

    _at_once: int = GPU_BATCH

    @property
    def batch(self) -> int:
        """Tiles that are read at once."""
        return GPU_BATCH

    @property
    def most(self) -> int:
        """Batches that wait for the device."""
        return AHEAD

    @cached_property
    def target(self) -> torch.device:
        """The device: where the user has put the weights, else what was asked for."""
        own = _weights_on(self.encoder)
        return own if own is not None and own.type != "cpu" and self.compute.device == AUTO else self.compute.found

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self.target)

    @property
    def precision(self) -> str:
        """Half on CUDA, unless something else was asked for."""
        if self.compute.precision != AUTO:
            return self.compute.precision
        return "float16" if self.target.type == "cuda" else "float32"

    @property
    def readers(self) -> Executor:
        """All cores, which have nothing else to do."""
        return core_pool()

    @cached_property
    def network(self) -> ColorTexture | FrozenEncoder:
        """A copy on the device, laid out as convolutions are fastest there; the user's own stays where it is."""
        logger.info("encoder runs on %s in %s", self.device, self.precision)
        moved = self.encoder if _weights_on(self.encoder) == self.target else copy.deepcopy(self.encoder)
        return moved.to(self.target, memory_format=torch.channels_last)

    def submit(self, tiles: np.ndarray) -> Pending:
        """Queue a batch, in halves where the memory of the device does not hold it."""
        left, queued = torch.from_numpy(tiles), []
        while len(left):
            try:
                queued.append(self._queue(left[: self._at_once]))
            except Exception as error:
                if not _out_of_memory(error):
                    raise
                self._halve(min(self._at_once, len(left)), error)
                continue
            left = left[self._at_once :]
        return Queued(queued)

    def _queue(self, tiles: torch.Tensor) -> Arriving:
        with torch.inference_mode(), self._autocast():
            there = self._pinned(tiles).to(self.target, non_blocking=True)
            features = self.network(there).float()
            arriving = torch.empty(features.shape, pin_memory=self._on_cuda)
            arriving.copy_(features, non_blocking=self._on_cuda)
        return Arriving(arriving, self._mark())

    @property
    def _on_cuda(self) -> bool:
        return self.target.type == "cuda"

    def _pinned(self, tiles: torch.Tensor) -> torch.Tensor:
        return tiles.pin_memory() if self._on_cuda else tiles

    def _mark(self) -> Any:
        """Point in the queue of the device behind which the features have arrived."""
        return torch.cuda.current_stream(self.target).record_event() if self._on_cuda else None

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        if self.precision not in HALF:
            yield
            return
        with torch.autocast(self.target.type, dtype=getattr(torch, self.precision)):
            yield

    def _halve(self, failed: int, error: Exception) -> None:
        if failed == 1:
            raise MemoryError(
                f"{self.device} has too little memory for one tile ({error}): free it of other programs, or pass device='cpu'"
            ) from error
        self._at_once = failed // 2
        logger.info("%s tiles do not fit into the memory of %s: going on with %s", failed, self.device, self._at_once)
        if self._on_cuda:
            torch.cuda.empty_cache()


@dataclass
class Arriving:
    """Features on their way back."""

    features: torch.Tensor
    mark: Any

    def result(self) -> np.ndarray:
        """Wait until they are there."""
        if self.mark is not None:
            self.mark.synchronize()
        return self.features.numpy()


@dataclass
class Queued:
    """A batch in the queue of a device, in one piece or several."""

    parts: list[Arriving]
    pieces: int = 1

    def result(self) -> np.ndarray:
        """Wait for all."""
        return np.concatenate([part.result() for part in self.parts])

    def cancel(self) -> None:
        """What is queued runs to its end."""


def as_engine(encoder: str | Encoder | Engine, compute: Compute | None = None) -> Engine:
    """Choose how an encoder runs.

    Networks run on the GPU where there is one, and what has no weights on the CPU. A function or an object of the user's own,
    and a network that hooks take features out of, is called by one thread, since it may keep something between calls.
    """
    if isinstance(encoder, Engine):
        return encoder
    compute, made = compute or DEFAULT, get_encoder(encoder)
    own = _weights_on(made)
    network = made if isinstance(made, ColorTexture) else made.encode
    if own is not None and (compute.found.type, own.type) != ("cpu", "cpu"):
        kind: type[Engine] = Gpu
    elif isinstance(network, torch.nn.Module) and not any(part._forward_hooks for part in network.modules()):
        kind = Cores
    else:
        kind = Engine
    return kind(made, compute, None if isinstance(encoder, str) else encoder)


@dataclass(frozen=True)
class SentEncoder:
    """An encoder as it is sent to other processes, and run there.

    Attributes
    ----------
    encoder
        Its name, or the callable.
    compute
        How it runs.
    """

    encoder: Any
    compute: Compute

    @cached_property
    def engine(self) -> Engine:
        """The encoder, where it runs; weights behind a name are loaded once in a process."""
        if isinstance(self.encoder, str):
            return _named_engine(self.encoder, self.compute)
        return as_engine(get_encoder(self.encoder), self.compute)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return SentEncoder, (self.encoder, self.compute)


@lru_cache(maxsize=1)
def _named_engine(name: str, compute: Compute) -> Engine:
    return as_engine(name, compute)


def _weights_on(encoder: ColorTexture | FrozenEncoder) -> torch.device | None:
    """Device of the weights; None where there are none."""
    parameter = next(encoder.parameters(), None)
    return None if parameter is None else parameter.device


def _out_of_memory(error: Exception) -> bool:
    """Whether the memory of a device was too small; MPS says so in words."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()
