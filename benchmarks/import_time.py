"""Time of `import spatialhist` as a share of `import squidpy`, both measured in this run.

Ends with an error when the share is a third or more.
"""

from __future__ import annotations

import subprocess
import sys
import time

REPEATS = 3
LIMIT = 1 / 3


def main() -> None:
    seconds = {name: import_seconds(name) for name in ("spatialhist", "spatialhist.pp", "squidpy")}
    for name, value in seconds.items():
        print(f"import {name:<15} {value:6.2f} s   {value / seconds['squidpy']:5.3f} of squidpy")
    if seconds["spatialhist.pp"] >= LIMIT * seconds["squidpy"]:
        sys.exit("importing spatialhist costs a third of importing squidpy or more")


def import_seconds(name: str) -> float:
    """Return the best of a few fresh processes, less what a bare interpreter takes."""
    return min(process_seconds(f"import {name}") for _ in range(REPEATS)) - process_seconds("pass")


def process_seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
