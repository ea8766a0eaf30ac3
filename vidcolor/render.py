"""The render stage: from ab at render size to Cb and Cr planes in the format of the encoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidcolor.color.chroma import ab_to_chroma, fade, own_chroma, to_codes, upsample, upsample_field
from vidcolor.color.chroma_table import ChromaTable, table_for
from vidcolor.color.luma import field_luma, luma_to_grey, quarter_turns, resize_plane
from vidcolor.color.luma_weights import luma_weights
from vidcolor.color.transfer import grey_to_signal
from vidcolor.frames import ChromaFormat, FloatArray, Frame, Plane, VideoSpec
from vidcolor.motion.flow import flow_estimator, flow_to, to_levels, warp


def render(
    frames: Iterator[Frame], spec: VideoSpec, chroma: ChromaFormat, *, saturation: float
) -> Iterator[tuple[Frame, Plane, Plane]]:
    """Convert the ab of every frame to Cb and Cr planes, in the film's own matrix and range.

    Frames that keep the color that they have get their own planes, in the format of the encoder.

    Args:
        frames: with ab on every one.
        spec: of the film.
        chroma: the format of the planes.
        saturation: a factor on ab.

    Yields:
        each frame with its Cb and Cr planes.

    Raises:
        InputError: the film's matrix is not one of R'G'B' weights; before the first frame is taken.
    """
    luma_weights(spec)
    return _rendered(frames, spec, chroma, saturation)


def _rendered(
    frames: Iterator[Frame], spec: VideoSpec, chroma: ChromaFormat, saturation: float
) -> Iterator[tuple[Frame, Plane, Plane]]:
    table = table_for(spec)  # takes .3 seconds: made here, in the stage's own thread
    previous: Frame | None = None
    planes: tuple[Plane, Plane] | None = None
    for frame in frames:
        if frame.keeps_color and frame.picture.chroma is not None:
            planes = own_chroma(frame.picture.chroma, spec, chroma)
        elif planes is None or previous is None or not _repeats(frame, previous):
            planes = render_frame(frame, spec, chroma, table, saturation)
        yield frame, *planes
        previous = frame


def _repeats(frame: Frame, previous: Frame) -> bool:
    """Return whether a frame has the ab of the one before (:mod:`vidcolor.motion.duplicates`) and exactly its luma."""
    one, other = frame.picture, previous.picture
    if frame.ab is None or frame.ab is not previous.ab or previous.keeps_color or one.first_field != other.first_field:
        return False
    return np.array_equal(one.luma, other.luma)


def render_frame(
    frame: Frame, spec: VideoSpec, chroma: ChromaFormat, table: ChromaTable, saturation: float
) -> tuple[Plane, Plane]:
    """Render the Cb and Cr planes of one frame.

    Raises:
        ValueError: the frame has no ab.
    """
    if frame.ab is None:
        raise ValueError(f"expected ab on every frame, got none at {frame.picture.pts = }")
    if frame.picture.first_field is not None and chroma.height > 1:
        return _of_two_fields(frame, frame.ab, spec, chroma, table, saturation)
    luma = resize_plane(frame.picture.luma, (chroma.width, chroma.height))
    small = _small_chroma(frame.grey, frame.ab, spec, table, saturation)
    return to_codes(luma, upsample(small, spec, chroma), spec, chroma.bit_depth, table.weights)


def _of_two_fields(
    frame: Frame, ab: FloatArray, spec: VideoSpec, chroma: ChromaFormat, table: ChromaTable, saturation: float
) -> tuple[Plane, Plane]:
    """Render the Cb and Cr planes of an interlaced picture, the lines of each field from that field alone.

    ``ab`` belongs to the first field; it is warped to the second by optical flow.
    """
    picture = frame.picture
    height, width = np.rot90(frame.grey, -quarter_turns(spec)).shape
    second = luma_to_grey(field_luma(picture, second=True), (width, height), spec)
    flow = flow_to(to_levels(frame.grey), to_levels(second), flow_estimator(finest=2))
    planes = np.empty((2, chroma.height, chroma.width), np.uint8 if chroma.bit_depth <= 8 else np.uint16)
    for grey, field_ab, is_second in ((frame.grey, ab, False), (second, warp(ab, flow), True)):
        parity = int((picture.first_field == "bottom") != is_second)
        lines = planes[:, parity::2]
        luma = resize_plane(field_luma(picture, second=is_second), (chroma.width, lines.shape[1]))
        small = _small_chroma(grey, field_ab, spec, table, saturation)
        upsampled = upsample_field(small, spec, chroma, parity)
        lines[...] = to_codes(luma, upsampled, spec, chroma.bit_depth, table.weights)
    cb, cr = planes
    return cb, cr


def _small_chroma(
    grey: FloatArray, ab: FloatArray, spec: VideoSpec, table: ChromaTable, saturation: float
) -> FloatArray:
    """Convert upright ab to Cb and Cr at render size, rotated as the film is stored."""
    faded = ab * (fade(grey) * np.float32(saturation))
    upright = ab_to_chroma(grey_to_signal(grey, spec.transfer), faded, table)
    return np.rot90(upright, -quarter_turns(spec), axes=(1, 2))
