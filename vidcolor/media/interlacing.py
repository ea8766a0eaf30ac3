"""Interlaced film: which field of a frame is first, frames that carry this flag, and deinterlacing.

A frame of interlaced film holds two moments: its even lines (the *top* field) one, its odd lines (the *bottom* field)
the other, half a frame earlier or later. PyAV neither reads nor writes the flag for the order of the fields, so
libavfilter does it here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import av
from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import OptionError
from vidcolor.frames import FirstField, VideoSpec
from vidcolor.media.items import Item, Jump, Note
from vidcolor.media.pixel_formats import as_planar

Graphs = dict[tuple[int, int, str], Graph]
"""By width, height and pixel format."""

Deinterlacing = Literal["frame", "field"]
"""One picture for each frame, or one for each field, at twice the rate."""

HEADER_ORDERS: dict[int, FirstField] = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}
"""``AVFieldOrder``: the field that is shown first."""
ORDER_CODES: dict[FirstField, int] = {"top": 2, "bottom": 3}
FIELD_CODECS = frozenset({"libx264", "mpeg2video", "mpeg4", "prores_ks", "prores", "ffv1", "rawvideo", "utvideo"})
"""Encoders that support fields, or encode every line by itself."""
SWITCHING_CODECS = frozenset({"ffv1"})
"""Encoders that store for each picture whether it is interlaced. The others store it for the whole film."""
ORDERING_CODECS = SWITCHING_CODECS | {"mpeg2video", "mpeg4", "prores_ks"}
"""Encoders that store for each interlaced picture which field is first; x264 changes it some pictures early or late."""
FLAGGING_CODECS = frozenset(
    {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3", "prores", "dvvideo", "ffv1"}
)
"""Codecs that store for each picture whether it is interlaced; for these the container's field order is not used."""


class FirstFields:
    """Reads the flag for the order of the fields from decoded frames."""

    def __init__(self) -> None:
        self._graphs: Graphs = {}

    def of(self, frame: VideoFrame) -> FirstField | None:
        """Return the field that is first; None for a progressive frame."""
        if not frame.interlaced_frame:
            return None
        graph = _graph_for(self._graphs, frame, "select", "eq(interlace_type,TOPFIRST)")
        graph.push(frame)
        return "bottom" if _pulled(graph) is None else "top"


class FieldMarks:
    """Makes frames with the flag for the order of the fields."""

    def __init__(self) -> None:
        self._graphs: dict[FirstField, Graphs] = {"top": {}, "bottom": {}}

    def marked(self, frame: VideoFrame, first: FirstField) -> VideoFrame:
        """Return an interlaced frame with the planes and times of this one; its planes may be written to."""
        setting = "tff" if first == "top" else "bff"
        graph = _graph_for(self._graphs[first], frame, "setfield", f"mode={setting}")
        graph.push(frame)
        marked = _pulled(graph)
        assert marked is not None  # setfield gives a frame for every frame
        return marked


def header_field(stream: VideoStream) -> FirstField | None:
    """Return the field that is first according to the container or the codec's header; None: unknown or progressive."""
    return HEADER_ORDERS.get(stream.codec_context.field_order)


def has_flags(stream: VideoStream) -> bool:
    """Return whether the frames of this codec carry a flag for the order of their fields."""
    return stream.codec_context.codec.canonical_name in FLAGGING_CODECS


MAX_DENOMINATOR = 2**31 - 1  # libav keeps the numbers of a time base in a C int


def deinterlaced_spec(spec: VideoSpec, mode: Deinterlacing) -> VideoSpec:
    """Return the constants of a film after :func:`deinterlace`.

    A film whose first picture is progressive keeps its rate: it has interlaced parts at most.

    Raises:
        OptionError: libav cannot count in half the film's units of time.
    """
    if mode == "frame":
        return replace(spec, first_field=None)
    if (spec.time_base / 2).denominator > MAX_DENOMINATOR:
        unit = f"the film counts time in units of {spec.time_base} s, which cannot be halved"
        raise OptionError(f"`deinterlace` field: {unit}; use `deinterlace` frame")
    halved = replace(spec, first_field=None, time_base=spec.time_base / 2)
    if spec.first_field is None:
        return halved
    return replace(
        halved,
        frame_rate=spec.frame_rate and 2 * spec.frame_rate,
        estimated_frames=spec.estimated_frames and 2 * spec.estimated_frames,
    )


def deinterlace(items: Iterable[Item], mode: Deinterlacing, first: FirstField | None) -> Iterator[Item]:
    """Replace interlaced frames with progressive ones (libavfilter's bwdif); progressive frames are passed on.

    Frames before the first interlaced one do not go through the filter, which does not take every pixel format.

    Args:
        items: the decoded frames, with increasing pts, and everything else.
        mode: ``frame`` for one picture of each frame, at its time; ``field`` for one of each field. Then the unit of
            all times is halved.
        first: the field that is first in frames of a codec without flags; None: the frames carry the flag.
    """
    marks = FieldMarks()
    bwdif: _Bwdif | None = None
    is_progressive = True
    before: list[Item] = []  # what precedes the next frame, and comes out with it
    for item in items:
        if isinstance(item, Note):
            yield item
        elif not isinstance(item, VideoFrame):
            if isinstance(item, Jump) and bwdif is not None:
                yield from bwdif.drain()
                bwdif = None
            before.append(item)
        else:
            frame = as_planar(item if first is None else marks.marked(item, first))  # else libavfilter would convert it
            is_progressive = is_progressive and not frame.interlaced_frame
            if bwdif is not None and not bwdif.takes(frame):
                yield from bwdif.drain()
                bwdif = None
            if bwdif is None and frame.interlaced_frame:
                bwdif = _Bwdif(frame, mode)
            yield from _passed(frame, mode, before) if bwdif is None else bwdif.push(frame, before)
            before = []
    if bwdif is not None:
        yield from bwdif.drain()
    yield from before
    if is_progressive:
        yield Note("the film is progressive: there is nothing to deinterlace")


def _passed(frame: VideoFrame, mode: Deinterlacing, before: list[Item]) -> Iterator[Item]:
    """Yield a progressive frame, with its times in the units of :func:`deinterlace`."""
    yield from before
    if mode == "field":
        assert frame.pts is not None  # repair_timestamps
        frame.pts, frame.duration = 2 * frame.pts, 2 * frame.duration
    yield frame


class _Bwdif:
    """The filter, for frames of one size and format. It holds back one frame."""

    def __init__(self, like: VideoFrame, mode: Deinterlacing) -> None:
        self._mode = mode
        self._format = _format_of(like)
        try:
            self._graph = _new_graph(like, "bwdif", f"mode=send_{mode}:deint=interlaced")
        except FFmpegError as exc:
            what = f"pictures of {like.width}×{like.height} in {like.format.name}"
            raise OptionError(f"`deinterlace`: libav's bwdif takes no {what}; leave it out") from exc
        self._inside: deque[tuple[int, int, list[Item]]] = deque()  # of each frame: time in halves, duration, before

    def takes(self, frame: VideoFrame) -> bool:
        """Return whether a frame has the size and format of this filter."""
        return _format_of(frame) == self._format

    def push(self, frame: VideoFrame, before: list[Item]) -> Iterator[Item]:
        """Put a frame in; yield the frames that come out, each with the items that preceded it."""
        assert frame.pts is not None  # repair_timestamps
        lasts_whole = self._mode == "field" and not frame.interlaced_frame
        self._inside.append((2 * frame.pts, frame.duration * (2 if lasts_whole else 1), before))
        self._graph.push(frame)
        yield from self._out()

    def drain(self) -> Iterator[Item]:
        """Yield what the filter holds back; it takes no more frames then."""
        self._graph.push(None)
        yield from self._out()

    def _out(self) -> Iterator[Item]:
        while (frame := _pulled(self._graph)) is not None:
            assert frame.pts is not None  # as that of the frame that went in
            while len(self._inside) > 1 and self._inside[1][0] <= frame.pts:
                self._inside.popleft()
            start, duration, before = self._inside[0]
            if frame.pts == start:
                yield from before
            if self._mode == "frame":
                frame.pts //= 2
            frame.duration = duration
            yield frame


def _graph_for(graphs: Graphs, frame: VideoFrame, name: str, arguments: str) -> Graph:
    """Return the graph of one filter for frames of this size and format; make it if need be."""
    key = _format_of(frame)
    if key not in graphs:
        graphs[key] = _new_graph(frame, name, arguments)
    return graphs[key]


def _format_of(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _new_graph(like: VideoFrame, name: str, arguments: str) -> Graph:
    graph = Graph()
    time_base = Fraction(1, av.time_base)
    source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=time_base)
    step, sink = graph.add(name, arguments), graph.add("buffersink")
    source.link_to(step)
    step.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> VideoFrame | None:
    """Return the next frame that comes out; None where another must go in before."""
    try:
        frame = graph.pull()
    except (BlockingIOError, EOFError):
        return None
    assert isinstance(frame, VideoFrame)  # the graphs are for pictures only
    return frame
