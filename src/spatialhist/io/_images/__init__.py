"""Image files as lazy pixels, with their scale."""
