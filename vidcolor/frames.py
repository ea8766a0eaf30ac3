"""Records that go through the pipeline: what all pictures of a film share, the pictures, and the frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.packet import Packet

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W), code values; uint16 holds 9 to 16 bits in the low bits."""
FloatArray = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]
"""(h, w), 0 to 255: the grey picture that the flow estimator takes."""
HINT_CHANNELS = 3
"""Channels of hints: a, b and confidence."""
FirstField = Literal["top", "bottom"]
"""Which field of an interlaced frame is the earlier one: that of the even lines (top) or that of the odd lines."""


LIGHT_STEPS = 10_000  # of 1 cd/m²


@dataclass(frozen=True)
class HdrMetadata:
    """HDR metadata of a film as a whole. One of the parts may be missing."""

    display: tuple[int, ...] | None
    """The mastering display: x and y of red, green, blue and white in 1/50000, then its least and most light in 1/10000
    cd/m² (SMPTE ST 2086)."""
    light_levels: tuple[int, int] | None
    """MaxCLL and MaxFALL in cd/m²: of the brightest pixel, and the average of the brightest picture (CTA-861.3)."""

    def __str__(self) -> str:
        parts = []
        if self.display is not None:
            least, most = (light / LIGHT_STEPS for light in self.display[8:])
            parts.append(f"mastered on {least:g} to {most:g} cd/m²")
        if self.light_levels is not None:
            parts.append("light levels {} and {} cd/m²".format(*self.light_levels))
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class VideoSpec:
    """What all pictures of one film share.

    ``matrix``, ``primaries`` and ``transfer`` are the code points of ITU-T H.273 (as in ``AVColorSpace``,
    ``AVColorPrimaries`` and ``AVColorTransferCharacteristic``); 2 means unspecified.
    """

    width: int
    height: int
    bit_depth: int
    full_range: bool
    matrix: int
    primaries: int
    transfer: int
    time_base: Fraction
    frame_rate: Fraction | None
    sample_aspect_ratio: Fraction | None
    rotation: int
    """Degrees counter-clockwise, from the display matrix; the planes are stored unrotated."""
    estimated_frames: int | None
    """From the container, or from duration and rate; for progress only."""
    first_field: FirstField | None = None
    """Of an interlaced film, from its first picture or its header; None: the film is progressive."""
    hdr: HdrMetadata | None = None
    """Only of HDR films that carry it."""


@dataclass(frozen=True, kw_only=True)
class ChromaFormat:
    """The encoder's format of Cb and Cr: two (height, width) planes of code values, uint8, or uint16 above 8 bits."""

    width: int
    height: int
    bit_depth: int
    subsampling_x: int
    """Luma columns for each chroma column: 1, 2 or 4. An odd last column gets a chroma column of its own."""
    subsampling_y: int
    """Luma rows for each chroma row, likewise."""
    siting: Literal["left", "center", "topleft"]
    """Where a chroma sample lies among its luma samples (H.273, ChromaLocType 0, 1 and 2): *left* on the left column,
    between the rows; *center* in the middle of all; *topleft* on the first of them."""


@dataclass(frozen=True)
class Borders:
    """The widths of a picture's borders in pixels; 0 where there is none."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    level: float = 0.0
    """Grey level of the widest, 0 to 255."""

    def __bool__(self) -> bool:
        return any(self.widths)

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def inside(self, plane: FloatArray) -> FloatArray:
        """Return the part of a plane (..., h, w) that lies within the borders, as a view."""
        height, width = plane.shape[-2:]
        return plane[..., self.top : height - self.bottom, self.left : width - self.right]


NO_BORDERS = Borders()


@dataclass(frozen=True)
class Picture:
    """One decoded picture: its time, its luma, and the packets of other streams that come before it in the file."""

    pts: int
    """In units of the film's ``time_base``."""
    duration: int
    """In the same units; 0 if unknown."""
    luma: Plane
    """(height, width): the Y plane as decoded. Never written to."""
    chroma: tuple[Plane, Plane] | None = field(default=None, repr=False)
    """Cb and Cr as decoded, of the bit depth of the luma, at the size at which they are stored; None: the film is grey.
    Never written to."""
    packets: Iterable[Packet[Any]] = field(default=(), repr=False)
    """Packets of audio, subtitles and data that come before this picture in the file."""
    first_field: FirstField | None = None
    """Of an interlaced picture; None: the picture is progressive."""


@dataclass(frozen=True)
class Frame:
    """A picture, with the results of the stages so far."""

    picture: Picture
    grey: FloatArray
    """(h, w): the luma at render size, upright, with nearly square pixels, range-expanded to [0, 1], in HDR films
    tone-mapped: the input of the network and of the optical flow. Of an interlaced picture, only the first field.
    """
    opens_shot: bool = False
    """True for the first frame of a shot; no state may be carried over from the frame before."""
    opens_segment: bool = False
    """True for the first frame of a segment (:mod:`vidcolor.resume.segments`), which has an encoder of its own."""
    borders: Borders = NO_BORDERS
    """Around the picture in ``grey``: bars, or the frame of the film gate (:mod:`vidcolor.motion.borders`)."""
    keeps_color: bool = False
    """True in a shot that has colors of its own and keeps them (:mod:`vidcolor.motion.own_colors`)."""
    is_disturbed: bool = False
    """True for a flash, or a frame so damaged that nothing in it matches its neighbors; it is useless for motion."""
    is_anchor: bool = True
    """True for frames that the network colors; the others get their ab from them (:mod:`vidcolor.motion.anchors`)."""
    is_waypoint: bool = False
    """True for frames between two anchors on which ab is smoothed as on an anchor, without the network."""
    ab: FloatArray | None = None
    """(2, h, w), CIE Lab units, about [-110, 110]; None before the generator and temporal stages."""
    duplicates: tuple[Frame, ...] = ()
    """Frames that follow and show the same picture (:mod:`vidcolor.motion.duplicates`); they share this one's ab."""
