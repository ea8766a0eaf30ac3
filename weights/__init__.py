"""The weights that come with vidcolor; installed as ``vidcolor.default_weights``. See README.md here: the model card."""
