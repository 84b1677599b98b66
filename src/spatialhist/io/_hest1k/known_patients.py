"""Samples of HEST-1k whose patient is known, where the metadata has another one or none.

Sections of one patient on both sides of a split make scores too good, so these are put right whenever samples are read.
"""

from __future__ import annotations

from collections.abc import Mapping

BREAST = "patient of TENX95 and TENX99"
PATIENTS = {
    # breast (IDC): one patient under two labels; 97 is of the tissue of 95, and 98 is a replicate of 99
    **dict.fromkeys(("TENX95", "TENX97", "TENX98", "TENX99"), BREAST),
    # colon (COAD): all are labeled as one patient, while their subseries name the patients of the study; TENX128 is the
    # same section as TENX155
    **{
        sample: f"colorectal patient {patient}"
        for patient, samples in {
            "P1": ("TENX149", "TENX156"),
            "P2": ("TENX128", "TENX148", "TENX152", "TENX155"),
            "P3": ("TENX153",),
            "P5": ("TENX147", "TENX154"),
        }.items()
        for sample in samples
    },
    # rectum (READ): pairs of replicates
    **dict.fromkeys(("ZEN48", "ZEN49"), "rectal patient A121573"),
    **dict.fromkeys(("ZEN36", "ZEN40"), "rectal patient A938797"),
}


def corrected(patients: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return patients by sample, the known ones in the place of those of the metadata."""
    return {sample: PATIENTS.get(sample, patient) for sample, patient in patients.items()}


def told(patients: Mapping[str, str | None]) -> str:
    """Return what is corrected, as text; nothing where nothing is."""
    changes = [
        f"{sample} is of {PATIENTS[sample]!r}, not of {patient!r}"
        for sample, patient in patients.items()
        if sample in PATIENTS and patient != PATIENTS[sample]
    ]
    return "; ".join(changes)
