"""The manifest of a run or model folder: what was fitted, on what, in which way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from spatialhist._runtime.files import BROKEN, intact, write_json
from spatialhist._sdata.scale import Scale
from spatialhist.tl._data import renamed
from spatialhist.tl._data.design import FINGERPRINT, Design
from spatialhist.tl._predictors.baselines import DepthBaseline
from spatialhist.tl._predictors.handed_in import HASHES
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._predictors.registry import from_description, resolve_models
from spatialhist.tl._runs.bounds import check_names, check_panel, check_recipe, check_slide

MANIFEST = "manifest.json"
FORMAT = 1
CROSS_VALIDATION, MODEL = "cross-validation", "model"
DEPTH = "depth"
"""Parameter of a run: hash of the depth of its spots, None where it is unknown. Runs without it know no baseline of depth."""
KINDS = {CROSS_VALIDATION: "a cross-validation", MODEL: "a model"}


@dataclass(frozen=True)
class TrainingSlide:
    """A slide that a run was trained on.

    Attributes
    ----------
    pixels
        Hash of its pixels, by which it is recognized whatever its name; empty where they were not hashed.
    group
        The group that it was held out with; None for a model fitted on everything.
    spots
        How many were trained on.
    stain
        What its image was recolored to, None for the H&E image itself.
    scale
        Size of its pixels and spots.
    patient
        None where it is not known.
    """

    pixels: str
    group: str | None = None
    spots: int | None = None
    stain: dict[str, Any] | None = None
    scale: Scale = field(default_factory=lambda: Scale(None, None, None))
    patient: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingSlide:
        """Read its entry of a manifest."""
        size = Scale(*(data.get(name) for name in ("mpp", "pitch_px", "spot_diameter_px")))
        group, patient = data.get("group"), data.get("patient")
        return cls(data["pixels"], group, data.get("spots"), data.get("stain"), size, patient)

    def to_json(self) -> dict[str, Any]:
        """Inverse of :meth:`from_json`."""
        where_known = {"group": self.group, "patient": self.patient}
        known = {key: value for key, value in where_known.items() if value is not None}
        return {"pixels": self.pixels, "spots": self.spots, "stain": self.stain, **known, **asdict(self.scale)}


@dataclass(frozen=True)
class Manifest:
    """What a run or model folder says of itself; never changed.

    Attributes
    ----------
    what
        ``"cross-validation"`` or ``"model"``.
    identity
        Everything that the result depends on, as the folder holds it: parameters, panels, the hash of the data. Names in
        it are those of the version that wrote it.
    slides
        Training slides by name.
    genes
        Those of all panels, in the order of the run's columns.
    ranking
        How targets are ranked, None where they are not.
    units
        What the numbers of the predicted layer are.
    version, versions
        Of this package and of others, by which it was made.
    command
        Command line that made it.
    license
        Under which a model may be used, None where none was asked for.
    selection
        What selected genes, slides and spots, and what was said of it; empty for a folder of an earlier version.
    """

    what: str
    identity: dict[str, Any] = field(repr=False)
    slides: dict[str, TrainingSlide]
    genes: list[str] = field(repr=False)
    ranking: dict[str, Any] | None = None
    units: dict[str, Any] = field(default_factory=dict)
    version: str = "not stated"
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    license: str | None = None
    selection: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, what: str | None = None) -> Manifest:
        """Read and check the manifest of a folder.

        Parameters
        ----------
        folder
            Run or model folder.
        what
            What it has to be of; None for either.

        Raises
        ------
        FileNotFoundError
            If the folder holds none.
        ValueError
            If it is broken, of something else, or was written by a newer version.
        """
        data = parsed(folder)
        if what is not None and data.get("what") != what:
            raise ValueError(f"{folder} holds {data.get('what')!r}, not {KINDS[what]}")
        with intact(folder / MANIFEST, errors=(*BROKEN, ValueError)):
            return cls.from_json(data)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Manifest:
        """Read what JSON holds; what predicting and scoring need has to be there.

        Raises
        ------
        KeyError, TypeError, ValueError
            If something is missing, of another type, or outside of what a run has.
        """
        identity = data["identity"]
        slides = {name: TrainingSlide.from_json(facts) for name, facts in data["slides"].items()}
        known = {
            key: data[key] for key in ("units", "version", "versions", "command", "license", "selection") if key in data
        }
        made = cls(data["what"], identity, slides, data["genes"], data["ranking"], **known)
        made._look_up()
        return made

    @classmethod
    def of(cls, what: str, identity: Mapping[str, Any], slides: Mapping[str, TrainingSlide], **facts: Any) -> Manifest:
        """Make the manifest of a new run; it is what reading it will give."""
        made = cls(what, dict(identity), dict(slides), **facts)
        # by way of JSON, so that a run that was just made and one that is loaded compare equal
        return cls.from_json(json.loads(json.dumps(made.to_json())))

    def _look_up(self) -> None:
        """Ask for what is read late, so that a manifest without it fails when it is loaded."""
        _ = [d["class"] for d in self.models]
        baselines = self.baselines if self.what == CROSS_VALIDATION else []
        check_recipe(self.layer, self.seed, self.threads, self.design, [*self.models, *baselines])
        check_names("genes", self.genes)
        if not isinstance(self.ranking, dict | None):
            raise TypeError("'ranking' holds no options")
        for name, slide in self.slides.items():
            check_slide(name, slide.pixels, slide.group, slide.spots, slide.stain, vars(slide.scale))
        if self.what == CROSS_VALIDATION:
            check_names("groups", self.groups)
            for group, panel in self.panels.items():
                check_panel(group, panel, len(self.genes))
            if unknown := set(self.group_of.values()) - set(self.groups):
                raise KeyError(f"groups {sorted(unknown)}")
            if missing := self.slides.keys() - self.group_of.keys():
                raise KeyError(f"group of {sorted(missing)}")

    def to_json(self) -> dict[str, Any]:
        """Inverse of :meth:`from_json`."""
        slides = {name: s.to_json() for name, s in self.slides.items()}
        data = {**vars(self), "format": FORMAT, "slides": slides, "fields_of_view": self.fields_of_view}
        return {key: value for key, value in data.items() if key not in ("license", "selection") or value}

    def write(self, folder: Path) -> None:
        """Write it into a folder, whole."""
        write_json(folder / MANIFEST, self.to_json())

    def of_inputs(self, data: str, ranking: dict[str, Any] | None) -> Manifest:
        """Return it with the hash of the gathered data, and how their targets are ranked."""
        return replace(self, identity={**self.identity, "data": data}, ranking=ranking)

    @property
    def run_id(self) -> str:
        """Short hash of everything that the result depends on: parameters and data, in the words they were written in."""
        # sorted keys: two runs of the same parameters have the same hash
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def layer(self) -> str:
        """The predicted layer."""
        return self.identity["layer"]

    @property
    def seed(self) -> int:
        """Of every fit."""
        return self.identity["seed"]

    @property
    def threads(self) -> int:
        """Threads that every fit was pinned to."""
        return self.identity["threads"]

    @property
    def design(self) -> Design:
        """What models look at; an encoder that was no name is told by its class."""
        return Design.described(self.identity["design"])

    @property
    def fields_of_view(self) -> list[dict[str, Any]]:
        """Per field of view its side, its pixels, and the smallest and largest micrometers per pixel over the slides.

        The latter are None where a slide lacks the scale that they follow from.
        """
        design = self.design
        return [
            {"extent": list(e), "pixels": design.pixels, "um_per_pixel": _um_per_pixel(e, design.pixels, self.scales)}
            for e in design.extents
        ]

    @property
    def encoder(self) -> str:
        """Name of the encoder; ``custom:`` and the class of one that has none."""
        return self.identity["design"]["encoder"]

    @property
    def models(self) -> list[dict[str, Any]]:
        """Descriptions of the models."""
        return self.identity["models"]

    @property
    def baselines(self) -> list[dict[str, Any]]:
        """Descriptions of the baselines."""
        return renamed.identity(self.identity)["baselines"]

    @property
    def groups(self) -> list[str]:
        """Held-out groups, in the order of their numbers."""
        return self.identity["groups"]

    @property
    def panels(self) -> dict[str, tuple[int, ...]]:
        """Columns that the fold of each group models."""
        return {group: tuple(self.identity["panels"][group]) for group in self.groups}

    @property
    def group_of(self) -> dict[str, str]:
        """Group that each training slide was held out with; empty for a model fitted on everything."""
        return {name: slide.group for name, slide in self.slides.items() if slide.group is not None}

    @property
    def scales(self) -> list[Scale]:
        """Size of pixels and spots of every training slide."""
        return [slide.scale for slide in self.slides.values()]

    def trained_on(self, pixels: str) -> str | None:
        """Name of the training slide with these pixels."""
        return next((name for name, slide in self.slides.items() if slide.pixels and slide.pixels == pixels), None)

    def restore_design(self, encoder: Any = None) -> Design:
        """What models look at, with the encoder.

        Raises
        ------
        ValueError
            If it was no name and is not handed in again, or its weights would be downloaded and it is not confirmed.
        """
        return Design.from_json(self.identity["design"], encoder)

    def differences(self, wanted: Mapping[str, Any], keys: Iterable[str] | None = None) -> list[str]:
        """Name parameters that are not those of this folder, whatever words the version that wrote it had for them.

        Parameters
        ----------
        wanted
            What it does not say, such as the hash of data that are not gathered yet, is not compared.
        keys
            What to compare; None for everything that it says.
        """
        held, new = comparable(self.identity), comparable(wanted)
        new = new if DEPTH in held else _without_depth(new)
        return sorted(key for key in (keys or new) if held.get(key) != _as_far_as_known(new[key], held.get(key)))


def _um_per_pixel(extent: tuple[str, float], pixels: int | None, scales: Sequence[Scale]) -> list[float] | None:
    """Smallest and largest micrometers per pixel of a tile."""
    unit, length = extent
    sizes = {"um": lambda s: 1.0, "px": lambda s: s.mpp, "pitch": lambda s: s.mpp and s.pitch_px and s.mpp * s.pitch_px}
    um = [sizes[unit](scale) for scale in scales]
    if not um or not pixels or None in um:
        return None
    return [round(length * each / pixels, 4) for each in (min(um), max(um))]


def _without_depth(identity: dict[str, Any]) -> dict[str, Any]:
    """What an earlier version would say, which had no baseline of depth: its runs go on without one."""
    rest = {key: value for key, value in identity.items() if key != DEPTH}
    if "baselines" in rest:
        rest["baselines"] = [d for d in rest["baselines"] if d["class"] != DepthBaseline.__name__]
    return rest


def _as_far_as_known(new: Any, held: Any) -> Any:
    """Leave out hashes of what is the user's where a folder of an earlier version does not hold them."""
    if isinstance(new, list) and isinstance(held, list) and len(new) == len(held):
        return [_as_far_as_known(n, h) for n, h in zip(new, held, strict=True)]
    if not (isinstance(new, dict) and isinstance(held, dict)):
        return new
    unknown = {FINGERPRINT, *HASHES} - held.keys()
    return {key: _as_far_as_known(value, held.get(key)) for key, value in new.items() if key not in unknown}


def restore_predictors(described: Sequence[dict[str, Any]], own: Sequence[Predictor] = ()) -> tuple[Predictor, ...]:
    """Predictors of a manifest; those from outside must be handed in again."""
    handed_in = () if isinstance(own, Sequence) and not own else resolve_models(own)
    return tuple(from_description(d, handed_in) for d in described)


def parsed(folder: Path) -> dict[str, Any]:
    """Parse the manifest of a folder, whatever it is of.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    ValueError
        If it is no JSON, none of this package, or was written by a newer version.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{folder} is no run or model folder: it has no {MANIFEST}")
    with intact(path):
        data = json.loads(path.read_text())
    found = data.get("format") if isinstance(data, dict) else None
    # True is a number to Python
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"{path} is no manifest of spatialhist: it has no 'format' of at least 1")
    if found > FORMAT:
        raise ValueError(f"{path} has format {found}, this version reads up to {FORMAT}: update spatialhist")
    return data


def comparable(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of a run as JSON holds them, in the words of this version."""
    plain = renamed.identity(json.loads(json.dumps(identity)))
    kinds, design = {"models", "baselines"} & plain.keys(), plain.get("design")
    return plain | {kind: [renamed.current_description(d, design) for d in plain[kind]] for kind in kinds}
