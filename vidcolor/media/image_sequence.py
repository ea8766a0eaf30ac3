"""Numbered pictures: ``scan_%06d.png`` stands for ``scan_000001.png``, ``scan_000002.png`` and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from vidcolor.errors import InputError, OutputError
from vidcolor.files.paths import is_folder, path_exists

DEFAULT_RATE = Fraction(25)
"""Frames per second of numbered pictures, as in ffmpeg."""
SUFFIXES = frozenset((
    ".bmp", ".dpx", ".exr", ".j2k", ".jp2", ".jpeg", ".jpg", ".pam", ".pbm", ".pgm", ".pgx", ".png", ".pnm", ".ppm",
    ".sgi", ".tga", ".tif", ".tiff", ".webp", ".xwd",
))  # fmt: skip
"""Pictures that libav knows by their suffix and reads one by one."""
GAPS_NAMED = 4  # in a warning; the others are counted

_FIELD = re.compile(r"%(0?\d{0,2})d")


@dataclass(frozen=True)
class PicturePattern:
    """The name of numbered pictures, of which the last part holds the number."""

    path: Path
    """With ``%d`` or ``%06d``."""
    before: str
    digits: int
    """The least number of them; shorter numbers are filled up with zeros."""
    after: str

    @classmethod
    def parse(cls, path: Path) -> PicturePattern | None:
        """None where the name has no such field, more than one, or not the suffix of a picture."""
        fields = list(_FIELD.finditer(path.name))
        if len(fields) != 1 or path.suffix.lower() not in SUFFIXES:
            return None
        start, end = fields[0].span()
        return cls(path, path.name[:start], int(fields[0][1] or 0), path.name[end:])

    def file(self, number: int) -> Path:
        """The picture of this number."""
        return self.path.with_name(f"{self.before}{number:0{self.digits}d}{self.after}")

    def numbers(self) -> list[int]:
        """The numbers of the pictures that are there, from the lowest.

        Raises:
            InputError: the folder cannot be looked into.
        """
        found = re.compile(f"{re.escape(self.before)}([0-9]+){re.escape(self.after)}")
        try:
            matches = [match for entry in self.path.parent.iterdir() if (match := found.fullmatch(entry.name))]
        except OSError as exc:
            raise InputError(f"{self.path}: its folder cannot be looked into ({exc.strerror})") from exc
        # scan_12.png is none of scan_%06d.png.
        return sorted(int(match[1]) for match in matches if match[1] == f"{int(match[1]):0{self.digits}d}")


@dataclass(frozen=True)
class PictureSequence:
    """Numbered pictures that are there, as a film: a picture's number says when it is shown."""

    pattern: PicturePattern
    numbers: tuple[int, ...]
    """At least one, rising."""
    rate: Fraction
    """Numbers per second."""

    @classmethod
    def find(cls, pattern: PicturePattern, rate: Fraction = DEFAULT_RATE) -> PictureSequence:
        """The pictures that a pattern stands for.

        Raises:
            InputError: there are none.
        """
        numbers = tuple(pattern.numbers())
        if not numbers:
            example = pattern.file(1).name
            raise InputError(f"{pattern.path}: no such pictures; expected some that are named like {example}")
        return cls(pattern, numbers, rate)

    def gaps(self) -> list[tuple[int, int]]:
        """First and last of the missing numbers, for every gap."""
        return [(one + 1, other - 1) for one, other in pairwise(self.numbers) if other > one + 1]

    def warnings(self) -> list[str]:
        """One line where numbers are missing."""
        gaps = self.gaps()
        if not gaps:
            return []
        missing = sum(last - first + 1 for first, last in gaps)
        named = [f"{first}" if first == last else f"{first} to {last}" for first, last in gaps[:GAPS_NAMED]]
        more = ["..."] if len(gaps) > GAPS_NAMED else []
        what = f"{missing} of the numbers are missing ({', '.join(named + more)})"
        return [f"{self.pattern.path}: {what}; the picture before stays until the next"]


def check_numbered(pattern: PicturePattern, *, first: int, overwrite: bool) -> None:
    """Say before any work is done why pictures from number ``first`` on cannot be written.

    Raises:
        OutputError: the folder does not exist, or (without ``overwrite``) one of them is there already.
    """
    if not is_folder(pattern.path.parent):
        raise OutputError(f"{pattern.path}: its folder does not exist; create it first")
    if overwrite:
        return
    for number in pattern.numbers():
        if number >= first:
            hint = "choose another name, or replace them with `overwrite`"
            raise OutputError(f"{pattern.file(number)}: exists already, and pictures from {first} on follow; {hint}")


def given_pattern(path: Path) -> PicturePattern | None:
    """The pattern that a source's name is, unless a file is really called so."""
    return None if path_exists(path) else PicturePattern.parse(path)
