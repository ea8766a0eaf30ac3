"""A folder of pictures and films: which files, where to, and what becomes of each."""
