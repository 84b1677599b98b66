"""Which formats are known, and how each is told by what is at a path."""
