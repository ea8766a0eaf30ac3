"""Write a film to a file in segments, so that nothing finished is lost if the work ends early.

The pictures are encoded in segments, each by an encoder of its own, and each is synced to the disk before the next one
begins (:mod:`vidcolor.resume.work_folder`). At the end the segments are joined without encoding again, together with
all other streams of the source, which is read once more for those. The result depends on the source and the segments
only, not on how often the work was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from av.packet import Packet

from vidcolor.errors import OutputError
from vidcolor.frames import Frame, Picture, Plane
from vidcolor.media.containers import choose_container
from vidcolor.media.frame_encoder import FrameEncoder
from vidcolor.media.muxer import Muxer, naming_errors, rehearse_muxing
from vidcolor.media.outcomes import warnings_of
from vidcolor.media.reader import VideoReader
from vidcolor.options import EncodeOptions
from vidcolor.resume.identity import check_unchanged
from vidcolor.resume.join import check_segments, joined_packets
from vidcolor.resume.segment_file import SegmentDraft, SegmentFacts
from vidcolor.resume.segments import MAX_SEGMENT_FRAMES, Finished
from vidcolor.resume.work_folder import WorkFolder


@dataclass
class OpenSegment:
    """The segment that is being written."""

    draft: SegmentDraft
    opens_shot: bool
    frames: int = 0
    starts: list[int] = field(default_factory=list)
    """The pts of the frames that open a shot."""
    kept: list[int] = field(default_factory=list)
    """Those of shots that keep the colors that they have."""


class SegmentWriter:
    """A film in the making, in segments. All checks are made when the object is made.

    The film appears under its name when the ``with`` block ends well. After an exception finished segments are kept,
    and a note on the exception says so.

    Args:
        work: the folder of the film, with what an earlier run has finished.
        reader: the source, which is opened again at the end.
        options: how the pictures are encoded.

    Raises:
        OutputError: the film cannot be written, or cannot be continued with these settings.
        OptionError: the container, the encoder or one of its options does not exist or does not fit.
    """

    finished: Finished
    """What an earlier run has finished; writing continues with the frame after."""

    def __init__(self, work: WorkFolder, *, reader: VideoReader, options: EncodeOptions) -> None:
        self._work = work
        self._reader = reader
        self._options = options
        self._segment: OpenSegment | None = None
        self._joined_warnings: tuple[str, ...] = ()
        try:
            work.check_film()
            self._encoder = self._choose_encoder()
            self.chroma = self._encoder.chroma
            muxed = rehearse_muxing(
                work.begin_film(), reader=reader, encoder=self._encoder, audio_codec=options.audio_codec
            )
            self._outcomes = (*self._encoder.outcomes, *muxed)
            self._check_headers()
            if work.published is None:
                work.begin()
        except BaseException as exc:
            self._leave(exc)
            raise
        self.finished = work.published or work.finished()
        self._encoder.skip(self.finished.frames, reader.first.pts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc is None:
                self._finish()
        except BaseException as failure:
            self._leave(failure)
            raise
        if exc is not None:
            self._leave(exc)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing that could not be kept as it was."""
        static = (*self._work.warnings, *warnings_of(self._outcomes), *self._division_warnings())
        return tuple(dict.fromkeys((*static, *self._encoder.warnings, *self._joined_warnings)))

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each damaged part of the film that was concealed or left out; known when it is joined."""
        return self._work.errors

    @property
    def bytes_written(self) -> int:
        """The size of the film in bytes, once the ``with`` block has ended."""
        return self._work.film.path.stat().st_size

    def start_frame(self, frame: Frame) -> None:
        """Prepare to write the picture of a frame. If the frame opens a segment, the one before is finished first.

        Raises:
            OutputError: the disk is full, or the folder is gone.
            InputError: the source has changed since the work began.
        """
        if self._segment is None:
            if not frame.opens_segment:
                what = "its shots are found in other places than before"
                raise OutputError(f"{self._work.name}: cannot be continued: {what}; start anew with `overwrite`")
            self._segment = self._begin_segment(opens_shot=frame.opens_shot)
        elif frame.opens_segment and not self._encoder.shares_bits:
            self._finish_segment(self._segment, next_opens_shot=frame.opens_shot)
            self._segment = self._begin_segment(opens_shot=frame.opens_shot)
        if frame.opens_shot:
            self._segment.starts.append(frame.picture.pts)
            self._segment.kept += [frame.picture.pts] if frame.keeps_color else []

    def write(self, picture: Picture, cb: Plane, cr: Plane) -> None:
        """Encode a picture at its own time.

        Args:
            picture: that of the frame that was started.
            cb: (height, width) of :attr:`chroma`, code values of its bit depth.
            cr: the same.

        Raises:
            OutputError: the disk is full, or the encoder refuses what it is given.
        """
        assert self._segment is not None  # start_frame() comes first
        self._segment.frames += 1
        with naming_errors(self._work.name):
            packets = self._encoder.encode(picture, cb, cr)
        self._store(self._segment, packets)

    def _choose_encoder(self) -> FrameEncoder:
        spec, may_round = self._reader.spec, self._reader.source.is_stills
        format_name = choose_container(self._work.film, self._options.format)
        return FrameEncoder(self._options, spec, format_name=format_name, may_round=may_round)

    def _check_headers(self) -> None:
        for facts in self._work.segments:
            if facts.headers != self._encoder.headers.hex():
                what = f"{self._options.codec} now writes other headers than in the finished segments"
                raise OutputError(f"{self._work.name}: {what}; start anew with `overwrite`")

    def _division_warnings(self) -> Iterator[str]:
        frames = self._reader.spec.estimated_frames
        if self._encoder.shares_bits and (frames is None or frames > MAX_SEGMENT_FRAMES):
            what = f"with these settings {self._options.codec} distributes bits over the whole film"
            yield f"{what}: it is encoded as one segment, and `resume` starts from the beginning"

    def _begin_segment(self, *, opens_shot: bool) -> OpenSegment:
        self._encoder.start()
        with self._work.naming_errors():
            return OpenSegment(SegmentDraft(self._work.segment_path(len(self._work.segments))), opens_shot)

    def _store(self, segment: OpenSegment, packets: list[Packet[Any]]) -> None:
        with self._work.naming_errors():
            for packet in packets:
                segment.draft.add(packet)

    def _finish_segment(self, segment: OpenSegment, *, next_opens_shot: bool | None) -> None:
        """Encode what is held back and finish the file; ``next_opens_shot`` is None for the last segment."""
        with naming_errors(self._work.name):
            packets = self._encoder.flush()
        self._store(segment, packets)
        if len(self._reader.source.files) == 1 or next_opens_shot is None:
            check_unchanged(self._reader.source.files, self._work.identity.input)
        facts = self._facts(segment, next_opens_shot)
        with self._work.naming_errors():
            segment.draft.finish(facts)
        self._segment = None
        self._work.segments.append(facts)

    def _facts(self, segment: OpenSegment, next_opens_shot: bool | None) -> SegmentFacts:
        return SegmentFacts(
            film=self._work.identity.key,
            number=len(self._work.segments),
            frames=segment.frames,
            packets_bytes=segment.draft.packets_bytes,
            opens_shot=segment.opens_shot,
            starts=tuple(segment.starts),
            kept=tuple(segment.kept),
            delay=segment.draft.delay,
            next_opens_shot=next_opens_shot,
            headers=self._encoder.headers.hex(),
            warnings=tuple(dict.fromkeys([*self.finished.warnings, *self._reader.warnings, *self.warnings])),
            errors=self._reader.errors,
        )

    def _finish(self) -> None:
        if self._work.published is None:
            if self._segment is not None:
                self._finish_segment(self._segment, next_opens_shot=None)
            self._join()
        self._work.sync_film()
        self._work.remove()

    def _join(self) -> None:
        """Publish the film: the pictures of all segments, and everything else that the source holds."""
        check_unchanged(self._reader.source.files, self._work.identity.input)
        check_segments(self._work)
        # Opened again, because a demuxer can learn more about a source while it reads it.
        with self._reader.reopened() as reopened, self._begin_muxer(reopened) as muxer:
            muxer.join(joined_packets(self._work, self._encoder.time_base), reopened.other_packets())
            self._work.errors = tuple(dict.fromkeys((*self._reader.errors, *reopened.errors, *muxer.errors)))
        self._joined_warnings = (*warnings_of(muxer.outcomes), *muxer.warnings)

    def _begin_muxer(self, reader: VideoReader) -> Muxer:
        film, audio_codec = self._work.begin_film(), self._options.audio_codec
        return Muxer(film, reader=reader, encoder=self._encoder, audio_codec=audio_codec)

    def _leave(self, exc: BaseException) -> None:
        """Keep what is finished, and add a note on that to the exception."""
        if self._segment is not None:
            with suppress(OSError):
                self._segment.draft.discard()
        note = self._work.keep_or_remove()
        if note is not None:
            exc.add_note(note)
