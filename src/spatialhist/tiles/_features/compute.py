"""Where and how exactly features are computed and stored: the options of whoever asks for them, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spatialhist._runtime.checks import check_choice

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "float16", "bfloat16"]
Dtype = Literal["auto", "float32", "float16"]
AUTO = "auto"
HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class Compute:
    """How features are computed and stored; texts alone, so that it is sent to other processes as it is.

    Attributes
    ----------
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    precision
        Of networks on the device. ``"auto"`` is ``"float16"`` on CUDA and ``"float32"`` elsewhere, and takes stored features
        of any precision.
    dtype
        Of stored features. ``"auto"`` stores ``"float32"``, and takes stored ones of either.
    """

    device: str = AUTO
    precision: str = AUTO
    dtype: str = AUTO

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, Precision)
        check_choice("dtype", self.dtype, Dtype)
        check_device(self.device)
        if self.precision in HALF and self.found.type != "cuda":
            raise ValueError(
                f"precision={self.precision!r} is for CUDA, and device={self.device!r} is {self.found.type} here: leave "
                "precision= out, or pass precision='float32'"
            )

    @property
    def found(self) -> torch.device:
        """Device of networks: what was asked for, else CUDA, MPS or the CPU, the first that is there."""
        import torch

        if self.device != AUTO:
            return torch.device(self.device)
        return torch.device(next((kind for kind in ("cuda", "mps") if _is_there(kind)), "cpu"))


def check_device(device: str) -> None:
    """Refuse a device that torch does not know, or that is not there.

    Raises
    ------
    ValueError
        Saying which are.
    """
    if device == AUTO:
        return
    import torch

    try:
        # a text: a number would be one of CUDA where torch is built for it
        found = torch.device(str(device))
    except RuntimeError as error:
        raise ValueError(f"device={device!r} must be 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'") from error
    check_choice("device", found.type, ("auto", "cpu", "cuda", "mps"))
    if not _is_there(found.type, found.index):
        there = [f"cuda:{i}" for i in range(torch.cuda.device_count())] + ["mps"] * _is_there("mps") + ["cpu"]
        raise ValueError(
            f"device={device!r} is not there: torch {torch.__version__} sees {there}; pass one of these, or device='auto'"
        )


def _is_there(kind: str, index: int | None = None) -> bool:
    import torch

    if kind == "cuda":
        return torch.cuda.is_available() and (index or 0) < torch.cuda.device_count()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())


DEFAULT = Compute()
