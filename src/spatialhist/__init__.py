"""Train, evaluate and apply models that predict spatial gene expression from H&E slides."""

from importlib.metadata import version

import lazy_loader as lazy

__version__ = version("spatialhist")

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["datasets", "io", "metrics", "nn", "pl", "pp", "report", "tiles", "tl"],
)
