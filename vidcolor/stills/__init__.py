"""Photographs in and out: reading, writing and color profiles."""
