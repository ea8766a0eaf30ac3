"""Choose the anchors: the frames that the network colors. The other frames get their ab from them by optical flow.

How many anchors a shot needs depends on how well its frames can be warped into each other. Where a frame cannot be
warped into one less than :data:`MIN_SPACING` frames later, the frames between become *waypoints* instead of anchors: ab
is smoothed there as on an anchor (:mod:`vidcolor.motion.smoothing`), but the network does not run on them. The direct
flow between two anchors is then replaced by shorter steps. A frame that has almost nothing in common with the one
before is an anchor whatever the distance. Measurements are in ``docs/steady.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vidcolor.frames import Frame
from vidcolor.motion.shots import Thumbnail, structure_change, thumbnail, thumbnail_flow

MIN_SPACING = 4
"""Frames from one anchor to the next where motion decides, unless :data:`NEW_SCENE_LOSS` is exceeded."""
MAX_SPACING = 16
"""Frames from one anchor to the next."""
MAX_BETWEEN_ANCHORS = 16
"""Frames between two anchors including duplicates: they are held at full size until the next anchor."""
MAX_LOSS = 0.12
"""Largest structure loss, 0 to 1, after the last anchor or waypoint is warped to a frame (:func:`structure_change`)."""
FAR = 8
"""Frames from the last anchor from which on :data:`MAX_LOSS_FAR` replaces :data:`MAX_LOSS`."""
MAX_LOSS_FAR = 0.08
"""As :data:`MAX_LOSS`, for frames far from the last anchor."""
NEW_SCENE_LOSS = 0.2
"""Structure loss, 0 to 1, of the frame that follows, above which a frame is an anchor whatever its distance."""


def mark_anchors(frames: Iterator[Frame], every: int | None) -> Iterator[Frame]:
    """Set ``is_anchor`` and ``is_waypoint`` on each frame.

    The first and the last frame of a shot are anchors, so every other frame has an anchor on both sides. A disturbed
    frame is never an anchor; the frame after it takes its place. One frame is held back.

    Args:
        frames: frames with ``opens_shot`` and ``is_disturbed`` set.
        every: frames from one anchor to the next; None: at most :data:`MAX_SPACING`, and fewer where the structure loss
            between the anchor and a frame is too large. Where that happens within :data:`MIN_SPACING` frames,
            ``is_waypoint`` is set instead of ``is_anchor``.

    Yields:
        The same frames in the same order.
    """
    spacing = every or MAX_SPACING
    estimator = thumbnail_flow()
    distance = between = 0  # from the last anchor: in frames, and in frames with their duplicates
    reference: Thumbnail | None = None  # the last anchor or waypoint
    has_waypoint = False  # since the last anchor
    frame = next(frames, None)
    while frame is not None:
        following = next(frames, None)
        closes_shot = following is None or following.opens_shot
        holds_too_many = every is None and between >= MAX_BETWEEN_ANCHORS
        is_due = frame.opens_shot or closes_shot or distance + 1 >= spacing or holds_too_many
        ends_run = False  # the reference cannot be warped to the following frame
        if (
            not is_due
            and every is None
            and following is not None
            and reference is not None
            and not following.is_disturbed
        ):
            limit = MAX_LOSS if distance + 1 < FAR else MAX_LOSS_FAR
            loss = structure_change(reference, thumbnail(following.grey), limit, estimator)
            ends_run = loss > limit
            is_due = loss > NEW_SCENE_LOSS or ((ends_run or has_waypoint) and distance + 1 >= MIN_SPACING)
        is_anchor = is_due and not frame.is_disturbed
        is_waypoint = ends_run and not is_due and not frame.is_disturbed
        if every is None and (is_anchor or is_waypoint):
            reference = thumbnail(frame.grey)
        distance = 0 if is_anchor else distance + 1
        between = (0 if is_anchor else between) + 1 + len(frame.duplicates)
        has_waypoint = not is_anchor and (has_waypoint or is_waypoint)
        yield replace(frame, is_anchor=is_anchor, is_waypoint=is_waypoint)
        frame = following
