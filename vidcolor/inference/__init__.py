"""Inference: load weights, prepare a network for a device, and compute ab from grey pictures in batches."""
