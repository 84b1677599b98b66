"""Scores of the default models on real slides, beside nulls and oracles: one section, or one patient, left out.

    python benchmarks/accuracy.py --store her2st.zarr [--data FOLDER]

Prints the table of :func:`spatialhist.tl.summarize` for patient C with sections left out one by one (adjacent sections
of one tumour: the easy case), and for all seven slides with patients left out (three patients: differences of .03 are
noise), with the minutes each took.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from _her2st import stored_cohort

import spatialhist as sh

PROTOCOLS = {
    "patient C, one section left out": {"slides": ["C2", "C3", "C4", "C5"], "groups": "slide"},
    "one patient left out": {"slides": None, "groups": "patient"},
}


def main() -> None:
    """Prepare the slides once, then cross-validate, stack and score each protocol."""
    sdata = stored_cohort()
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata)
    with tempfile.TemporaryDirectory() as folder:
        for name, protocol in PROTOCOLS.items():
            start = time.perf_counter()
            cv = sh.tl.cross_validate(
                sdata, out=Path(folder) / protocol["groups"], executor=os.cpu_count(), progress=False, **protocol
            )
            sh.tl.stack(sdata, cv)
            sh.tl.stack(sdata, cv, method="mean", key_added="oof_stack_mean")
            scores = sh.tl.evaluate(sdata, slides=protocol["slides"])
            minutes = (time.perf_counter() - start) / 60
            print(f"\n{name}: within-slide Pearson ({minutes:.1f} min)\n{sh.tl.summarize(scores).round(3).to_string()}")


if __name__ == "__main__":
    main()
