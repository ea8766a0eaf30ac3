"""Standard input and output as films: read and written once, from beginning to end, without a way back.

libav asks for bytes and hands them over by calling back into Python, where an exception that is not an ``Exception``,
such as that of Ctrl-C, would be lost. So nothing waits in a call back where the main thread may be: what is written
waits in memory for :meth:`PipeOutput.flush`, and :class:`PipeInput` is read in other threads only.
"""

from __future__ import annotations

import os
import select
import stat
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from vidcolor.errors import InputError, OutputError

NAME = Path("-")
"""What messages call a pipe: the name that was typed."""
POLL_SECONDS = 0.1  # how soon a read that waits notices an interruption
HEAD_BYTES = 4096  # enough for the boxes that stand before the index or the pictures of an MP4
BOX_HEADER_BYTES = 8


class PipeInput:
    """A film that comes through a pipe (or a socket, or from a file that is read like one).

    Raises :class:`InputError` where nothing can come: nobody has connected anything, or it is a terminal.
    """

    def __init__(self, stream: BinaryIO) -> None:
        if stream.isatty():
            raise InputError(f"{NAME}: standard input is a terminal; pipe a film into it, or give the name of a file")
        self.name = str(NAME)
        self._stream = stream
        self._descriptor = stream.fileno()
        # Windows can wait for sockets only.
        self._waits = os.name == "posix" and not stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._interrupted = False
        self._head = b""

    def head(self) -> bytes:
        """The first bytes, up to ``HEAD_BYTES``; they are read again by :meth:`read`."""
        while len(self._head) < HEAD_BYTES and (more := self._read(HEAD_BYTES - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, as soon as there are any; none at the end."""
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._read(size)

    def _read(self, size: int) -> bytes:
        while self._waits and not self._interrupted and not self._is_ready():
            pass
        return b"" if self._interrupted else os.read(self._descriptor, size)

    def _is_ready(self) -> bool:
        return bool(select.select([self._descriptor], [], [], POLL_SECONDS)[0])

    def interrupt(self) -> None:
        """End the film here: a read that waits in another thread, and every later one, finds nothing more."""
        self._interrupted = True


def needs_seeking(head: bytes) -> bool:
    """Whether these are the first bytes of an MP4 or MOV whose index comes after the pictures (ISO/IEC 14496-12, 4.2).

    Such a file cannot be read from a pipe, because what the bytes mean is said after they have gone by.
    """
    position = 0
    while position + BOX_HEADER_BYTES <= len(head):
        size, kind = int.from_bytes(head[position : position + 4]), head[position + 4 : position + 8]
        if kind == b"mdat":
            return True
        if kind not in {b"ftyp", b"free", b"skip", b"wide", b"uuid"} or size < BOX_HEADER_BYTES:
            return False
        position += size
    return False


class PipeOutput:
    """Where a film goes that is read by another program. Its container's bytes wait in memory until :meth:`flush`.

    Raises :class:`OutputError` where it is a terminal.
    """

    def __init__(self, stream: BinaryIO) -> None:
        if stream.isatty():
            raise OutputError(f"{NAME}: standard output is a terminal; pipe it into a program, or name a file with -o")
        self.name = str(NAME)
        self.bytes_written = 0
        self._stream = stream
        self._waiting = BytesIO()
        self.write = self._waiting.write
        """For the container."""

    def flush(self) -> None:
        """Hand on what was written; waits for the reader of the pipe.

        Raises:
            OutputError: the reader has gone, or (where it is a file after all) the disk is full.
        """
        waiting = memoryview(self._waiting.getvalue())
        self._waiting.seek(0)
        self._waiting.truncate()
        try:
            while waiting:
                written = os.write(self._stream.fileno(), waiting)
                self.bytes_written += written
                waiting = waiting[written:]
        except BrokenPipeError as exc:
            raise OutputError(f"{NAME}: the program that reads the pipe has closed it; the film ends there") from exc
        except OSError as exc:
            raise OutputError(f"{NAME}: writing failed ({exc.strerror})") from exc
