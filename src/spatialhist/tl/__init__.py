"""Train, validate, stack, predict, score."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_benchmark": ["Benchmark", "benchmark"],
        "_calibrate": ["calibrate"],
        "_check_predictor": ["check_predictor"],
        "_compare": ["compare"],
        "_cross_validate": ["cross_validate"],
        "_encode": ["encode"],
        "_evaluate": ["evaluate"],
        "_expected_counts": ["expected_counts"],
        "_fit": ["Model", "fit"],
        "_gene_reliability": ["gene_reliability"],
        "_lazyslide": ["LazySlideModel"],
        "_load": ["load"],
        "_predict": ["predict"],
        "_predict_grid": ["predict_grid"],
        "_predict_map": ["predict_map"],
        "_data.design": ["Design"],
        "_data.samples": ["Samples"],
        "_predictors.baselines": ["Permuted"],
        "_predictors.depth_adjusted": ["DepthAdjusted"],
        "_predictors.linear": ["KernelRidge", "Ridge"],
        "_predictors.protocol": ["Combiner", "Fitted", "FittedCombiner", "Predictor"],
        "_predictors.networks": ["FeatureNetwork", "TileNetwork"],
        "_runs.cross_validation": ["CrossValidation"],
        "_runs.trained": ["Trained"],
        "_slide_probe": ["SlideProbe", "slide_probe"],
        "_stack": ["Stack", "stack"],
        "_to_image": ["to_image"],
        "_scores.comparison": ["Comparison"],
        "_scores.metrics": ["Metric"],
        "_scores.summarize": ["summarize"],
    },
)
