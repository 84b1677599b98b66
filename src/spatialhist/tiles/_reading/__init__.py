"""Tiles from pixels, in chunk order."""
