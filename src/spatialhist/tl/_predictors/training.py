"""Training a network over pixels, or on a GPU, by Lightning. Nothing is monitored, so nothing can be chosen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader, Dataset

from spatialhist._runtime.quiet import loggers_at
from spatialhist.tl._predictors.batches import EpochSampler, Schedule, outputs_of, step_seed
from spatialhist.tl._predictors.checkpoints import read_checkpoint, write_checkpoint


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
        seed = step_seed(self.seed, self.global_step, self.global_rank)
        torch.manual_seed(seed)
        inputs, targets = batch
        if self.augment is not None:
            inputs = self.augment(inputs, torch.Generator().manual_seed(seed))
        outputs = outputs_of(self.network, inputs, len(targets), self.schedule.batch)
        loss = self.loss(outputs, targets)
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(targets))
        return loss

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
    read_checkpoint(last, scratch / "last.broken.ckpt")
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
        write_checkpoint(Path(path), checkpoint)


def _callbacks(schedule: Schedule, last: Path) -> list[Callback]:
    each: list[Callback] = [ModelCheckpoint(last.parent, filename=last.stem, enable_version_counter=False)]
    if not schedule.ema:
        return each
    # statistics of batch norm are running means already; averaged again they remember their start, 1, far too long
    return [WeightAveraging(avg_fn=partial(_running_mean, decay=schedule.ema), use_buffers=False), *each]


def _running_mean(mean: torch.Tensor, new: torch.Tensor, n: torch.Tensor, *, decay: float) -> torch.Tensor:
    """Torch's own (`get_ema_avg_fn`) cannot be sent to another process."""
    return decay * mean + (1 - decay) * new


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
