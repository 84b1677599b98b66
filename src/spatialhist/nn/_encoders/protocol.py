from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Encoder(Protocol):
    """What makes features of tiles: any callable. Write one of your own and pass it as ``encoder=``.

    A function, a :class:`torch.nn.Module` or an object with ``__call__`` will do; nothing has to be inherited. It is called
    with ``uint8`` tiles ``(B, 3, H, W)`` in RGB, which it leaves as they are, and returns finite floats ``(B, F)``, one row
    per tile: a tensor or a numpy array, stored as float32. A row depends on its tile alone, so that features can be stored
    and used again.

    A module gets its tiles on the device of its weights, in evaluation mode and without gradients; put one that a function
    uses into evaluation mode yourself. A module runs on a GPU where there is one (a copy of it, yours stays where it is), else
    several threads of the CPU call it at once, so that it must keep nothing from one call to the next. A function, another
    object and a module with forward hooks are called by one thread. Stored features and trained models
    know an encoder by the hash of its code and weights (:func:`encoder_fingerprint`); what cannot be hashed needs an
    attribute ``fingerprint``, a text that changes whenever it computes something else. :func:`check_encoder` says what is
    wrong with one.

    An encoder brings its own input, as far as it says so by attributes; none of them is needed:

    - ``pixels``, a whole number: side of the tiles that it was made for. Runs that leave ``pixels=`` open use it, or 64.
    - ``um_per_pixel``, a number: micrometers per pixel that it was trained at. Runs that leave ``extents=`` open look at
      one field of view of ``pixels * um_per_pixel`` micrometers; where it is not known, at four of 75 to 600 micrometers.
    - ``dimension``, a whole number: length ``F`` of a row of features, which is then compared with what it returns.
    - ``prepare``, a callable: its own normalization, from ``uint8`` tiles to what its network takes. It is a part of the
      call, which gets ``uint8`` tiles: :class:`FrozenEncoder` makes an encoder of a network and its ``prepare``.
    - ``fingerprint``, a text: see above.
    - ``trained_on``, a text: what its weights were fitted on, as ``"ImageNet"``. Without it a run warns that an encoder with
      weights of its own may have seen the labels that it is scored on, and its report says so; with it, the report repeats it.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import check_encoder
    >>> def mean_color(tiles):
    ...     return tiles.float().mean(dim=(2, 3)) / 255
    >>> check_encoder(mean_color)
    []
    >>> class Bands(torch.nn.Module):
    ...     def __init__(self, n_features=8):
    ...         super().__init__()
    ...         self.convolution = torch.nn.Conv2d(3, n_features, kernel_size=5)
    ...
    ...     def forward(self, tiles):
    ...         return self.convolution(tiles / 255).mean(dim=(2, 3))
    >>> check_encoder(Bands())
    []

    Say which input it was made for:

    >>> mean_color.pixels = 32
    >>> check_encoder(mean_color)
    []
    """

    def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
        """Compute the features of a batch of tiles.

        Parameters
        ----------
        tiles
            ``uint8`` tiles ``(B, 3, H, W)`` in RGB, on the CPU; those handed to a module are on the device of its weights.
            They must not be changed.

        Returns
        -------
        torch.Tensor
            Finite floats ``(B, F)``, one row per tile, in the order of the tiles; a numpy array will do. They are stored
            as float32.
        """
