"""Notice features of a film that begin after its first picture and that its copy cannot have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.media.items import Item, Note
from vidcolor.media.probe import dropped_features


def note_late_features(items: Iterable[Item], stream: VideoStream) -> Iterator[Item]:
    """Pass all items on; yield a :class:`Note` before the first frame with a feature that the first frame has not.

    Captions of a broadcast pause, for example, and are in no picture then.

    Args:
        items: the decoded frames with their times, and everything else.
        stream: the film.
    """
    assert stream.time_base is not None  # choose_video
    known: set[str] | None = None
    for item in items:
        if isinstance(item, VideoFrame):
            found = set(dropped_features(item, stream))
            for name in sorted(found - known) if known is not None else ():
                yield Note(f"the film has {name} from {float((item.pts or 0) * stream.time_base):.2f} s on, left out")
            known = found | (known or set())
        yield item
