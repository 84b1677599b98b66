from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from spatialhist.nn._encoders.stated_input import StatedInput

if TYPE_CHECKING:
    from collections.abc import Callable

PIXELS_AT_ONCE = 2**18
"""Of the tiles that a network works on at once on the CPU: larger activations are given back to the system after every
layer, and clearing them again takes longer than the arithmetic."""


class FrozenEncoder(nn.Module):
    """Run a module or function on tiles without gradients, in evaluation mode, and check what it returns.

    Parameters
    ----------
    encode
        Module or function that maps tiles to features ``(B, F)``; a module stays in evaluation mode.
    prepare
        Maps the ``uint8`` tiles to what `encode` takes; ``None`` hands the ``uint8`` tiles over.
    pixels
        Side of the tiles that it was made for; ``None`` for that of `encode`, see :class:`Encoder`.
    um_per_pixel
        Micrometers per pixel that it was trained at; ``None`` for those of `encode`.
    dimension
        Number of features of a tile; ``None`` for that of `encode`.
    trained_on
        What its weights were fitted on, as ``"ImageNet"``; ``None`` for what `encode` says.

    Raises
    ------
    ValueError
        If `encode` fails on the tiles, the features are not one row of numbers per tile, or their number is not
        `dimension`; also if a size is no positive number.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import FrozenEncoder
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 32), torch.nn.Flatten())
    >>> encoder = FrozenEncoder(network, prepare=lambda tiles: tiles / 255, pixels=32, um_per_pixel=0.5)
    >>> encoder.pixels, encoder.um_per_pixel
    (32, 0.5)
    >>> encoder(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        encode: Callable[[torch.Tensor], torch.Tensor],
        *,
        prepare: Callable[[torch.Tensor], Any] | None = None,
        pixels: int | None = None,
        um_per_pixel: float | None = None,
        dimension: int | None = None,
        trained_on: str | None = None,
    ) -> None:
        super().__init__()
        self.encode = encode
        self.prepare = prepare
        self.trained_on = getattr(encode, "trained_on", None) if trained_on is None else trained_on
        self._made_for = StatedInput.of(
            encode, self._name, pixels=pixels, um_per_pixel=um_per_pixel, dimension=dimension
        )
        self.eval()

    @property
    def pixels(self) -> int | None:
        """Side of the tiles that it was made for, None where it does not say."""
        return self._made_for.pixels

    @property
    def um_per_pixel(self) -> float | None:
        """Micrometers per pixel that it was trained at, None where it does not say."""
        return self._made_for.um_per_pixel

    @property
    def dimension(self) -> int | None:
        """Number of features of a tile, None where it does not say."""
        return self._made_for.dimension

    def train(self, mode: bool = True) -> FrozenEncoder:
        """Stay in evaluation mode whatever `mode` is."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Compute features ``(B, F)`` as ``float32`` on the encoder's device."""
        parameter = next(self.parameters(), None)
        tiles = tiles if parameter is None else tiles.to(parameter.device)
        # networks in half precision return halves; features are stored and compared as float32
        found = [self._checked(self._encoded(part), len(part)).float() for part in self.pieces(tiles)]
        return found[0] if len(found) == 1 else torch.cat(found)

    def pieces(self, tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Parts of a batch that are worked on one after the other: small ones where a network runs on the CPU.

        Parameters
        ----------
        tiles
            The batch.

        Returns
        -------
        tuple[torch.Tensor, ...]
            Views of the batch, in its order.
        """
        parameter = next(self.parameters(), None)
        if parameter is None or parameter.device.type != "cpu" or tiles.ndim != 4:
            return (tiles,)
        return tiles.split(max(1, PIXELS_AT_ONCE // max(1, tiles.shape[2] * tiles.shape[3])))

    def _encoded(self, tiles: torch.Tensor) -> Any:
        try:
            return self.encode(tiles if self.prepare is None else self.prepare(tiles))
        # these say themselves what is missing; the advice below is about the tiles
        except (ImportError, MemoryError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:
            raise ValueError(
                f"encoder {self._name} failed on tiles (B, 3, H, W) = {tuple(tiles.shape)}, {tiles.dtype} of "
                f"{tiles.shape[-1]} pixels: {type(error).__name__}: {error}. A network that takes scaled floats is wrapped, "
                "encoder=sh.nn.FrozenEncoder(model, prepare=lambda tiles: (tiles / 255 - 0.5) / 0.5), with mean and "
                "deviation of its own; one that takes tiles of another size is given pixels=, such as pixels=224"
            ) from error

    def _checked(self, features: Any, n: int) -> torch.Tensor:
        if hasattr(features, "__array_interface__") and features.dtype.kind in "fiub":
            # torch takes no array in the byte order of another machine
            features = torch.as_tensor(features.astype("float32"))
        if isinstance(features, torch.Tensor) and features.ndim == 2 and len(features) == n:
            self._check_dimension(features.shape[1])
            return features
        shape = getattr(features, "shape", None)
        found = type(features).__name__ if shape is None else tuple(shape)
        hidden = hasattr(features, "last_hidden_state")
        advice = ", such as encoder=lambda tiles: model(tiles).last_hidden_state[:, 0]" if hidden else ""
        raise ValueError(
            f"encoder {self._name} returned {found} for {n} tiles; it must return a tensor (B, F) or a numpy array of "
            f"that shape{advice}"
        )

    def _check_dimension(self, found: int) -> None:
        if self.dimension not in (None, found):
            raise ValueError(
                f"encoder {self._name} returned {found} features of a tile, its dimension is {self.dimension}: set "
                f"dimension={found}, or leave it out"
            )

    @property
    def _name(self) -> str:
        return getattr(self.encode, "__name__", type(self.encode).__name__)
