"""Sums of bins and cells, and means of what is known of them."""
