"""Learners and nulls: ``fit(samples, seed=) -> fitted``, ``fitted.predict(samples)``, stored without pickle.

========== ==========================================================
protocol   what a predictor is
linear     ridge and kernel ridge over features
networks   heads over features and networks over pixels, by Lightning
nulls      what a model must beat without looking at the image
registry   predictors by name
========== ==========================================================
"""
