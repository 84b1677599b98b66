"""Expression of spots as arrays."""
