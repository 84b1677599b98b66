"""What a model looks at: encoder, fields of view, image. The part of a run that must be the same for a new slide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from spatialhist import nn
from spatialhist.nn._encoders.catalog import is_built_in, listed_name
from spatialhist.tiles._spec import PIXELS, TileSpec

if TYPE_CHECKING:
    from spatialhist._sdata.scale import Scale
    from spatialhist.nn import ColorTexture, FrozenEncoder

COLOR_TEXTURE = "color_texture"
CUSTOM = "custom:"
"""Starts the name of what is not the package's own."""
FINGERPRINT = "encoder_fingerprint"
EXTENTS_UM = (75.0, 150.0, 300.0, 600.0)
"""Sides of the fields of view: one somewhat wider than a Visium spot of 55 um, then twice as wide each."""
PITCH_UM = 100.0
"""Distance of spots on the lattice that stands for a scale where none is known."""
EXTENTS_PITCH = (0.75, 1.5, 3.0, 6.0)
"""The same areas on this lattice, for slides whose scale is not known."""
CONTEXT_UM = (150.0, 300.0, 600.0)
"""Radii of the averages over the context: standard deviations of Gaussian weights."""
CONTEXT_PITCH = (1.5, 3.0, 6.0)
"""The same radii on this lattice."""


class DesignOptions(TypedDict, total=False):
    """Fields of :class:`Design` as keywords of :func:`cross_validate` and :func:`fit`."""

    encoder: str | Callable[..., Any]
    extents: Sequence[tuple[str, float]] | None
    pixels: int | None
    image: str
    tile_extent: tuple[str, float]
    tile_pixels: int
    grid: int
    context: Sequence[tuple[str, float]] | None
    spot_resolution: tuple[str, float] | None


@dataclass(frozen=True)
class Design:
    """What models look at: which image, how much of it around a spot, and what turns it into features.

    Pass one as ``design=`` of :func:`cross_validate` and :func:`fit`, so that runs that are to be compared look at the same.
    In a single call its fields can be given as keywords instead: ``cross_validate(sdata, encoder="color_texture",
    extents=[("um", 150)])``. A run keeps its design (``cv.manifest.design``), and a slide that is predicted is looked at in
    the same way.

    Lengths are pairs of unit and number. Units are ``"um"`` (micrometers, where the scale of every slide is known),
    ``"pitch"`` (distances of neighboring spots) and ``"px"`` (pixels of the full-resolution image).

    Parameters
    ----------
    encoder
        What turns tiles into features: a name (see :func:`spatialhist.nn.get_encoder`), a network, or any callable from a
        uint8 batch ``(n, 3, pixels, pixels)`` to features ``(n, F)``. Hand in a callable again to predict with the run.
    extents
        Sides of the squares around a spot whose features are used, one feature block each. None to take the field of view
        that the encoder was trained on, ``pixels`` times its ``um_per_pixel`` (:class:`spatialhist.nn.Encoder`); where the
        encoder does not say it, as ``"color_texture"``, 75, 150, 300 and 600 micrometers. Where a scale is not known, the
        same in spot spacings of 100 micrometers.
    pixels
        Side of the tiles that the encoder sees. Every square is resampled to it. None to take the encoder's own, 64 where
        it has none.
    image
        ``"full"``, ``"normalized"``, ``"masked"`` or a key with ``{slide}`` in it.
    tile_extent
        Side of the square that networks which learn from pixels see (:class:`TileNetwork`); other models do without.
    tile_pixels
        Side of that square in pixels of the tile.
    grid
        Such a network sees the square as ``grid`` x ``grid`` parts, too.
    context
        Radii within which features of the first two fields of view are averaged over the surrounding tissue, for the models that
        look at it (``"mlp"``, ``"mlp_raw"``); 150, 300 and 600 micrometers by default, ``()`` for none.

    spot_resolution
        Look at a spot as at the pixels of a map that it covers: features are taken around each pixel of this side whose center
        lies in the spot, and averaged. None, the default, to take them around the center of the spot. A linear model
        (``"ridge"``, and stacks of ridges) commutes with averaging, so that its map (:func:`predict_map`) at this resolution
        has, over each spot on tissue, the mean that :func:`predict` gives the spot.

    See Also
    --------
    spatialhist.tiles.TileSpec : Tiles of one size.

    Examples
    --------
    >>> import spatialhist as sh
    >>> design = sh.tl.Design(extents=[("um", 75), ("um", 300)], context=())
    >>> design.extents
    (('um', 75), ('um', 300))

    Change one thing with :func:`dataclasses.replace`:

    >>> from dataclasses import replace
    >>> replace(design, image="normalized").image
    'normalized'
    """

    encoder: str | Callable[..., Any] = COLOR_TEXTURE
    extents: Sequence[tuple[str, float]] = ()
    pixels: int | None = None
    image: str = "full"
    tile_extent: tuple[str, float] = ("pitch", 3.0)
    tile_pixels: int = 78
    grid: int = 3
    context: Sequence[tuple[str, float]] | None = None
    spot_resolution: tuple[str, float] | None = None

    def __post_init__(self) -> None:
        # one spelling, by which runs of the same encoder are known
        object.__setattr__(self, "encoder", one_name(self.encoder))
        object.__setattr__(self, "extents", tuple(self.extents or ()))
        object.__setattr__(self, "context", None if self.context is None else tuple(self.context))

    @classmethod
    def of_call(cls, design: Design | None, options: DesignOptions) -> Design:
        """Return the design of a call, which hands it in whole or by its fields.

        Raises
        ------
        TypeError
            If it is no design, or there is no such field.
        ValueError
            If it is handed in whole and by its fields.
        """
        names = [f.name for f in fields(cls)]
        if unknown := [name for name in options if name not in names]:
            raise TypeError(f"{unknown[0]}= is neither an argument nor a field of sh.tl.Design, which has {names}")
        if design is None:
            return cls(**options)  # type: ignore[arg-type]
        if not isinstance(design, cls):
            raise TypeError(
                f"design={design!r} is no design: pass sh.tl.Design(...), or its fields {names} as keywords"
            )
        if options:
            raise ValueError(
                f"design= and its fields {list(options)} are both given: put these into the design, "
                "sh.tl.Design(...), or leave it out"
            )
        return design

    def on(self, scales: Sequence[Scale], encoder: ColorTexture | FrozenEncoder | None = None) -> Design:
        """Return the design with what was left open, as the encoder and the scales of the slides have it.

        Parameters
        ----------
        scales
            Of the slides.
        encoder
            The encoder of the design, None to make it.
        """
        encoder = nn.get_encoder(self.encoder) if encoder is None else encoder
        pixels = self._side(encoder)
        extents = self.extents or own_extents(scales, pixels, encoder.um_per_pixel)
        context = default_context(scales) if self.context is None else self.context
        return replace(self, pixels=pixels, extents=extents, context=context)

    def _side(self, encoder: ColorTexture | FrozenEncoder | None = None) -> int:
        """Side of the tiles: what was asked for, else what the encoder was made for."""
        if self.pixels is not None:
            return self.pixels
        return (nn.get_encoder(self.encoder) if encoder is None else encoder).pixels or PIXELS

    def completed(self, recorded: Design) -> Design:
        """Return the design with what was left open as an earlier one of the same encoder had it."""
        if self.encoder_name != recorded.encoder_name:
            return self
        return replace(
            self,
            pixels=recorded.pixels if self.pixels is None else self.pixels,
            extents=self.extents or recorded.extents,
            context=recorded.context if self.context is None else self.context,
        )

    @property
    def encoder_name(self) -> str:
        """Name of the encoder; ``custom:`` and the class of one that has none."""
        return self.encoder if isinstance(self.encoder, str) else f"{CUSTOM}{type(self.encoder).__name__}"

    @property
    def radii(self) -> tuple[tuple[str, float], ...]:
        """Radii of the context; none where they were left open."""
        return tuple(self.context or ())

    @property
    def spot_pixels(self) -> tuple[tuple[str, float], ...]:
        """Side of the pixels that a spot is looked at as; none where it is looked at from its center."""
        return () if self.spot_resolution is None else (self.spot_resolution,)

    @property
    def specs(self) -> tuple[TileSpec, ...]:
        """One tile specification per feature block; refuses what is no length."""
        return tuple(TileSpec(extent=e, pixels=self._side(), grid=1) for e in self.extents)

    @property
    def single_scale(self) -> int:
        """Position of the field of view that baselines of a single one see, the second where there is one."""
        return min(1, len(self.extents) - 1)

    @property
    def tile_spec(self) -> TileSpec:
        """Of the networks that learn from pixels."""
        return TileSpec(extent=self.tile_extent, pixels=self.tile_pixels, grid=self.grid)

    def to_json(self) -> dict[str, Any]:
        """Return plain types; an encoder that is no name is told by its class and its hash."""
        plain = asdict(replace(self, encoder=self.encoder_name))
        # runs of before are the same run
        if self.spot_resolution is None:
            del plain["spot_resolution"]
        return plain if isinstance(self.encoder, str) else plain | {FINGERPRINT: nn.encoder_fingerprint(self.encoder)}

    @classmethod
    def described(cls, data: dict[str, Any]) -> Design:
        """Read a design; an encoder that was no name is told by its class."""
        # folders of earlier versions do not say the side of their tiles, which was this one
        plain = {"pixels": PIXELS} | {k: v for k, v in data.items() if k != FINGERPRINT}
        lengths = {k: _as_lengths(data.get(k, ())) for k in ("extents", "context")}
        pixel = data.get("spot_resolution")
        single = {"tile_extent": _as_length(data["tile_extent"]), "spot_resolution": pixel and _as_length(pixel)}
        return cls(**{**plain, "encoder": data["encoder"], **lengths, **single})

    @classmethod
    def from_json(cls, data: dict[str, Any], encoder: str | Callable[..., Any] | None = None) -> Design:
        """Restore a design; an encoder that was no name must be handed in again, one that is downloaded confirmed.

        Raises
        ------
        ValueError
            If it is not, or another one is.
        """
        name, known, encoder = data["encoder"], data.get(FINGERPRINT), one_name(encoder)
        if encoder is None and is_downloaded(name):
            raise ValueError(
                f"the model names the encoder {name!r}, whose weights would be downloaded, and its folder may be anybody's: if "
                f"you trust this name, confirm it by encoder=, as in sh.tl.load(folder, encoder={name!r}); or hand in the "
                "encoder itself"
            )
        if encoder is not None and encoder != name:
            _check_same(encoder, name, known)
        elif encoder is None and name.startswith(CUSTOM):
            raise ValueError(
                f"the model was trained on your own encoder ({name.removeprefix(CUSTOM)}): pass it as encoder="
            )
        return replace(cls.described(data), encoder=encoder or name)


def _as_lengths(pairs: Sequence[tuple[str, float]] | None) -> tuple[tuple[str, float], ...] | None:
    """Pairs as JSON gave them back; None was left open."""
    return None if pairs is None else tuple(_as_length(pair) for pair in pairs)


def _as_length(pair: Sequence[Any]) -> tuple[str, float]:
    return pair[0], float(pair[1])


def one_name(encoder: Any) -> Any:
    """The listed name of an encoder that is given by name, in any spelling; what is no name as it is."""
    return listed_name(encoder) if isinstance(encoder, str) else encoder


def is_downloaded(name: str) -> bool:
    """Whether the weights behind the name of an encoder come from the network."""
    return not is_built_in(name) and not name.startswith(CUSTOM)


def _check_same(encoder: str | Callable[..., Any], name: str, known: str | None) -> None:
    """Refuse an encoder that is not the one of training, as far as that is known without a download."""
    named = not name.startswith(CUSTOM)
    if named and not isinstance(encoder, str) and not is_downloaded(name):
        known = nn.encoder_fingerprint(nn.get_encoder(name))
    if isinstance(encoder, str) or (known and known not in _fingerprints(encoder)):
        from spatialhist.nn._fingerprint import python_note

        fix = "leave out encoder=" if named else "pass the same one"
        fix = f"pass encoder={name!r}" if is_downloaded(name) else fix
        raise ValueError(
            f"encoder= is not the encoder that the model was trained on ({name.removeprefix(CUSTOM)}): weights, settings "
            f"or code differ{python_note()}; {fix}"
        )


def _fingerprints(encoder: Callable[..., Any]) -> set[str]:
    """Of an encoder as it was handed in, and as it is run."""
    # a hash as wrapped is what a run holds of an encoder that it wrapped itself
    return {nn.encoder_fingerprint(encoder), nn.encoder_fingerprint(nn.get_encoder(encoder))}


def own_extents(scales: Sequence[Scale], pixels: int, um_per_pixel: float | None) -> tuple[tuple[str, float], ...]:
    """Field of view that an encoder was trained on, where it is known; else the default ones."""
    if um_per_pixel is None:
        return default_extents(scales)
    um = pixels * um_per_pixel
    return _lengths(scales, (um,), (um / PITCH_UM,))


def default_extents(scales: Sequence[Scale]) -> tuple[tuple[str, float], ...]:
    """75-600 um where the scale of every slide is known, else the same in spot spacings of 100 um."""
    return _lengths(scales, EXTENTS_UM, EXTENTS_PITCH)


def default_context(scales: Sequence[Scale]) -> tuple[tuple[str, float], ...]:
    """150-600 um where the scale of every slide is known, else the same in spot spacings of 100 um."""
    return _lengths(scales, CONTEXT_UM, CONTEXT_PITCH)


def _lengths(scales: Sequence[Scale], um: tuple[float, ...], pitch: tuple[float, ...]) -> tuple[tuple[str, float], ...]:
    known = all(scale.mpp is not None for scale in scales)
    return tuple(("um", length) for length in um) if known else tuple(("pitch", length) for length in pitch)
