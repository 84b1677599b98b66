"""One slide, and a cohort of them, from parts in memory."""
