"""Files of a folder, as platforms and downloads call them."""
