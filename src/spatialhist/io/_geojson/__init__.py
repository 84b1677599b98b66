"""Outlines as QuPath exchanges them: written as features, and read back."""
