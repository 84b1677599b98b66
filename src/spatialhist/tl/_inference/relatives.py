"""What slides to be predicted are to the training slides: the same, copies of them, or sections of the same patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spatialhist._sdata.spelling import same_name
from spatialhist.tl._data.signature import Likeness, Signature, compare, sign_slide
from spatialhist.tl._runs.signatures import load_signatures

if TYPE_CHECKING:
    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._runs.trained import Trained


@dataclass(frozen=True)
class Relatives:
    """Training slides of something trained, as slides to be predicted are compared with them.

    Attributes
    ----------
    trained
        What predicts.
    signatures
        Keypoints of its training slides.
    """

    trained: Trained
    signatures: dict[str, Signature]
    _found: dict[str, tuple[str, Likeness] | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, trained: Trained) -> Relatives:
        """Read what a run folder holds of its training slides."""
        return cls(trained, load_signatures(trained.run_folder, list(trained.manifest.slides)))

    def training_slide(self, slide: Slide) -> str | None:
        """Name of the training slide that a slide is, by its pixels, or of which it is a copy."""
        same = self.trained.trained_on(slide.pixel_hash)
        copied = self._copied(slide) if same is None else None
        return copied[0] if copied else same

    def _copied(self, slide: Slide) -> tuple[str, Likeness] | None:
        """Training slide whose picture is of the same section, with how alike they are."""
        if slide.name not in self._found:
            # a slide without pixels of its own has no picture to compare
            own = sign_slide(slide) if slide.pixel_hash and self.signatures else None
            found = {} if own is None else {name: compare(own, known) for name, known in self.signatures.items()}
            best = max(found, key=lambda name: found[name].n, default=None)
            self._found[slide.name] = (best, found[best]) if best is not None and found[best].certain else None
        return self._found[slide.name]

    def told(self, slides: Sequence[Slide]) -> list[str]:
        """What is to be said of slides that are copies, or of patients that were trained on."""
        return [text for slide in slides for text in self._told(slide)]

    def _told(self, slide: Slide) -> Iterator[str]:
        same = self.trained.trained_on(slide.pixel_hash)
        if same is None and (copied := self._copied(slide)):
            name, likeness = copied
            yield f"slide {slide.name!r} is a picture of the same section as training slide {name!r}, and is taken for it: {likeness}"
        elif same is None and (known := self._of_the_same_patient(slide)):
            yield (
                f"slide {slide.name!r} is of patient {slide.patient!r}, as training slides {known} are: if it is the same "
                "patient, scores on this slide are no scores on a new patient"
            )

    def _of_the_same_patient(self, slide: Slide) -> list[str]:
        if slide.patient is None:
            return []
        slides = self.trained.manifest.slides.items()
        key = same_name(slide.patient)
        return [name for name, known in slides if known.patient is not None and same_name(known.patient) == key]
