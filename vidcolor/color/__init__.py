"""Color conversion: CIE Lab, Y'CbCr, gamut, transfer functions, and luma at render size. Pure functions."""
