"""Read and write the list of shots of a film: a text file, editable by hand, with the time at which each shot starts.

A line is a time from the film's first picture, ``H:MM:SS.mmm`` or plain seconds; text after ``#`` is a comment. The
first picture starts a shot whether it is listed or not. The list holds times rather than frame numbers because players
show times, and because they stay valid for a film with a variable frame rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidcolor.errors import InputError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.paths import check_destination, path_exists
from vidcolor.frames import Frame

HEADER = "# When each shot begins, from the film's first picture. Add, move or remove lines, and use the file again.\n"
TIME_TOLERANCE = Fraction(1, 2000)
"""Seconds: half of the last digit that is written."""


@dataclass(frozen=True)
class ShotList:
    """The times at which the shots of a film start."""

    starts: Sequence[Fraction]
    """Seconds from the first picture, ascending."""
    time_base: Fraction
    """Seconds per unit of the pictures' pts."""
    first_pts: int
    """The pts of the film's first picture."""

    def apply(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Set ``opens_shot`` on the first frame and on the first one at or after each start; clear it on all others.

        A frame that opens a shot is not disturbed.
        """
        waiting = [start for start in reversed(self.starts) if start > 0]
        opens_shot = True
        for frame in frames:
            now = (frame.picture.pts - self.first_pts) * self.time_base + TIME_TOLERANCE
            while waiting and waiting[-1] <= now:
                waiting.pop()
                opens_shot = True
            yield replace(frame, opens_shot=opens_shot, is_disturbed=frame.is_disturbed and not opens_shot)
            opens_shot = False


class SceneFile:
    """The list of shots that the user names: read if the file exists, otherwise written when the film is finished.

    Args:
        path: of the list; None: shots are detected and not written.

    Raises:
        InputError: the file is not a list of shots (:func:`read_scenes`).
        OutputError: the file cannot be created.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self.given = read_scenes(self.path) if self.path is not None and path_exists(self.path) else None
        if self.path is not None and self.given is None:
            check_destination(self.path, overwrite=False)

    def shots(self, time_base: Fraction, first_pts: int) -> ShotList | None:
        """Return the shots that the file lists, or None where there is no file to read.

        Args:
            time_base: seconds per unit of the pictures' pts.
            first_pts: the pts of the film's first picture.
        """
        return None if self.given is None else ShotList(self.given, time_base, first_pts)

    def finish(self, starts: Sequence[Fraction]) -> tuple[str, ...]:
        """Write the list of shots, unless it was read.

        Args:
            starts: the times at which the shots of the film started, in seconds.

        Returns:
            Warnings: a line if some of the listed shots do not start within the film.

        Raises:
            OutputError: the file cannot be written, or exists by now.
        """
        if self.path is None:
            return ()
        if self.given is None:
            write_scenes(self.path, starts)
            return ()
        listed = len({Fraction(0), *self.given})
        return () if len(starts) == listed else (f"{self.path}: of {listed} shots {len(starts)} begin in the film",)


def read_scenes(path: Path) -> list[Fraction]:
    """Read the times in a file: seconds, sorted.

    Raises:
        InputError: the file cannot be read, or a line is not a time.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: expected a list of shots in UTF-8, found a file that cannot be read: {exc}") from exc
    starts = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if words:
            starts.append(_parse_time(words[0], f"{path}, line {number}"))
    return sorted(starts)


def write_scenes(path: Path, starts: Iterable[Fraction]) -> None:
    """Write the start times, in seconds, to a new file.

    Raises:
        OutputError: the file cannot be written, or exists by now; an existing file is left as it is.
    """
    with atomic_file(path, overwrite=False) as draft:
        draft.write_text(HEADER + "".join(f"{format_time(start)}\n" for start in starts), encoding="utf-8")


def format_time(seconds: Fraction) -> str:
    """Format seconds as ``H:MM:SS.mmm``."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"


def _parse_time(word: str, where: str) -> Fraction:
    """Parse ``H:MM:SS.mmm``, ``MM:SS.mmm`` or seconds; ``where`` begins the message of the InputError."""
    try:
        if not word.isascii() or set(word) - set("0123456789:."):  # Fraction accepts more: "1/3", "1e9", "1_0"
            raise ValueError
        parts = [Fraction(part) for part in word.split(":")]
        if len(parts) > 3 or any(part >= 60 for part in parts[1:]) or any(p.denominator > 1 for p in parts[:-1]):
            raise ValueError
    except ValueError:
        raise InputError(f"{where}: expected a time such as 0:01:23.456 or 83.456, found {word!r}") from None
    seconds = Fraction(0)
    for part in parts:
        seconds = seconds * 60 + part
    return seconds
