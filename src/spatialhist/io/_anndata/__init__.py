"""Slides out of an AnnData."""
