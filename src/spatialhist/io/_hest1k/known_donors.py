"""Samples of HEST-1k whose patient is known, where the metadata has another one or none.

Sections of one donor on both sides of a split make scores too good, so these are put right whenever samples are read.
"""

from __future__ import annotations

from collections.abc import Mapping

BREAST = "donor of TENX95 and TENX99"
DONORS = {
    # breast (IDC): one donor under two labels; 97 is of the tissue of 95, and 98 is a replicate of 99
    **dict.fromkeys(("TENX95", "TENX97", "TENX98", "TENX99"), BREAST),
    # colon (COAD): all are labeled as one patient, while their subseries name the donors of the study; TENX128 is the
    # same section as TENX155
    **{
        sample: f"colorectal donor {donor}"
        for donor, samples in {
            "P1": ("TENX149", "TENX156"),
            "P2": ("TENX128", "TENX148", "TENX152", "TENX155"),
            "P3": ("TENX153",),
            "P5": ("TENX147", "TENX154"),
        }.items()
        for sample in samples
    },
    # rectum (READ): pairs of replicates
    **dict.fromkeys(("ZEN48", "ZEN49"), "rectal donor A121573"),
    **dict.fromkeys(("ZEN36", "ZEN40"), "rectal donor A938797"),
}


def corrected(patients: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return patients by sample, the known ones in the place of those of the metadata."""
    return {sample: DONORS.get(sample, patient) for sample, patient in patients.items()}


def told(patients: Mapping[str, str | None]) -> str:
    """Return what is corrected, as text; nothing where nothing is."""
    changes = [
        f"{sample} is of {DONORS[sample]!r}, not of {patient!r}"
        for sample, patient in patients.items()
        if sample in DONORS and patient != DONORS[sample]
    ]
    return "; ".join(changes)
