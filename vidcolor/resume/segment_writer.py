"""Write a film to a file in segments, so that nothing finished is lost if the work ends early.

The pictures are encoded in segments, each by an encoder of its own, and each is synced to the disk before the next one
begins (:mod:`vidcolor.resume.work_folder`). At the end the segments are joined without encoding again, together with
all other streams of the source, which is read once more for those. The result depends on the source and the segments
only, not on how often the work was interrupted.
"""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from av.packet import Packet

from vidcolor.errors import OutputError
from vidcolor.files.durable import sync_folder
from vidcolor.files.paths import check_destination
from vidcolor.frames import Frame, Picture, Plane
from vidcolor.media.destinations import FileDestination
from vidcolor.media.frame_encoder import FrameEncoder
from vidcolor.media.muxer import Muxer, naming_errors, rehearse_muxing
from vidcolor.media.outcomes import warnings_of
from vidcolor.media.reader import VideoReader
from vidcolor.options import EncodeOptions
from vidcolor.resume.identity import Identity, check_unchanged
from vidcolor.resume.segment_file import (
    DamagedSegmentError,
    SegmentDraft,
    SegmentFacts,
    decoding_times,
    presentation_times,
    read_facts,
    read_packets,
)
from vidcolor.resume.segments import MAX_SEGMENT_FRAMES, Finished
from vidcolor.resume.work_folder import WorkFolder


class SegmentWriter:
    """A film in the making, in segments. All checks are made when the object is made.

    The film appears under its name when the ``with`` block ends well. When it ends with an exception, finished segments
    are kept, and a note on the exception says so.

    Args:
        dest: the film.
        like: what it is made of, which is opened again at the end.
        identity: of the source, the settings and the weights.
        resume: go on from what an earlier run has finished.
        overwrite: replace a film that exists, and give up unfinished work unless that is to go on.

    Raises:
        OutputError: the film cannot be written, exists already, is the source itself, or is begun and not to go on; or
            it was begun with other settings.
        OptionError: the container, the encoder or one of its options does not exist or does not fit.
    """

    finished: Finished
    """What an earlier run has finished; the first frame to be written is the one after."""

    def __init__(
        self,
        dest: Path,
        *,
        like: VideoReader,
        identity: Identity,
        options: EncodeOptions,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self._dest = dest
        self._like = like
        self._identity = identity
        self._options = options
        self._overwrite = overwrite
        self._draft: SegmentDraft | None = None
        check_destination(dest, source=like.source.path, overwrite=True)  # what is there may be this very film
        self._work = WorkFolder(dest, identity, resume=resume, overwrite=overwrite)
        try:
            self._published = self._work.published() if resume else None
            check_destination(dest, overwrite=overwrite or self._published is not None)
            output = self._destination(overwrite=True)
            self._encoder = FrameEncoder(
                options, like.spec, format_name=output.format_name, may_round=like.source.is_scan
            )
            self.chroma = self._encoder.chroma
            self._outcomes = (*self._encoder.outcomes, *rehearse_muxing(output, like=like, encoder=self._encoder))
            self._joined_warnings: tuple[str, ...] = ()
            self._check_headers()
            if self._published is None:
                self._work.begin()
        except BaseException as exc:
            self._leave(exc)
            raise
        self.finished = self._published or self._work.finished()
        self._encoder.skip(self.finished.frames)

    def _destination(self, *, overwrite: bool) -> FileDestination:
        return FileDestination(
            self._dest,
            source=self._like.source.path,
            format_name=self._options.format,
            overwrite=overwrite,
            hidden_in=self._work,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing that could not be kept as it was."""
        static = (*self._work.warnings, *warnings_of(self._outcomes), *self._division_warnings())
        return tuple(dict.fromkeys((*static, *self._encoder.warnings, *self._joined_warnings)))

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each damaged part of the film that was concealed or left out; known when it is joined."""
        return self._work.errors

    def _division_warnings(self) -> Iterator[str]:
        frames = self._like.spec.estimated_frames
        if self._encoder.shares_bits and (frames is None or frames > MAX_SEGMENT_FRAMES):
            what = f"with these settings {self._options.codec} shares bits out over the whole film"
            yield f"{what}: it is encoded in one go, and `resume` cannot take it up half-way"

    def _check_headers(self) -> None:
        for facts in self._work.segments:
            if facts.headers != self._encoder.headers.hex():
                what = f"{self._options.codec} is not the same encoder any more, what it makes does not fit to"
                raise OutputError(f"{self._dest}: {what} what is finished; start anew with `overwrite`")

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

    def _leave(self, exc: BaseException) -> None:
        """Keep what is finished, and let the exception say so."""
        if self._draft is not None:
            with suppress(OSError):
                self._draft.discard()
        note = self._work.keep_or_remove()
        if note is not None:
            exc.add_note(note)

    def start_frame(self, frame: Frame) -> None:
        """Hear of the frame whose picture is written next. Where it opens a segment, what came before is finished.

        Raises:
            OutputError: the disk is full, or the folder is gone.
            InputError: the source has changed since the work began.
        """
        if self._draft is None:
            if not frame.opens_segment:
                what = "its shots are found in other places than when it was begun"
                raise OutputError(f"{self._dest}: cannot go on: {what}; start anew with `overwrite`")
            self._begin_segment(frame)
        elif frame.opens_segment and not self._encoder.shares_bits:
            self._finish_segment(next_opens_shot=frame.opens_shot)
            self._begin_segment(frame)
        if frame.opens_shot:
            self._starts.append(frame.picture.pts)

    def write(self, picture: Picture, cb: Plane, cr: Plane) -> None:
        """Encode a picture at its own time.

        Args:
            picture: the one of the frame that was turned to.
            cb, cr: (height, width) of :attr:`chroma`, code values of its depth.

        Raises:
            OutputError: the disk is full, or the encoder refuses what it is given.
        """
        self._frames += 1
        with naming_errors(str(self._dest)):
            packets = self._encoder.encode(picture, cb, cr)
        self._store(packets)

    def _begin_segment(self, frame: Frame) -> None:
        self._encoder.start()
        self._opens_shot = frame.opens_shot
        self._frames = 0
        self._starts: list[int] = []
        with self._work.naming_errors():
            self._draft = SegmentDraft(self._work.segment_path(len(self._work.segments)))

    def _store(self, packets: list[Packet[Any]]) -> None:
        assert self._draft is not None  # start_frame() comes first
        with self._work.naming_errors():
            for packet in packets:
                self._draft.add(packet)

    def _finish_segment(self, *, next_opens_shot: bool | None) -> None:
        assert self._draft is not None  # start_frame() comes first
        with naming_errors(str(self._dest)):
            packets = self._encoder.flush()
        self._store(packets)
        if len(self._like.source.files) == 1 or next_opens_shot is None:
            check_unchanged(self._like.source.files, self._identity.input)
        facts = SegmentFacts(
            film=self._identity.key,
            number=len(self._work.segments),
            frames=self._frames,
            packets_bytes=self._draft.packets_bytes,
            opens_shot=self._opens_shot,
            starts=tuple(self._starts),
            delay=self._draft.delay,
            next_opens_shot=next_opens_shot,
            headers=self._encoder.headers.hex(),
            warnings=tuple(dict.fromkeys([*self.finished.warnings, *self._like.warnings, *self.warnings])),
            errors=self._like.errors,
        )
        with self._work.naming_errors():
            self._draft.finish(facts)
        self._draft = None
        self._work.segments.append(facts)

    def _finish(self) -> None:
        if self._published is None:
            if self._draft is not None:
                self._finish_segment(next_opens_shot=None)
            self._join()
        with self._work.naming_errors():
            sync_folder(self._dest.parent)
        self._work.remove()

    def _join(self) -> None:
        """Put the segments together, with everything else that the source holds."""
        check_unchanged(self._like.source.files, self._identity.input)
        self._check_segments()
        output = self._destination(overwrite=self._overwrite)
        # Opened again, because what a source says of itself can grow while it is read.
        with self._like.reopened() as like, Muxer(output, like=like, encoder=self._encoder) as muxer:
            muxer.join(self._packets(), like.other_packets())
            self._work.errors = tuple(dict.fromkeys((*self._like.errors, *like.errors, *muxer.errors)))
        self._joined_warnings = (*warnings_of(muxer.outcomes), *muxer.warnings)

    def _check_segments(self) -> None:
        try:
            for index, facts in enumerate(self._work.segments):
                if read_facts(self._work.segment_path(index)) != facts:
                    raise DamagedSegmentError(f"{self._work.segment_path(index)}: has been replaced")
        except DamagedSegmentError as exc:
            raise OutputError(f"{exc}; the segments of {self._dest} cannot be joined") from exc
        needed = sum(facts.packets_bytes for facts in self._work.segments)
        with self._work.naming_errors():
            free = shutil.disk_usage(self._work.path).free
        if free < needed:
            what = f"joining its segments needs {needed:,} bytes beside them, the disk has {free:,} left"
            raise OutputError(f"{self._dest}: {what}; free some space")

    def _packets(self) -> Iterator[Packet[Any]]:
        """Those of all segments, with decoding times as one encoder would have given them."""
        segments = [(self._work.segment_path(index), facts) for index, facts in enumerate(self._work.segments)]
        presentation = array("q")
        for path, facts in segments:
            presentation.extend(presentation_times(path, facts))
        decoding = decoding_times(presentation, max(facts.delay for _, facts in segments))
        for path, facts in segments:
            for stored in read_packets(path, facts):
                packet: Packet[Any] = Packet(stored.payload)
                packet.pts, packet.dts, packet.duration = stored.pts, next(decoding), stored.duration
                packet.time_base = self._encoder.time_base
                packet.is_keyframe = stored.is_keyframe
                yield packet

    @property
    def bytes_written(self) -> int:
        """The size of the film, once the ``with`` block has ended."""
        return self._dest.stat().st_size
