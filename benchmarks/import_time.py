"""What starting costs: time of imports as shares of `import squidpy`, and processor time and memory of short commands.

    python benchmarks/import_time.py

All are measured in this run, in processes of their own. Ends with an error when `import spatialhist.pp` takes a third of
squidpy or more, or a command that reads JSON alone, `spatialhist info` of a model, does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import spatialhist

REPEATS = 3
LIMIT = 1 / 3
MODEL = Path(spatialhist.__file__).parent / "datasets" / "_models" / "her2st"
CODE = {
    "nothing": "pass",
    "import spatialhist": "import spatialhist",
    "import spatialhist.pp": "import spatialhist.pp",
    "import squidpy": "import squidpy",
    "spatialhist info RUN": f"from spatialhist.cli import app; app(['info', {str(MODEL)!r}])",
    "a worker that fits a ridge": "import spatialhist.tl._runs.fits, spatialhist.tl._predictors.linear, torch",
    "a worker that fits the MLP": "import spatialhist.tl._runs.fits, spatialhist.tl._predictors.networks",
    "a worker that trains on pixels": "import spatialhist.tl._runs.fits, spatialhist.tl._predictors.training",
}


def main() -> None:
    """Print a row a process, less what a bare interpreter takes."""
    costs = {name: cost(code) for name, code in CODE.items()}
    bare, squidpy = costs.pop("nothing")[0], costs["import squidpy"][0]
    shares = {}
    for name, (seconds, megabytes) in costs.items():
        shares[name] = (seconds - bare) / (squidpy - bare)
        print(
            f"{name:<31} {seconds - bare:6.2f} s CPU   {shares[name]:5.3f} of squidpy   {megabytes:5.0f} MB at its peak"
        )
    dear = [name for name in ("import spatialhist.pp", "spatialhist info RUN") if shares[name] >= LIMIT]
    if dear:
        sys.exit(f"{' and '.join(dear)} cost a third of importing squidpy or more")


def cost(code: str) -> tuple[float, float]:
    """Return processor seconds and peak memory of the best of a few fresh processes."""
    return min(once(code) for _ in range(REPEATS))


def once(code: str) -> tuple[float, float]:
    """Run Python once."""
    to_nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-W", "ignore", "-c", code], os.environ, file_actions=to_nowhere
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{code!r} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
