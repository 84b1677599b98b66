"""Tissue, cells, genes and counts of the synthetic cohort."""
