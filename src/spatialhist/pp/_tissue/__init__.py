"""Tissue, and what lies on it, from pixels."""
