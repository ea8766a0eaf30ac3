"""The shots of a film as a text file that a person can read and edit: when each one begins.

A line is a time from the film's first picture, ``H:MM:SS.mmm`` or plain seconds; what stands behind ``#`` is a remark.
The first picture begins a shot whether it is listed or not. Times, not numbers of frames: they are what players show,
and they stay true for a film with a variable frame rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidcolor.errors import InputError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.paths import check_destination, is_anything
from vidcolor.frames import Frame

HEADER = "# When each shot begins, from the film's first picture. Add, move or remove lines, and use the file again.\n"
TOLERANCE = Fraction(1, 2000)  # seconds: half of the last digit that is written


@dataclass(frozen=True)
class ShotList:
    """Where the shots of a film begin.

    ``starts``: seconds from the first picture, rising. ``time_base``: of the pictures' pts. ``first_pts``: of the
    film's first picture.
    """

    starts: Sequence[Fraction]
    time_base: Fraction
    first_pts: int

    def obey(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Set ``opens_shot`` on the first frame, on the first at or after each start, and on no other."""
        waiting = [start for start in reversed(self.starts) if start > 0]
        opens_shot = True
        for frame in frames:
            now = (frame.picture.pts - self.first_pts) * self.time_base + TOLERANCE
            while waiting and waiting[-1] <= now:
                waiting.pop()
                opens_shot = True
            yield replace(frame, opens_shot=opens_shot, is_disturbed=frame.is_disturbed and not opens_shot)
            opens_shot = False


class SceneFile:
    """The list of shots that a user names: obeyed where the file is there already, else written at the end.

    Args:
        path: None: shots are found, and not written down.

    Raises:
        InputError: see :func:`read_scenes`.
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.given = read_scenes(path) if path is not None and is_anything(path) else None
        if path is not None and self.given is None:
            check_destination(path, overwrite=False)

    def shots(self, time_base: Fraction, first_pts: int) -> ShotList | None:
        """What is to be obeyed, if anything; the arguments are those of :class:`ShotList`."""
        return None if self.given is None else ShotList(self.given, time_base, first_pts)

    def finish(self, starts: Sequence[Fraction]) -> tuple[str, ...]:
        """Write down where the shots began, in seconds, unless that was given; gives back what the user should know."""
        if self.path is None:
            return ()
        if self.given is None:
            write_scenes(self.path, starts)
            return ()
        listed = len({Fraction(0), *self.given})
        return () if len(starts) == listed else (f"{self.path}: of {listed} shots {len(starts)} begin in the film",)


def read_scenes(path: Path) -> list[Fraction]:
    """The starts in a file, in seconds, sorted.

    Raises:
        InputError: it cannot be read, or a line is no time.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: expected a list of shots in UTF-8, found a file that cannot be read: {exc}") from exc
    starts = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if words:
            starts.append(_parse(words[0], f"{path}, line {number}"))
    return sorted(starts)


def write_scenes(path: Path, starts: Iterable[Fraction]) -> None:
    """Write starts, in seconds; a file that has appeared meanwhile is left as it is (OutputError)."""
    with atomic_file(path, overwrite=False) as draft:
        draft.write_text(HEADER + "".join(f"{in_words(start)}\n" for start in starts), encoding="utf-8")


def in_words(seconds: Fraction) -> str:
    """``H:MM:SS.mmm``."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"


def _parse(word: str, where: str) -> Fraction:
    try:
        if not word.isascii() or set(word) - set("0123456789:."):  # Fraction takes more: "1/3", "1e9", "1_0"
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
