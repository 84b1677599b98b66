"""Stain: fit, apply, reference, on arrays."""
