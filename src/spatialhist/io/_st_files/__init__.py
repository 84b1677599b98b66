"""Files of Spatial Transcriptomics folders."""
