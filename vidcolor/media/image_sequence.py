"""Numbered pictures: the pattern ``scan_%06d.png`` names ``scan_000001.png``, ``scan_000002.png`` and so on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from vidcolor.errors import InputError, OutputError
from vidcolor.files.paths import is_folder, path_exists

FIRST_NUMBER = 1  # of the pictures of a film, as in ffmpeg
DEFAULT_RATE = Fraction(25)
"""Frames per second of numbered pictures, as in ffmpeg."""
NETPBM = {".pam", ".pbm", ".pgm", ".pnm", ".ppm"}
JPEG = {".jpg", ".jpeg", ".j2k", ".jp2", ".pgx"}
DPX_TRANSFER = 801
"""Position of the transfer characteristic of the first element (SMPTE ST 268-1)."""
LOGARITHMIC = (1, 3)
"""Transfer characteristics: printing density, logarithmic."""
SUFFIXES = frozenset(NETPBM | JPEG | {".bmp", ".dpx", ".exr", ".png", ".sgi", ".tga", ".tif", ".tiff", ".webp", ".xwd"})
"""Suffixes of pictures that libav reads one by one."""
MAX_NAMED_GAPS = 4  # in a warning

_FIELD = re.compile(r"%(0?\d{0,2})d")


@dataclass(frozen=True)
class PicturePattern:
    """A path whose last component has a field for the number."""

    path: Path
    """With ``%d`` or ``%06d``."""
    before: str
    digits: int
    """The minimum number of digits; shorter numbers are padded with zeros."""
    after: str

    @classmethod
    def parse(cls, path: Path) -> PicturePattern | None:
        """Parse a path; return None if its name does not have exactly one field and the suffix of a picture."""
        fields = list(_FIELD.finditer(path.name))
        if len(fields) != 1 or path.suffix.lower() not in SUFFIXES:
            return None
        start, end = fields[0].span()
        return cls(path, path.name[:start], int(fields[0][1] or 0), path.name[end:])

    def file(self, number: int) -> Path:
        """Return the path of one picture."""
        return self.path.with_name(f"{self.before}{number:0{self.digits}d}{self.after}")

    def numbers(self) -> list[int]:
        """Return the numbers of the existing pictures in ascending order.

        Raises:
            InputError: the folder cannot be read.
        """
        found = re.compile(f"{re.escape(self.before)}([0-9]+){re.escape(self.after)}")
        try:
            matches = [match for entry in self.path.parent.iterdir() if (match := found.fullmatch(entry.name))]
        except OSError as exc:
            raise InputError(f"{self.path}: its folder cannot be read ({exc.strerror})") from exc
        # scan_12.png does not belong to scan_%06d.png.
        return sorted(int(match[1]) for match in matches if match[1] == f"{int(match[1]):0{self.digits}d}")


@dataclass(frozen=True)
class PictureSequence:
    """Existing numbered pictures as a film: the number of a picture is its time."""

    pattern: PicturePattern
    numbers: tuple[int, ...]
    """At least one, in ascending order."""
    rate: Fraction
    """Numbers per second."""

    @classmethod
    def find(cls, pattern: PicturePattern, rate: Fraction = DEFAULT_RATE) -> PictureSequence:
        """Return the pictures that match a pattern.

        Raises:
            InputError: there are none.
        """
        numbers = tuple(pattern.numbers())
        if not numbers:
            example = pattern.file(1).name
            raise InputError(f"{pattern.path}: no such pictures; expected some that are named like {example}")
        return cls(pattern, numbers, rate)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the first and the last missing number of every gap."""
        return [(one + 1, other - 1) for one, other in pairwise(self.numbers) if other > one + 1]

    def warnings(self) -> list[str]:
        """Return one line if numbers are missing, and one if the first picture is logarithmic."""
        return [*self._gap_warning(), *self._log_warning()]

    def _log_warning(self) -> Iterator[str]:
        """Yield a line if the pictures are DPX of film density, which libav reads as if it were gamma-encoded."""
        first = self.pattern.file(self.numbers[0])
        try:
            with first.open("rb") as file:
                header = file.read(DPX_TRANSFER + 1)
        except OSError:
            return  # which is told when the picture is read
        is_dpx = header.startswith((b"SDPX", b"XPDS")) and len(header) > DPX_TRANSFER
        if is_dpx and header[DPX_TRANSFER] in LOGARITHMIC:
            yield f"{first}: is logarithmic (film density), and looks flat; convert the pictures to display gamma first"

    def _gap_warning(self) -> list[str]:
        gaps = self.gaps()
        if not gaps:
            return []
        missing = sum(last - first + 1 for first, last in gaps)
        named = [f"{first}" if first == last else f"{first} to {last}" for first, last in gaps[:MAX_NAMED_GAPS]]
        more = ["..."] if len(gaps) > MAX_NAMED_GAPS else []
        what = f"{missing} of the numbers are missing ({', '.join(named + more)})"
        return [f"{self.pattern.path}: {what}; the picture before stays until the next"]


def check_numbered(pattern: PicturePattern, *, first: int, overwrite: bool) -> None:
    """Check whether pictures from number ``first`` on can be written.

    Raises:
        OutputError: the folder does not exist, or (without ``overwrite``) one of them exists already.
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
    """Return the pattern that a source's path is; None if it is none, or if a file has this very name."""
    return None if path_exists(path) else PicturePattern.parse(path)
