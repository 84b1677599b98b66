"""The parts of the interactive page."""
