"""Import every public name of the installed package, from where a wheel puts it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import spatialhist


def main() -> None:
    home = Path(spatialhist.__file__)
    if "site-packages" not in home.parts:
        sys.exit(f"spatialhist comes from {home}, not from an installed wheel")
    for room in spatialhist.__all__:
        names = importlib.import_module(f"spatialhist.{room}").__all__
        for name in names:
            getattr(importlib.import_module(f"spatialhist.{room}"), name)
        print(f"spatialhist.{room}: {', '.join(names)}")
    importlib.import_module("spatialhist.cli")


if __name__ == "__main__":
    main()
