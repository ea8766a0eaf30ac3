"""Photographs: grey in, color out, at their own size and depth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidcolor.color.chroma import colorize_bands
from vidcolor.color.luma import at_render_size
from vidcolor.color.neutral import NetworkView
from vidcolor.errors import OptionError, ResourceError
from vidcolor.files.atomic import atomic_file
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Predictor, largest_render_size
from vidcolor.options import ColorizeOptions
from vidcolor.stills.bands import row_ranges
from vidcolor.stills.own_colors import KEPT, TINT, keeps_color
from vidcolor.stills.reader import SourcePicture, count_pages, read_colors, read_picture
from vidcolor.stills.writer import check_output, lost_metadata, write_pages, write_picture


def colorize_image(
    source: str | Path, dest: str | Path, *, colorizer: Predictor, options: ColorizeOptions = ColorizeOptions()
) -> tuple[str, ...]:
    """Color one photograph, or all pages of a TIFF.

    Args:
        source: the photograph. If it has colors of its own it is kept as it is, unless ``options`` say otherwise; see
            :func:`~vidcolor.stills.reader.read_picture` for how any other color becomes grey.
        dest: the output, in the format of its suffix; see :func:`~vidcolor.stills.writer.write_picture` for what is
            kept.
        colorizer: the network, or anything that predicts colors.
        options: how the photograph is colored.

    Returns:
        warnings, one line each.

    Raises:
        InputError: the photograph is missing or damaged.
        OutputError: the output cannot be written, or exists already.
        ResourceError: memory does not suffice.
        OptionError: ``options`` name a list of shots.
    """
    source, dest = Path(source), Path(dest)
    if options.scenes is not None:
        raise OptionError(f"`scenes`: is the list of a film's shots; {source} is a picture")
    check_output(dest, source, overwrite=options.overwrite)
    num_pages = count_pages(source)
    if num_pages > 1:
        return _colorize_pages(source, dest, num_pages, colorizer=colorizer, options=options)
    picture = read_source(source, options)
    if keeps_color(picture, options):
        return keep_picture(picture, dest, overwrite=options.overwrite)
    ab, notes = _predict(picture, colorizer, options)
    render_picture(picture, ab, dest, saturation=options.saturation, overwrite=options.overwrite)
    return (*notes, *lost_metadata(dest.suffix, picture.metadata))


def read_source(source: Path, options: ColorizeOptions, page: int | None = None) -> SourcePicture:
    """Read a photograph as :func:`~vidcolor.stills.reader.read_picture` does, and invert it if it is a negative."""
    picture = read_picture(source, page)
    if options.negative:
        return replace(picture, grey=1 - picture.grey)
    if options.keep_color == "auto" and picture.colors.is_strong_tint:
        return replace(picture, notes=(*picture.notes, TINT))
    return picture


def _colorize_pages(
    source: Path, dest: Path, num_pages: int, *, colorizer: Predictor, options: ColorizeOptions
) -> tuple[str, ...]:
    """Color all pages of a TIFF, one by one."""
    warnings: tuple[str, ...] = ()
    with write_pages(dest, source, num_pages, overwrite=options.overwrite) as writer:
        for page in range(num_pages):
            picture = read_source(source, options, page)
            if keeps_color(picture, options):
                writer.write(_color_bands(picture), picture, is_machine_colored=False)
                warnings += (f"page {page + 1}: {KEPT}",)
                continue
            ab, notes = _predict(picture, colorizer, options)
            writer.write(colorize_bands(picture.grey, ab, saturation=options.saturation), picture)
            warnings += tuple(f"page {page + 1}: {note}" for note in notes)
    return warnings


def keep_picture(picture: SourcePicture, dest: Path, *, overwrite: bool) -> tuple[str, ...]:
    """Write a picture that keeps the colors that it has: a copy of the file, or the same colors in another format.

    Returns:
        warnings, one line each.

    Raises:
        InputError: the picture cannot be read again.
        OutputError: as :func:`~vidcolor.stills.writer.write_picture`.
    """
    if dest.suffix.lower() == picture.path.suffix.lower():
        check_output(dest, picture.path, overwrite=overwrite)
        with atomic_file(dest, overwrite=overwrite) as part:
            shutil.copyfile(picture.path, part)
            shutil.copystat(picture.path, part)
        return (KEPT,)
    write_picture(dest, _color_bands(picture), picture, overwrite=overwrite, is_machine_colored=False)
    return (KEPT, *picture.notes, *lost_metadata(dest.suffix, picture.metadata))


def _color_bands(picture: SourcePicture) -> Iterator[FloatArray]:
    """Yield a picture in color in bands of rows, R'G'B' (rows, W, 3) in [0, 1]."""
    codes = read_colors(picture)
    for top, bottom in row_ranges(*picture.grey.shape):
        yield codes[top:bottom].astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


def _predict(
    picture: SourcePicture, colorizer: Predictor, options: ColorizeOptions
) -> tuple[FloatArray, tuple[str, ...]]:
    """Predict ab for a photograph, and return the warnings about it."""
    view = NetworkView.of(at_render_size(picture.grey, options.render_size))
    ab, notes = predict_colors(picture.grey, view, colorizer=colorizer, fit=options.fit_render_size)
    return ab, (*picture.notes, *notes)


def predict_colors(
    full: FloatArray, view: NetworkView, *, colorizer: Predictor, fit: bool
) -> tuple[FloatArray, tuple[str, ...]]:
    """Predict ab for a photograph.

    Args:
        full: (H, W) grey levels at full size.
        view: the same at render size.
        colorizer: the network.
        fit: let the network see a smaller picture if memory does not suffice for ``view``.

    Returns:
        ab (2, h, w), smaller with ``fit``, and a warning if it is smaller.

    Raises:
        ResourceError: memory does not suffice, also not for the smallest picture with ``fit``.
    """
    try:
        return view.neutralized(colorizer.predict(view.shown[None])[0]), ()
    except ResourceError:
        if not fit:
            raise
    height, width = view.grey.shape
    wanted = min(height, width)
    size = largest_render_size(colorizer, wanted, width / height)
    smaller = NetworkView.of(at_render_size(full, size))
    line = f"the network sees the picture with a short side of {size} pixels instead of {wanted}: memory holds no more"
    return smaller.neutralized(colorizer.predict(smaller.shown[None])[0]), (line,)


def render_picture(
    picture: SourcePicture, ab: FloatArray, dest: Path, *, saturation: float = 1.0, overwrite: bool = False
) -> None:
    """Write the picture to ``dest`` with the colors ab (2, h, w), Lab units, of any size."""
    write_picture(dest, colorize_bands(picture.grey, ab, saturation=saturation), picture, overwrite=overwrite)
