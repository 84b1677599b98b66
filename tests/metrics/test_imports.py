from __future__ import annotations

import ast
import sys
from pathlib import Path

from spatialhist import metrics

ALLOWED = {"numpy", "pandas", "scipy", "sklearn", "skimage", "lazy_loader"}


def test_imports_nothing_beyond_the_numeric_stack():
    for path in Path(metrics.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [] if node.module.startswith("spatialhist.metrics.") else [node.module]
            else:
                continue
            foreign = {name.split(".")[0] for name in names} - ALLOWED - sys.stdlib_module_names
            assert not foreign, f"{path.name} imports {foreign}"


def test_every_public_name_loads_and_is_documented():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__, name
