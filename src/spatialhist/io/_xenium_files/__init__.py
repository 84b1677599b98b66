"""Files of a Xenium output: transcripts, cells, and where its H&E image lies."""
