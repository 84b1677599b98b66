"""Models and baselines: ``fit(samples, seed=) -> fitted``, ``fitted.predict(samples)``, stored without pickle."""
