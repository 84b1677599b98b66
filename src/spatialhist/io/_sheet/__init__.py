"""Sample sheets: a table that names the slides of a cohort, one a row."""
