"""Pictures and films to training batches: decoding, cropping, degradation, hints, cached features."""
