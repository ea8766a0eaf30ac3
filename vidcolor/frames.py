"""What travels through the pipeline: a film's constants, its pictures, and what is known of each so far."""

from __future__ import annotations

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
FirstField = Literal["top", "bottom"]
"""Of the two moments in an interlaced frame, that of the even or that of the odd lines is the earlier one."""


LIGHT_STEPS = 10_000  # of 1 cd/m²


@dataclass(frozen=True)
class HdrMetadata:
    """Of a film as a whole. Either part may be missing, not both."""

    display: tuple[int, ...] | None
    """x and y of red, green, blue and white in 1/50000, then the least and the most light in 1/10000 cd/m²."""
    light_levels: tuple[int, int] | None
    """cd/m²: of the brightest pixel, and of the brightest picture on average."""

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
    """Degrees counter-clockwise, as the display matrix asks for; the planes are stored unrotated."""
    estimated_frames: int | None
    """What the container announces or what duration and rate suggest; for progress only."""
    first_field: FirstField | None = None
    """Of an interlaced film, as its first picture or its header has it; None: the film is progressive."""
    hdr: HdrMetadata | None = None
    """What an HDR film says of its mastering display and its light."""


@dataclass(frozen=True, kw_only=True)
class ChromaFormat:
    """What the encoder wants as Cb and Cr: two (height, width) planes of code values, uint8, or uint16 above 8 bits."""

    width: int
    height: int
    bit_depth: int
    subsampling_x: int
    """Luma columns for each chroma column: 1, 2 or 4. An odd last column gets a chroma column of its own."""
    subsampling_y: int
    """Luma rows for each chroma row, likewise."""
    siting: Literal["left", "center", "topleft"]
    """Where a chroma sample lies among its luma samples (H.273, ChromaLocType 0, 1 and 2): *left* is on the left column
    and between the rows, *center* in the middle of them all, *topleft* on the first of them."""


@dataclass(frozen=True)
class Picture:
    """One decoded picture: its time, its luma, and the packets of other streams that were read on the way to it."""

    pts: int
    """In units of the film's ``time_base``."""
    duration: int
    """In the same units; 0 where the source does not say."""
    luma: Plane
    """(height, width): the Y plane as decoded. Never written to."""
    packets: tuple[Packet[Any], ...] = field(default=(), repr=False)
    """Audio, subtitles and data that lie before this picture in the file."""
    first_field: FirstField | None = None
    """Of an interlaced picture; None: it is one moment."""


@dataclass(frozen=True)
class Frame:
    """A picture and what the stages have found out about it so far."""

    picture: Picture
    grey: FloatArray
    """(h, w): the luma at render size, upright, with nearly square pixels, range-expanded to [0, 1], in HDR films
    tone-mapped: what the network and the optical flow see. Of an interlaced picture it is the first field alone.
    """
    opens_shot: bool = False
    """True for the first frame of a shot: no state of any kind may cross it."""
    opens_segment: bool = False
    """True for the first frame of what is encoded by itself (:mod:`vidcolor.resume.segments`)."""
    is_disturbed: bool = False
    """True for a flash, or a frame so damaged that nothing in it matches its neighbours: its luma says nothing about
    where things are."""
    is_anchor: bool = True
    """True for frames that the network colors; the others get their ab from them (:mod:`vidcolor.motion.anchors`)."""
    is_waypoint: bool = False
    """True for frames between two anchors on which ab is smoothed as on an anchor, without the network."""
    ab: FloatArray | None = None
    """(2, h, w), CIE Lab units, about [-110, 110]; None until a stage has made it."""
    duplicates: tuple[Frame, ...] = ()
    """Frames that follow and show the same picture (:mod:`vidcolor.motion.duplicates`); they share this one's ab."""
