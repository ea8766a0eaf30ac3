"""Color conversions as pure functions: Lab, Y'CbCr, gamut, transfer curves, luma."""
