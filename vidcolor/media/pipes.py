"""Films from and to pipes and devices, which are read and written once, without seeking.

libav reads and writes through Python callbacks, in which an exception that is not an ``Exception``, such as
``KeyboardInterrupt``, would be lost. So no callback blocks in the main thread: what is written is buffered until
:meth:`PipeOutput.flush`, and a :class:`PipeInput` is only read in other threads.
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
"""The name of standard input and output on the command line and in messages."""
POLL_SECONDS = 0.1  # after which a read that waits checks for an interruption
HEAD_BYTES = 4096  # enough for the boxes that precede the index or the pictures of an MP4
BOX_HEADER_BYTES = 8


class PipeInput:
    """A film from a pipe, a socket, a device, or a file that is redirected to standard input.

    Args:
        stream: where the bytes come from.
        name: of the stream, for messages.

    Raises:
        InputError: the stream is a terminal.
    """

    def __init__(self, stream: BinaryIO, *, name: Path = NAME) -> None:
        if stream.isatty():
            what = "standard input is a terminal" if name == NAME else "is a terminal"
            raise InputError(f"{name}: {what}; pipe a film into it, or give the name of a file")
        self.name = str(name)
        self._stream = stream
        self._descriptor = stream.fileno()
        # Windows can wait for sockets only.
        self._can_poll = os.name == "posix" and not stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._interrupted = False
        self._head = b""

    def head(self) -> bytes:
        """Return the first bytes, at most :data:`HEAD_BYTES`; :meth:`read` returns them again."""
        while len(self._head) < HEAD_BYTES and (chunk := self._read(HEAD_BYTES - len(self._head))):
            self._head += chunk
        return self._head

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes as soon as there are any; none at the end."""
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._read(size)

    def _read(self, size: int) -> bytes:
        while self._can_poll and not self._interrupted and not self._is_ready():
            pass
        return b"" if self._interrupted else os.read(self._descriptor, size)

    def _is_ready(self) -> bool:
        return bool(select.select([self._descriptor], [], [], POLL_SECONDS)[0])

    def interrupt(self) -> None:
        """End the film here: a read that waits in another thread returns no bytes, and so does every later one."""
        self._interrupted = True


def needs_seeking(head: bytes) -> bool:
    """Return whether a file with these first bytes is an MP4 or MOV with its index at the end.

    Such a file cannot be read from a pipe, because the index is needed to read the packets before it. Boxes are defined
    in ISO/IEC 14496-12, 4.2.
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
    """A pipe to another program, or a device. The container's bytes are buffered in memory until :meth:`flush`.

    Args:
        stream: where the bytes go.
        name: of the stream, for messages.

    Raises:
        OutputError: the stream is a terminal.
    """

    def __init__(self, stream: BinaryIO, *, name: Path = NAME) -> None:
        if stream.isatty():
            what = "standard output is a terminal" if name == NAME else "is a terminal"
            hint = "pipe it into a program, or name a file with `dest`"
            raise OutputError(f"{name}: {what}; {hint}")
        self.name = str(name)
        self.bytes_written = 0
        self._stream = stream
        self._buffer = BytesIO()
        self.write = self._buffer.write
        """Called by libav."""

    def flush(self) -> None:
        """Write the buffered bytes; blocks while the pipe is full.

        Raises:
            OutputError: the reading program has closed the pipe, or the disk is full (if it is redirected to a file).
        """
        remaining = memoryview(self._buffer.getvalue())
        self._buffer.seek(0)
        self._buffer.truncate()
        try:
            while remaining:
                written = os.write(self._stream.fileno(), remaining)
                self.bytes_written += written
                remaining = remaining[written:]
        except BrokenPipeError as exc:
            raise OutputError(f"{NAME}: the program that reads the pipe has closed it; the film ends there") from exc
        except OSError as exc:
            raise OutputError(f"{NAME}: writing failed ({exc.strerror})") from exc
