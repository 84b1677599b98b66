"""The only code that reads and writes SpatialData.

========== =====================================================================
cohort     which slides, which rows of the table, who was measured
slide      one slide: whatever a step asks of it
scale      how large a pixel is, what the object remembers of a slide
lattice    how far apart neighbors on a lattice are
geometry   where spots lie in pixels, which points lie in polygons
alignment  how spots were moved from where the reader put them
own_images which images are those of a slide
images     pyramids, levels, masks: reading pixels and adding image elements
rgb        images of any common kind as RGB of 8 bits
pyramids   making the resolution levels of an image
values     what tables of other programs hold, as plain numbers, words and ids
spelling   names of patients that are spelled in more than one way
flags      columns of yes and no, of any type
gene_names what slides call their genes
counts     whether a matrix holds raw counts, and which one does
layers     layers, columns and provenance of the table
build      one slide from arrays, several slides into one cohort
subset     some slides or spots of an object
adopt      what an object of others lacks
grid       spots that we lay on a slide
added_tables tables that steps add beside others
pooled     spots that bins or cells were pooled to
maps       genes as images
pixel_hash telling an image by its pixels
compat     what releases of libraries do differently, and announce of themselves
========== =====================================================================
"""
