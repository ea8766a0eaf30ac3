"""The generator stage: ab for the anchors among the frames, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vidcolor.color.borders import fill_borders
from vidcolor.color.texture import texture_factor
from vidcolor.frames import FloatArray, Frame
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import call_slots, predict_batch, round_robin


def colorize_anchors(frames: Iterator[Frame], colorizer: Predictor) -> Iterator[Frame]:
    """Set ``ab`` on the anchors among ``frames``; the other frames pass through, in order.

    Anchors that show nothing with a color (:mod:`vidcolor.color.texture`), and those of shots that keep their colors,
    get ab of 0.
    """
    batches = ((batch, anchors_of(batch)) for batch in anchor_batches(frames, colorizer))
    for batch, ab in round_robin(batches, call_slots(colorizer), call=predict_batch):
        colors = iter(ab)
        for frame in batch:
            yield with_colors(frame, next(colors)) if needs_colors(frame) else without_colors(frame)


def anchor_batches(frames: Iterator[Frame], colorizer: Predictor) -> Iterator[list[Frame]]:
    """Divide ``frames`` into lists that hold one batch of anchors each, and the frames between them.

    A shot that opens a segment begins a batch. So a film that is resumed there gets the same batches as one that is
    colored in one go, and so the same colors, to the last bit.
    """
    batch: list[Frame] = []
    anchors = 0
    for frame in frames:
        if batch and frame.opens_segment and frame.opens_shot:
            yield batch
            batch, anchors = [], 0
        batch.append(frame)
        anchors += frame.is_anchor
        if anchors >= colorizer.batch_size:
            yield batch
            batch, anchors = [], 0
    if batch:
        yield batch


def needs_colors(frame: Frame) -> bool:
    """Return whether the network colors a frame."""
    return frame.is_anchor and not frame.keeps_color


def without_colors(frame: Frame) -> Frame:
    """Return a frame that the network does not color; an anchor gets ab of 0, since its own colors are kept."""
    return replace(frame, ab=np.zeros((2, *frame.grey.shape), np.float32)) if frame.is_anchor else frame


def with_colors(frame: Frame, ab: FloatArray) -> Frame:
    """Set ``ab`` (2, h, w) on an anchor as far as the picture shows anything with a color."""
    return replace(frame, ab=ab * np.float32(texture_factor(frame.borders.inside(frame.grey))))


def anchors_of(frames: list[Frame]) -> FloatArray:
    """Return the grey of those ``frames`` that need colors, without their borders: (N, h, w), where N may be 0."""
    anchors = [fill_borders(frame.grey, frame.borders) for frame in frames if needs_colors(frame)]
    return np.stack(anchors) if anchors else np.empty((0, *frames[0].grey.shape), np.float32)
