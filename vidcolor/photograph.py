"""Photographs: grey in, color out, at their own size and depth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vidcolor.color.chroma import colorize_grey
from vidcolor.errors import OptionError, ResourceError
from vidcolor.files.suffixes import is_picture
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Predictor, largest_render_size
from vidcolor.options import ColorizeOptions
from vidcolor.stills.reader import SourcePicture, read_picture
from vidcolor.stills.writer import check_output, write_picture

__all__ = [
    "SourcePicture",
    "colorize_image",
    "colors_of",
    "is_picture",
    "picture_shown",
    "read_picture",
    "render_picture",
    "write_picture",
]

SMALLEST_RENDER_SIDE = 32
"""Smaller pictures are enlarged to this short side, since there is nothing to recognise in fewer pixels."""
LONGEST_RENDER_SIDE = 4096
"""Bounds what a very long panorama or strip of film asks of the network."""


def colorize_image(source: Path, dest: Path, *, colorizer: Predictor, options: ColorizeOptions) -> tuple[str, ...]:
    """Color one photograph. The format of ``dest`` is that of its suffix. Returns one line for each thing of note.

    What is kept, and what counts as the grey of a picture that has color, is said by
    :func:`~vidcolor.stills.reader.read_picture` and :func:`~vidcolor.stills.writer.write_picture`.
    Raises :class:`~vidcolor.errors.InputError`, :class:`~vidcolor.errors.OutputError`,
    :class:`~vidcolor.errors.ResourceError` where memory does not suffice, and :class:`~vidcolor.errors.OptionError`
    where ``options`` name a list of shots.
    """
    if options.scenes is not None:
        raise OptionError(f"--scenes: is the list of a film's shots; {source} is a picture")
    check_output(dest, source, overwrite=options.overwrite)
    picture = read_picture(source)
    ab, notes = colors_of(picture, picture_shown(picture, options.render_size), colorizer=colorizer, options=options)
    render_picture(picture, ab, dest, options=options)
    return notes


def colors_of(
    picture: SourcePicture, shown: FloatArray, *, colorizer: Predictor, options: ColorizeOptions
) -> tuple[FloatArray, tuple[str, ...]]:
    """What the network says of ``shown``, (h, w): ab (2, h, w), and a line where it saw less.

    With ``options.fit_render_size`` a picture that memory does not hold is shown smaller.

    Raises:
        ResourceError: memory does not hold it, and nothing smaller is allowed or fits either.
    """
    try:
        return colorizer.predict(shown[None])[0], ()
    except ResourceError:
        if not options.fit_render_size:
            raise
    height, width = shown.shape
    wanted = min(height, width)
    size = largest_render_size(colorizer, wanted, width / height)
    smaller = picture_shown(picture, size)
    line = f"the network sees the picture with a short side of {size} pixels instead of {wanted}: memory holds no more"
    return colorizer.predict(smaller[None])[0], (line,)


def picture_shown(picture: SourcePicture, render_size: int) -> FloatArray:
    """What the network sees: (h, w) grey levels in [0, 1] at render size, aspect kept."""
    height, width = picture.grey.shape
    h, w = _render_shape(height, width, render_size)
    if (h, w) == (height, width):
        return picture.grey
    smaller = h * w < height * width
    small = cv2.resize(picture.grey, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(small, np.float32)


def render_picture(picture: SourcePicture, ab: FloatArray, dest: Path, *, options: ColorizeOptions) -> None:
    """Write the picture with the colors ab (2, h, w), Lab units, that the network gave for :func:`picture_shown`."""
    rgb = colorize_grey(picture.grey, ab, saturation=options.saturation)
    write_picture(dest, rgb, picture, overwrite=options.overwrite)


def _render_shape(height: int, width: int, render_size: int) -> tuple[int, int]:
    short, long = min(height, width), max(height, width)
    wanted = min(render_size, max(short, SMALLEST_RENDER_SIDE))
    scale = min(wanted / short, max(LONGEST_RENDER_SIDE, render_size) / long)
    return max(1, round(height * scale)), max(1, round(width * scale))
