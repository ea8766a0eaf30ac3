"""Films as files, made so that nothing finished is lost: the twin of :class:`vidcolor.media.writer.VideoWriter`.

The pictures are encoded in segments, each by an encoder of its own, and each is safely on the disk before the next is
begun (:mod:`vidcolor.resume.work_folder`). At the end they are joined, without encoding anything twice, with all other
streams of the source, which is read once more for those. What comes out depends on the source and the segments only,
not on how often the work was interrupted.
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
from av.video.frame import VideoFrame

from vidcolor.errors import OutputError
from vidcolor.files.durable import sync_folder
from vidcolor.files.paths import check_destination
from vidcolor.frames import Frame, Picture, Plane
from vidcolor.media.reader import VideoReader
from vidcolor.media.writer import VideoWriter
from vidcolor.options import EncodeOptions
from vidcolor.resume.identity import Identity, check_unchanged
from vidcolor.resume.segment_file import (
    DamagedSegmentError,
    Facts,
    SegmentDraft,
    decoding_times,
    presentation_times,
    read_facts,
    read_packets,
)
from vidcolor.resume.segments import MAX_FRAMES, Finished
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

    warnings: list[str]
    """One line each for what could not be kept as it was."""
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
            self._muxer = self._open(like, overwrite=True)  # tells whether the film can be written; then only encodes
            self._muxer.abandon()
            self.chroma = self._muxer.chroma
            self.warnings = [*self._work.warnings, *self._muxer.warnings]
            self._is_divisible = self._note_division()
            self._check_headers()
            if self._published is None:
                self._work.begin()
        except BaseException as exc:
            self._leave(exc)
            raise
        self.finished = self._published or self._work.finished()
        self._muxer.skip(self.finished.frames)

    def _open(self, like: VideoReader, *, overwrite: bool) -> VideoWriter:
        return VideoWriter(self._dest, like=like, options=self._options, overwrite=overwrite, hidden_in=self._work)

    def _note_division(self) -> bool:
        if not self._muxer.shares_bits:
            return True
        frames = self._like.spec.estimated_frames
        if frames is None or frames > MAX_FRAMES:
            what = f"with these settings {self._options.codec} shares bits out over the whole film"
            self.warnings.append(f"{what}: it is encoded in one go, and --resume cannot take it up half-way")
        return False

    def _check_headers(self) -> None:
        for facts in self._work.segments:
            if facts.headers != self._muxer.headers.hex():
                what = f"{self._options.codec} is not the same encoder any more, what it makes does not fit to"
                raise OutputError(f"{self._dest}: {what} what is finished; start anew with --overwrite")

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

    def turn_to(self, frame: Frame) -> None:
        """Hear of the frame whose picture is written next. Where it opens a segment, what came before is finished.

        Raises:
            OutputError: the disk is full, or the folder is gone.
            InputError: the source has changed since the work began.
        """
        if self._draft is None:
            if not frame.opens_segment:
                what = "its shots are found in other places than when it was begun"
                raise OutputError(f"{self._dest}: cannot go on: {what}; start anew with --overwrite")
            self._begin_segment(frame)
        elif frame.opens_segment and self._is_divisible:
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
        self._encode(self._muxer.frame(picture, cb, cr))

    def _begin_segment(self, frame: Frame) -> None:
        self._encoder = self._muxer.new_encoder()
        self._headers = self._encoder.extradata or b""
        self._opens_shot = frame.opens_shot
        self._frames = 0
        self._starts: list[int] = []
        with self._work.naming_errors():
            self._draft = SegmentDraft(self._work.segment_path(len(self._work.segments)))

    def _encode(self, frame: VideoFrame | None) -> None:
        assert self._draft is not None  # turn_to
        with self._muxer.naming_errors():
            packets = self._encoder.encode(frame)
        with self._work.naming_errors():
            for packet in packets:
                self._draft.add(packet)

    def _finish_segment(self, *, next_opens_shot: bool | None) -> None:
        assert self._draft is not None  # turn_to
        self._encode(None)
        self._take_warnings(self._muxer)
        if len(self._like.source.files) == 1 or next_opens_shot is None:
            check_unchanged(self._like.source.files, self._identity.input)
        facts = Facts(
            film=self._identity.key,
            number=len(self._work.segments),
            frames=self._frames,
            packets_bytes=self._draft.packets_bytes,
            opens_shot=self._opens_shot,
            starts=tuple(self._starts),
            delay=self._draft.delay,
            next_opens_shot=next_opens_shot,
            headers=self._headers.hex(),
            warnings=tuple(dict.fromkeys([*self.finished.warnings, *self._like.warnings, *self.warnings])),
            errors=() if self._like.damage is None else tuple(self._like.damage.lines),
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
        # Opened again, because what a source says of itself can grow while it is read.
        with self._like.again() as like, self._open(like, overwrite=self._overwrite) as film:
            film.splice(self._packets(), like.other_packets())
            if self._like.damage is not None and like.damage is not None:
                self._like.damage.also(like.damage)
                self._work.errors = tuple(self._like.damage.lines)
        self._take_warnings(film)

    def _take_warnings(self, film: VideoWriter) -> None:
        self.warnings += [warning for warning in film.warnings if warning not in self.warnings]

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
                packet.time_base = self._muxer.time_base
                packet.is_keyframe = stored.is_keyframe
                yield packet

    @property
    def bytes_written(self) -> int:
        """The size of the film, once the ``with`` block has ended."""
        return self._dest.stat().st_size
