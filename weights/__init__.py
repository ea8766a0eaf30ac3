"""The weights that come with vidcolor, as the package ``vidcolor.default_weights``; README.md is their model card."""
