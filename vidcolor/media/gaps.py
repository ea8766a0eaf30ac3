"""Fill the places of pictures that could not be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from av.video.frame import VideoFrame

from vidcolor.media.items import Item, LostPicture


def fill_gaps(items: Iterable[Item]) -> Iterator[Item]:
    """Replace each :class:`LostPicture` with the frame before, at the lost picture's time.

    A lost picture without a frame before it is left out.
    """
    latest: VideoFrame | None = None
    duration = 0
    for item in items:
        if isinstance(item, VideoFrame):
            latest, duration = item, item.duration
        if not isinstance(item, LostPicture):
            yield item
        elif latest is not None:
            latest.pts, latest.dts, latest.duration = item.pts, None, duration
            yield latest
