"""Damage files at random and read them: nothing but errors that name the file may come out.

    python benchmarks/fuzz.py --seconds 600               ten minutes of the processor a reader
    python benchmarks/fuzz.py --seconds 60 png manifest   some readers

Each reader runs in a process of its own, so that a crash of a decoder is seen as such. Prints inputs read, accepted and
refused; ends with an error, naming the seed, when anything else comes out.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]


def fuzz(name: str, seconds: float, seed: int, memory_gb: float) -> None:
    import resource

    from fuzz_readers import READERS, read_damaged

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    limit = int(memory_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with tempfile.TemporaryDirectory() as folder:
        reader = READERS[name](Path(folder))
        end, accepted, tried = time.process_time() + seconds, 0, 0
        while time.process_time() < end:
            accepted += read_damaged(reader, Path(folder), seed + tried)
            tried += 1
    print(f"{name:19} {tried:7} inputs, {accepted:6} accepted, {tried - accepted:7} refused", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-gb", type=float, default=8)
    options = parser.parse_args()
    from fuzz_readers import READERS

    context, failed = multiprocessing.get_context("spawn"), []
    for name in options.readers or READERS:
        process = context.Process(target=fuzz, args=(name, options.seconds, options.seed, options.memory_gb))
        process.start()
        process.join()
        if process.exitcode:
            failed.append(f"{name} ended with {process.exitcode}")
    if failed:
        raise SystemExit("; ".join(failed))


if __name__ == "__main__":
    main()
