"""What a model looks at: encoder, fields of view, image. The part of a run that must be the same for a new slide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spatialhist.nn import encoder_fingerprint, get_encoder
from spatialhist.tiles import TileSpec

if TYPE_CHECKING:
    from spatialhist._sdata.scale import Scale

COLOR_TEXTURE = "color_texture"
CUSTOM = "custom:"
"""Starts the name of what is not the package's own."""
FINGERPRINT = "encoder_fingerprint"
PIXELS = 64
"""Side of the tiles that color and texture are measured on, unless a run says otherwise."""
EXTENTS_UM = (75.0, 150.0, 300.0, 600.0)
"""Sides of the fields of view: one somewhat wider than a Visium spot of 55 um, then twice as wide each."""
EXTENTS_PITCH = (0.75, 1.5, 3.0, 6.0)
"""The same areas on a lattice of 100 um, for slides whose scale is not known."""
CONTEXT_UM = (150.0, 300.0, 600.0)
"""Radii of the averages over the context: standard deviations of Gaussian weights."""
CONTEXT_PITCH = (1.5, 3.0, 6.0)


@dataclass(frozen=True)
class Design:
    """How pixels become features and tiles.

    Attributes
    ----------
    encoder
        Name of the encoder, or the callable itself.
    extents
        Side of the square around a spot, one per feature block.
    pixels
        Side of the tiles an encoder sees.
    image
        ``"full"``, ``"normalized"`` or ``"masked"``.
    tile_extent, tile_pixels, grid
        The tiles of networks that learn from pixels.
    context
        Radii within which features of the surrounding tissue are averaged.
    """

    encoder: str | Callable[..., Any] = COLOR_TEXTURE
    extents: tuple[tuple[str, float], ...] = field(default_factory=tuple)
    pixels: int = PIXELS
    image: str = "full"
    tile_extent: tuple[str, float] = ("pitch", 3.0)
    tile_pixels: int = 78
    grid: int = 3
    context: tuple[tuple[str, float], ...] = ()

    @property
    def specs(self) -> tuple[TileSpec, ...]:
        """One tile specification per feature block; refuses what is no length."""
        return tuple(TileSpec(extent=e, pixels=self.pixels, grid=1) for e in self.extents)

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
        if isinstance(self.encoder, str):
            return asdict(self)
        plain = asdict(replace(self, encoder=f"{CUSTOM}{type(self.encoder).__name__}"))
        return plain | {FINGERPRINT: encoder_fingerprint(self.encoder)}

    @classmethod
    def described(cls, data: dict[str, Any]) -> Design:
        """Read a design; an encoder that was no name is told by its class."""
        plain = {k: v for k, v in data.items() if k != FINGERPRINT}
        lengths = {k: tuple((unit, float(value)) for unit, value in data.get(k, ())) for k in ("extents", "context")}
        tile_extent = (data["tile_extent"][0], float(data["tile_extent"][1]))
        return cls(**{**plain, "encoder": data["encoder"], **lengths, "tile_extent": tile_extent})

    @classmethod
    def from_json(cls, data: dict[str, Any], encoder: str | Callable[..., Any] | None = None) -> Design:
        """Restore a design; an encoder that was no name must be handed in again.

        Raises
        ------
        ValueError
            If it is not, or another one is.
        """
        name, known = data["encoder"], data.get(FINGERPRINT)
        if encoder is not None and encoder != name:
            _check_same(encoder, name, known)
        elif encoder is None and name.startswith(CUSTOM):
            raise ValueError(
                f"the model was trained on your own encoder ({name.removeprefix(CUSTOM)}): pass it as encoder="
            )
        return replace(cls.described(data), encoder=encoder or name)


def _check_same(encoder: str | Callable[..., Any], name: str, known: str | None) -> None:
    """Refuse an encoder that is not the one of training, as far as that is known."""
    named = not name.startswith(CUSTOM)
    if named and not isinstance(encoder, str):
        known = encoder_fingerprint(get_encoder(name))
    if isinstance(encoder, str) or (known and known not in _fingerprints(encoder)):
        fix = "leave out encoder=" if named else "pass the same one"
        raise ValueError(
            f"encoder= is not the encoder that the model was trained on ({name.removeprefix(CUSTOM)}): weights, settings "
            f"or code differ; {fix}"
        )


def _fingerprints(encoder: Callable[..., Any]) -> set[str]:
    """Of an encoder as it was handed in, and as it is run."""
    return {encoder_fingerprint(encoder), encoder_fingerprint(get_encoder(encoder))}


def default_extents(scales: Sequence[Scale]) -> tuple[tuple[str, float], ...]:
    """75-600 um where the scale of every slide is known, else the same in spot spacings of 100 um."""
    return _lengths(scales, EXTENTS_UM, EXTENTS_PITCH)


def default_context(scales: Sequence[Scale]) -> tuple[tuple[str, float], ...]:
    """150-600 um where the scale of every slide is known, else the same in spot spacings of 100 um."""
    return _lengths(scales, CONTEXT_UM, CONTEXT_PITCH)


def _lengths(scales: Sequence[Scale], um: tuple[float, ...], pitch: tuple[float, ...]) -> tuple[tuple[str, float], ...]:
    known = all(scale.mpp is not None for scale in scales)
    return tuple(("um", length) for length in um) if known else tuple(("pitch", length) for length in pitch)
