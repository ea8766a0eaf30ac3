"""Frozen option records, checked once, at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidcolor.errors import OptionError

OnError = Literal["stop", "keep-grey"]
MAX_ANCHOR_SPACING = 64  # frames between two anchors wait in memory, at full size


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How the output is encoded. ``None`` leaves a choice to the encoder or to the source."""

    codec: str = "libx264"
    """An encoder of libavcodec that takes planar Y'CbCr, as ``ffmpeg -encoders`` names it."""
    crf: float | None = None
    """Constant rate factor; ``None``: 18 for the encoders that have one, else the encoder's default."""
    preset: str | None = None
    """Speed against size, in the encoder's own words (``veryfast``, ``medium``, ``8``)."""
    pix_fmt: str | None = None
    """Planar Y'CbCr pixel format; ``None``: 4:2:0 at the depth of the source."""
    encoder_options: Mapping[str, str] = field(default_factory=dict)
    """Any further option of the encoder, as ``ffmpeg -KEY VALUE`` takes it."""
    format: str | None = None
    """Container, as ``ffmpeg -f`` takes it; ``None``: by the output's ending, and Matroska for a pipe."""


@dataclass(frozen=True, kw_only=True)
class ColorizeOptions:
    """How a film or a picture is colored."""

    render_size: int = 256
    """Short side of what the network sees, in pixels."""
    fit_render_size: bool = False
    """Let the network see a film or a picture smaller than ``render_size`` where memory does not suffice for it."""
    smoothing: float = 0.8
    """0 to 1: how far back and ahead the color of a thing is averaged. 0: the raw network."""
    anchor_every: int | None = None
    """The network sees every n-th frame of a shot; the others get their color along the optical flow. ``None``: chosen
    by the motion (:mod:`vidcolor.motion.anchors`), or 1 where ``smoothing`` is 0.
    """
    saturation: float = 1.0
    """Factor on ab."""
    scenes: Path | None = None
    """When each shot begins (:mod:`vidcolor.motion.scene_list`): read where the file exists, written where not."""
    deinterlace: Literal["frame", "field"] | None = None
    """Make whole pictures of interlaced ones, by libavfilter's bwdif: one of each frame, at its time, or one of each
    field, at twice the rate. ``None``: the fields stay as they are, and are colored each for itself.
    """
    on_error: OnError = "stop"
    """What to do where a film is damaged in its midst. ``keep-grey``: the picture before stands for one that cannot be
    decoded, damaged packets of sound are left out, and the report tells of each.
    """
    hwaccel: str = "none"
    """Hardware that decodes films in files, as ``ffmpeg -hwaccels`` names it (``cuda``, ``vaapi``, ``videotoolbox``);
    ``auto``: what there is, and software otherwise. The pictures are the same (:mod:`vidcolor.media.hwaccel`).
    """
    overwrite: bool = False
    """Replace an output that exists; unfinished work on it, too, unless ``resume`` goes on with that."""
    resume: bool = False
    """Go on with a film where an earlier run has left it; from the beginning where there is none."""
    encode: EncodeOptions = field(default_factory=EncodeOptions)

    def __post_init__(self) -> None:
        if self.render_size < 32:
            raise OptionError(f"--render-size must be at least 32 pixels, got {self.render_size}")
        if not 0 <= self.smoothing <= 1:
            raise OptionError(f"--smoothing must lie between 0 and 1, got {self.smoothing}")
        if self.anchor_every is not None and not 1 <= self.anchor_every <= MAX_ANCHOR_SPACING:
            raise OptionError(f"--anchor-every must lie between 1 and {MAX_ANCHOR_SPACING}, got {self.anchor_every}")
        if not 0 <= self.saturation <= 4:
            raise OptionError(f"--saturation must lie between 0 and 4, got {self.saturation}")

    @property
    def anchor_spacing(self) -> int | None:
        """``anchor_every``, decided; ``None``: by the motion."""
        return 1 if self.anchor_every is None and self.smoothing == 0 else self.anchor_every
