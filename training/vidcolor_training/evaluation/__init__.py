"""Measure colors of stills and clips, beside the rows "grey" and "truth"."""
