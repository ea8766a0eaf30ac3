"""Networks with published parameters: their classes, reading their files, downloading them."""
