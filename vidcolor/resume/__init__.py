"""Unfinished films: segments, the work folder beside the output, and what they depend on."""
