"""Print the dependencies of the package and of the named extras, one a line, as pip reads them."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][name] for name in sys.argv[1:]]
    print(*project["dependencies"], *sum(extras, []), sep="\n")


if __name__ == "__main__":
    main()
