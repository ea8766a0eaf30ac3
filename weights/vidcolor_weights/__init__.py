"""The weights that come with vidcolor, as the package ``vidcolor_weights``; README.md is their model card."""
