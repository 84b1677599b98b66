"""Features of tiles, computed once."""
