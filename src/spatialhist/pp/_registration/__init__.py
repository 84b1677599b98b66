"""Spots onto tissue: search, refinement and the decision, on arrays."""
