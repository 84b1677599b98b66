"""The only code that reads and writes SpatialData.

========== =====================================================================
slides     which slides, which rows of the table, who was measured
images     pyramids, levels, masks: reading pixels and adding image elements
pyramids   making the resolution levels of an image
geometry   where spots lie in pixels, physical scale, alignment
layers     layers, columns and provenance of the table
build      one slide from arrays, several slides into one cohort
adopt      what an object of spatialdata-io lacks
grid       spots that we lay on a slide
maps       genes as images
quiet      what libraries announce about themselves
versions   what releases of libraries do differently
store      what is new goes into the zarr store, atomically
========== =====================================================================
"""
