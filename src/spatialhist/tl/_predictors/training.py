"""Training a network for a fixed number of epochs, by Lightning. Nothing is monitored, so nothing can be chosen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader, Dataset, Sampler

from spatialhist._runtime.files import take_place, whole_file
from spatialhist._runtime.processes import rank_and_world
from spatialhist._runtime.quiet import loggers_at


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes
    ----------
    epochs, batch
        Fixed budget; the learning rate falls along a cosine to 1/1000 of its start.
    learning_rate, weight_decay
        Of AdamW.
    accelerator
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``; mixed precision is used on CUDA only.
    ema
        Decay, per step, of the running mean of the weights that is kept in place of the last weights; 0 keeps these.
    devices
        Processes that divide every batch among themselves, each with a device of its own (distributed data parallel).
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    accelerator: str = "auto"
    ema: float = 0.0
    devices: int = 1


class EpochSampler(Sampler[list[int]]):
    """Shuffled batches whose order depends on seed and epoch alone, so that a resumed run repeats it.

    Several processes take alternate samples of every batch, so their mean gradient is that of one process.
    """

    def __init__(self, n: int, batch: int, seed: int) -> None:
        self.n, self.batch, self.seed, self.epoch = n, batch, seed, 0

    @property
    def sampler(self) -> EpochSampler:
        """Where Lightning looks for the ``set_epoch`` of a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._sizes())

    def _sizes(self) -> list[int]:
        """Of every batch: a rest of one joins the batch before, since batch normalization cannot train on it."""
        whole, rest = divmod(self.n, self.batch)
        if whole and rest == 1:
            return [*[self.batch] * (whole - 1), self.batch + 1]
        return [self.batch] * whole + [rest] * (rest > 0)

    def __iter__(self) -> Iterator[list[int]]:
        # a generator looks at the epoch when the first batch is asked for: resuming, Lightning tells it only then
        # a prime above any number of epochs: no epoch of one seed has the order of an epoch of the next
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        order = torch.randperm(self.n, generator=generator)
        rank, world = rank_and_world()
        for part in order.split(self._sizes()):
            # a last batch of fewer samples than processes: every process has to take part in the common step
            mine = part[rank::world] if rank < len(part) else part[:1]
            yield mine.tolist()


class Regression(L.LightningModule):
    """A network, a loss, and AdamW on a cosine."""

    def __init__(
        self,
        network: torch.nn.Module,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        schedule: Schedule,
        seed: int,
        augment: Callable[[Any, torch.Generator], Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.schedule, self.seed, self.augment = network, loss, schedule, seed, augment

    def training_step(self, batch: tuple[Any, torch.Tensor], index: int) -> torch.Tensor:
        """Loss of one batch; dropout and augmentation are seeded by the step, so that a resumed run repeats them."""
        # primes above the usual number of steps: seeds and processes do not draw the same numbers some steps apart
        seed = self.seed * 1_000_003 + self.global_step + self.global_rank * 500_009
        torch.manual_seed(seed)
        inputs, targets = batch
        if self.augment is not None:
            inputs = self.augment(inputs, torch.Generator().manual_seed(seed))
        loss = self.loss(self._outputs(inputs, len(targets)), targets)
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(targets))
        return loss

    def _outputs(self, inputs: Any, n: int) -> torch.Tensor:
        try:
            return self.network(inputs)
        except ValueError as error:
            if n > 1:
                raise
            raise ValueError(
                f"a batch of one spot cannot be trained on ({error}): raise batch={self.schedule.batch} of the network, or "
                "train on more spots"
            ) from error

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, its rate lowered every step along a cosine."""
        s = self.schedule
        optimizer = torch.optim.AdamW(self.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay, fused=True)
        steps = int(self.trainer.estimated_stepping_batches)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=s.learning_rate / 1000)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}


def train(module: Regression, data: Dataset, scratch: Path, *, progress: bool = False) -> torch.nn.Module:
    """Train to the end of the schedule and return the network in evaluation mode on the CPU.

    A checkpoint is written after every epoch into ``scratch``; where one is found, training resumes from it and
    ends with the same weights. One that cannot be read is set aside with a warning. The last one stays, so that a caller
    that is killed before it has kept the result trains nothing again: whoever keeps it removes ``scratch``.
    """
    schedule = module.schedule
    sampler = EpochSampler(len(data), schedule.batch, module.seed)
    loader = DataLoader(data, batch_sampler=sampler, collate_fn=_as_they_are)
    last = scratch / "checkpoints" / "last.ckpt"
    _set_aside_if_broken(last)
    # the layout of pixels that convolutions work fastest on; the values are the same
    module.network.to(memory_format=torch.channels_last)
    with _quiet():
        trainer = L.Trainer(
            max_epochs=schedule.epochs,
            accelerator=schedule.accelerator,
            devices=schedule.devices,
            strategy="auto" if schedule.devices == 1 else "ddp_spawn",
            precision=_precision(schedule.accelerator),
            logger=CSVLogger(scratch, name="log", version=""),
            callbacks=_callbacks(schedule, last),
            plugins=[WholeCheckpoints()],
            enable_progress_bar=progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
            # an epoch of a small cohort has fewer steps than the 50 that Lightning waits for by default
            log_every_n_steps=1,
        )
        trainer.fit(module, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    if last.exists():
        # Lightning puts averaged weights in place where it ends a training, not where it finds one ended
        module.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["state_dict"])
    return module.network.cpu().eval()


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are written beside and renamed.

    Lightning's own pass through the system's temporary folder: where that lies on another disk, they are copied, and a
    kill meanwhile leaves half a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write all, then rename."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as new:
            torch.save(checkpoint, new)


def _callbacks(schedule: Schedule, last: Path) -> list[Callback]:
    each: list[Callback] = [ModelCheckpoint(last.parent, filename=last.stem, enable_version_counter=False)]
    if not schedule.ema:
        return each
    # statistics of batch norm are running means already; averaged again they remember their start, 1, far too long
    return [WeightAveraging(avg_fn=partial(_running_mean, decay=schedule.ema), use_buffers=False), *each]


def _running_mean(mean: torch.Tensor, new: torch.Tensor, n: torch.Tensor, *, decay: float) -> torch.Tensor:
    """Torch's own (`get_ema_avg_fn`) cannot be sent to another process."""
    return decay * mean + (1 - decay) * new


def _set_aside_if_broken(checkpoint: Path) -> None:
    """Move a checkpoint that cannot be read out of the way, so that training starts again."""
    if not checkpoint.exists():
        return
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, UnpicklingError) as error:
        aside = checkpoint.parent.with_name(f"{checkpoint.stem}.broken{checkpoint.suffix}")
        take_place(checkpoint, aside)
        warnings.warn(
            f"checkpoint {checkpoint} cannot be read ({type(error).__name__}): moved to {aside.name}, training starts "
            "again",
            UserWarning,
            stacklevel=3,
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch for a while; afterwards the caller's own generators go on where they were."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _as_they_are(batch: Any) -> Any:
    """Datasets here hand out whole batches."""
    return batch


def _precision(accelerator: str) -> str:
    """Mixed on CUDA only."""
    on_cuda = accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    return "16-mixed" if on_cuda else "32-true"


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice on workers and devices does not apply to data that is in memory."""
    with loggers_at(logging.WARNING, "lightning.pytorch.utilities.rank_zero"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*The dirpath|.*Checkpoint directory.*exists and is not empty")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*|.*isinstance\\(treespec.*")
        warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
        yield
