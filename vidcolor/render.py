"""The render stage: ab at render size to the Cb and Cr planes that the encoder takes, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidcolor.color.chroma import ab_to_chroma, fade, to_codes, upsample, upsample_field
from vidcolor.color.chroma_table import ChromaTable, table_for
from vidcolor.color.luma import field_luma, luma_to_grey, quarter_turns, resize_plane
from vidcolor.color.luma_weights import luma_weights
from vidcolor.color.transfer import grey_to_signal
from vidcolor.frames import ChromaFormat, FloatArray, Frame, Plane, VideoSpec
from vidcolor.motion.flow import flow_estimator, flow_to, to_levels, warp


def render(
    frames: Iterator[Frame], spec: VideoSpec, chroma: ChromaFormat, *, saturation: float
) -> Iterator[tuple[Frame, Plane, Plane]]:
    """Turn the ab of every frame into the Cb and Cr planes of ``chroma``, in the film's own matrix and range.

    ``saturation`` is a factor on ab. Raises InputError, before any frame is asked for, where the film's matrix is not
    one of R'G'B' weights.
    """
    luma_weights(spec)
    return _rendered(frames, spec, chroma, saturation)


def _rendered(
    frames: Iterator[Frame], spec: VideoSpec, chroma: ChromaFormat, saturation: float
) -> Iterator[tuple[Frame, Plane, Plane]]:
    table = table_for(spec)  # takes .3 seconds: made here, in the thread that renders, while others get ready
    previous: Frame | None = None
    planes: tuple[Plane, Plane] | None = None
    for frame in frames:
        if planes is None or previous is None or not _repeats(frame, previous):
            planes = render_frame(frame, spec, chroma, table, saturation)
        yield frame, *planes
        previous = frame


def _repeats(frame: Frame, previous: Frame) -> bool:
    """Whether a frame repeats the one before it (:mod:`vidcolor.motion.duplicates`) in every pixel."""
    one, other = frame.picture, previous.picture
    if frame.ab is None or frame.ab is not previous.ab or one.first_field != other.first_field:
        return False
    return np.array_equal(one.luma, other.luma)


def render_frame(
    frame: Frame, spec: VideoSpec, chroma: ChromaFormat, table: ChromaTable, saturation: float
) -> tuple[Plane, Plane]:
    """The Cb and Cr planes of one frame; raises ValueError where it has no ab."""
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
    """The Cb and Cr planes of an interlaced picture: each field's lines from that field alone.

    ``ab`` is that of the first field, which is what was colored; to the second it is carried along the motion.
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
    """Cb, Cr at render size, as stored, from what is upright."""
    faded = ab * (fade(grey) * np.float32(saturation))
    upright = ab_to_chroma(grey_to_signal(grey, spec.transfer), faded, table)
    return np.rot90(upright, -quarter_turns(spec), axes=(1, 2))
