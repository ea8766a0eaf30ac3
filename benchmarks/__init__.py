"""Speed, memory and fidelity, as ratios within one run."""
