"""Read and write pictures, and convert their ICC profiles."""
