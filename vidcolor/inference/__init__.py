"""Networks in use: weights, arithmetic, threads and devices."""
