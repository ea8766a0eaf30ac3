"""Estimate how long a film takes from how long a few short pieces of it took.

The time of the pieces is not simply multiplied. Each piece begins and ends with frames that the network colors, of
which a film has fewer. The first frame waits for every stage, and the last ones for the encoder, once in a film as in
its pieces. In between, a film takes as long as its slowest stage, or as all stages together where they share few cores.
"""

from __future__ import annotations

from vidcolor.progress import Report

NETWORK_STAGE = "generator"


def estimate_seconds(pieces: Report, *, openings: int, frames: int, shots: int, cores: int) -> float:
    """Return the seconds that a film is likely to take.

    Args:
        pieces: the result of coloring the pieces.
        openings: how many of their frames begin a piece or a shot.
        frames: of the film.
        shots: of the film.
        cores: how many the stages share.
    """
    growth = frames / pieces.frames
    anchors = shots + max(pieces.anchors - openings, 0) * growth
    anchor_growth = anchors / max(pieces.anchors, 1)
    busy = [stage.busy_seconds * (anchor_growth if stage.name == NETWORK_STAGE else growth) for stage in pieces.stages]
    once = (pieces.first_frame_seconds or 0.0) + pieces.seconds - pieces.last_frame_seconds
    return once + max(*busy, sum(busy) / cores)
