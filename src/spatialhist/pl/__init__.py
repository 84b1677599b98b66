"""Plots: one file per picture."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "_alignment": ["alignment"],
        "_calibration": ["calibration"],
        "_compare": ["compare"],
        "_gene_scores": ["gene_scores"],
        "_genes": ["genes"],
        "_out_of_distribution": ["out_of_distribution"],
        "_scores": ["scores"],
        "_stain": ["stain"],
        "_tiles": ["tiles"],
        "_training": ["training"],
    },
)
