"""Checks, documentation and graphs that several metrics use."""
