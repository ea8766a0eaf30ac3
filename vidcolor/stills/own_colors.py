"""Decide whether a photograph keeps the colors that it has."""

from __future__ import annotations

from vidcolor.options import ColorizeOptions
from vidcolor.stills.reader import SourcePicture

KEPT = "has colors of its own and keeps them; `keep_color` never colors it anew"


TINT = "has one color only, which is taken for a tint and colored anew; `keep_color` always keeps it"


def keeps_color(picture: SourcePicture, options: ColorizeOptions) -> bool:
    """Return whether a picture keeps the colors that it has; negatives have none to keep."""
    return not options.negative and picture.colors.says_keep(options.keep_color)
