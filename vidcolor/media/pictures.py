"""Make pictures of decoded frames: their luma and chroma, and the packets of other streams that precede them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from vidcolor.frames import FirstField, Picture, Plane, VideoSpec
from vidcolor.media.cropping import NO_CROP, Crop
from vidcolor.media.damage import UnreadableError
from vidcolor.media.interlacing import FirstFields
from vidcolor.media.items import Item, Jump, Note
from vidcolor.media.packet_store import PacketStore
from vidcolor.media.pixel_formats import LumaLayout, luma_layout, read_planes


def make_pictures(
    items: Iterable[Item], spec: VideoSpec, *, has_fields: bool, first: FirstField | None, crop: Crop = NO_CROP
) -> Iterator[Picture | PacketStore | Note | Jump]:
    """Replace every frame, and the packets of other streams before it, with a :class:`~vidcolor.frames.Picture`.

    Packets that follow the last frame are yielded at the end, in one store.

    Args:
        items: the decoded frames, with increasing pts, and everything else.
        spec: the constants of the film.
        has_fields: whether frames can be interlaced. After bwdif they are not, though some still carry the flag.
        first: the field that is first in frames of a codec without flags; None: the frames carry the flag.
        crop: the edges of the frames that are cut off; ``spec`` has the size without them.

    Raises:
        UnreadableError: a frame differs from ``spec`` in size or bit depth, or its luma cannot be converted.
    """
    first_fields = FirstFields()
    layouts: dict[str, LumaLayout] = {}  # by pixel format
    packets = PacketStore()
    for item in items:
        if isinstance(item, Packet):
            packets.add(item)
        elif isinstance(item, VideoFrame):
            assert item.pts is not None  # repair_timestamps
            if item.format.name not in layouts:
                layouts[item.format.name] = luma_layout(item.format)
            luma, chroma = _planes(item, layouts[item.format.name], spec, crop)
            first_field = (first_fields.of(item) or first) if has_fields else None
            if first_field is not None and crop.top % 2:
                first_field = "bottom" if first_field == "top" else "top"
            yield Picture(item.pts, item.duration, luma, chroma, packets, first_field)
            packets = PacketStore()
        elif isinstance(item, Note | Jump):
            yield item
    yield packets


def _planes(
    frame: VideoFrame, layout: LumaLayout, spec: VideoSpec, crop: Crop
) -> tuple[Plane, tuple[Plane, Plane] | None]:
    shown = crop.size_of(frame.width, frame.height)
    if shown != (spec.width, spec.height):
        raise _changed(frame, spec, f"{spec.width}×{spec.height}", "×".join(map(str, shown)))
    if layout.bit_depth != spec.bit_depth:
        raise _changed(frame, spec, f"{spec.bit_depth}", f"{layout.bit_depth} bits")
    try:
        luma, chroma = read_planes(frame, layout)
    except av.FFmpegError as exc:
        raise UnreadableError(f"the pixel format {frame.format.name} cannot be converted") from exc
    if chroma is None:
        return crop.apply(luma), None
    cb, cr = (crop.apply_to_color(plane, luma.shape) for plane in chroma)
    return crop.apply(luma), (cb, cr)


def _changed(frame: VideoFrame, spec: VideoSpec, expected: str, found: str) -> UnreadableError:
    seconds = float((frame.pts or 0) * spec.time_base)
    what = f"the picture changes from {expected} to {found} after {seconds:.2f} s"
    return UnreadableError(f"{what}; cut the film there, color the parts")
