"""Cohorts to try things on."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submod_attrs={"_her2st": ["her2st"], "_pretrained": ["pretrained"], "_synthetic": ["synthetic"]}
)
