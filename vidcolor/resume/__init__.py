"""Resume films after an interruption: finished segments, the folder that holds them, and what they belong to."""
