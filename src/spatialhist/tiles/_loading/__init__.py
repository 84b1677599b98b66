"""Tiles for torch."""
