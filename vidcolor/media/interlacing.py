"""Interlaced film: which field of a frame comes first, frames that say so, and frames made of one moment each.

A frame of interlaced film holds two moments: its even lines (the *top* field) one, its odd lines (the *bottom* field)
the other, half a frame earlier or later. libavfilter does here what PyAV has no names for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from typing import Literal, TypeVar

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from vidcolor.frames import FirstField

T = TypeVar("T")
Graphs = dict[tuple[int, int, str], Graph]
"""By width, height and pixel format."""

Deinterlacing = Literal["frame", "field"]

HEADER_ORDERS: dict[int, FirstField] = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}
"""``AVFieldOrder``: the field that is shown first."""
ORDER_CODES: dict[FirstField, int] = {"top": 2, "bottom": 3}
FIELD_CODECS = frozenset({"libx264", "mpeg2video", "mpeg4", "prores_ks", "prores", "ffv1", "rawvideo", "utvideo"})
"""Encoders that know of fields, or take every line for itself."""
SWITCHING_CODECS = frozenset({"ffv1"})
"""Encoders that say of each picture whether it is interlaced. The others say it of the film."""
ORDERING_CODECS = SWITCHING_CODECS | {"mpeg2video", "mpeg4", "prores_ks"}
"""Encoders that say of each interlaced picture which field comes first; x264 says it some pictures early or late."""
FLAGGING_CODECS = frozenset(
    {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3", "prores", "dvvideo", "ffv1"}
)
"""Codecs whose pictures say for themselves whether they are interlaced, whatever the file's header has."""


class FirstFields:
    """Says which field of a decoded frame comes first."""

    def __init__(self) -> None:
        self._graphs: Graphs = {}

    def of(self, frame: VideoFrame) -> FirstField | None:
        """None for a progressive frame."""
        if not frame.interlaced_frame:
            return None
        graph = _graph_for(self._graphs, frame, "select", "eq(interlace_type,TOPFIRST)")
        graph.push(frame)
        return "bottom" if _pulled(graph) is None else "top"


class FieldMarks:
    """Makes frames that say which of their fields comes first."""

    def __init__(self) -> None:
        self._graphs: dict[FirstField, Graphs] = {"top": {}, "bottom": {}}

    def marked(self, frame: VideoFrame, first: FirstField) -> VideoFrame:
        """A frame like this one, with as yet unwritten planes, that says so."""
        setting = "tff" if first == "top" else "bff"
        graph = _graph_for(self._graphs[first], frame, "setfield", f"mode={setting}")
        graph.push(frame)
        marked = _pulled(graph)
        assert marked is not None  # setfield gives a frame for every frame
        return marked


def deinterlaced(
    frames: Iterable[tuple[VideoFrame, T]], mode: Deinterlacing, none: T
) -> Generator[tuple[VideoFrame, T], None, None]:
    """Whole frames from interlaced ones, by libavfilter's bwdif; progressive frames pass as they are.

    What comes before the first interlaced frame never sees the filter, which does not take every pixel format.

    Args:
        frames: with what comes along with each; all have a pts, and these rise.
        mode: ``frame`` for a frame of each frame, at its time; ``field`` for a frame of each field, twice as many. Then
            the times that come out count in halves of those that went in.
        none: what comes along with the second frame of a frame.
    """
    graphs: Graphs = {}
    inside: deque[tuple[int, int, T]] = deque()  # of frames that went in: the time in halves, duration, what came along
    graph: Graph | None = None
    for frame, along in frames:
        if graph is None and not frame.interlaced_frame:
            yield _passed(frame, mode), along
            continue
        following = _graph_for(graphs, frame, "bwdif", f"mode=send_{mode}:deint=interlaced")
        if graph is not None and following is not graph:
            yield from _drained(graph, inside, mode, none)
        graph = following
        assert frame.pts is not None  # as asked for
        lasts_whole = mode == "field" and not frame.interlaced_frame
        inside.append((2 * frame.pts, frame.duration * (2 if lasts_whole else 1), along))
        graph.push(frame)
        yield from _out(graph, inside, mode, none)
    if graph is not None:
        yield from _drained(graph, inside, mode, none)


def _passed(frame: VideoFrame, mode: Deinterlacing) -> VideoFrame:
    """The frame with its times in what :func:`deinterlaced` counts in."""
    if mode == "field":
        assert frame.pts is not None  # as asked for
        frame.pts, frame.duration = 2 * frame.pts, 2 * frame.duration
    return frame


def _drained(
    graph: Graph, inside: deque[tuple[int, int, T]], mode: Deinterlacing, none: T
) -> Iterator[tuple[VideoFrame, T]]:
    graph.push(None)
    yield from _out(graph, inside, mode, none)


def _out(
    graph: Graph, inside: deque[tuple[int, int, T]], mode: Deinterlacing, none: T
) -> Iterator[tuple[VideoFrame, T]]:
    while (frame := _pulled(graph)) is not None:
        assert frame.pts is not None  # what went in had one
        while len(inside) > 1 and inside[1][0] <= frame.pts:
            inside.popleft()
        start, duration, along = inside[0]
        is_first = frame.pts == start
        if mode == "frame":
            frame.pts //= 2
        frame.duration = duration
        yield frame, along if is_first else none


def _graph_for(graphs: Graphs, frame: VideoFrame, name: str, arguments: str) -> Graph:
    """The graph of one filter for frames of this size and format."""
    key = frame.width, frame.height, frame.format.name
    if key not in graphs:
        graph = graphs[key] = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, av.time_base)
        )
        step, sink = graph.add(name, arguments), graph.add("buffersink")
        source.link_to(step)
        step.link_to(sink)
        graph.configure()
    return graphs[key]


def _pulled(graph: Graph) -> VideoFrame | None:
    """The next frame that comes out; None where another must go in before."""
    try:
        frame = graph.pull()
    except (BlockingIOError, EOFError):
        return None
    assert isinstance(frame, VideoFrame)  # the graphs are of pictures only
    return frame
