"""Objects of synthetic slides, as the reader of each platform makes them."""
