"""The encoder without weights: color, texture and nuclei of a tile."""
