"""Runs and what they leave in a folder."""
