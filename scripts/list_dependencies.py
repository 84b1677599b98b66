"""Print the dependencies of the package, one a line, as pip reads them."""

from __future__ import annotations

import tomllib
from pathlib import Path


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(*project["dependencies"], sep="\n")


if __name__ == "__main__":
    main()
