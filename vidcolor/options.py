"""The options of the library, as frozen records that check themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from vidcolor.errors import OptionError

KeepColor = Literal["auto", "never", "always"]
OnError = Literal["stop", "keep-grey"]
MAX_ANCHOR_SPACING = 64  # frames between two anchors wait in memory, at full size


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How a film is encoded. ``None`` leaves a choice to the encoder or to the source."""

    codec: str = "libx264"
    """An encoder of libavcodec that takes planar Y'CbCr, as ``ffmpeg -encoders`` names it."""
    crf: float | None = None
    """Constant rate factor; ``None``: 18 for the encoders that have one, else the encoder's default."""
    preset: str | None = None
    """Speed against size, as the encoder names it (``veryfast``, ``medium``, ``8``)."""
    pix_fmt: str | None = None
    """Planar Y'CbCr pixel format; ``None``: 4:2:0 at the depth of the source."""
    encoder_options: Mapping[str, str] = field(default_factory=dict)
    """Any further option of the encoder, as ``ffmpeg -KEY VALUE`` takes it."""
    audio_codec: str | None = None
    """An encoder for sound that the container cannot hold as it is, as ``ffmpeg -encoders`` names it; ``None``: such
    sound is left out. PCM is always kept where the container can hold any.
    """
    format: str | None = None
    """Container, as ``ffmpeg -f`` takes it; ``None``: by the output's ending, and Matroska for a pipe."""


@dataclass(frozen=True, kw_only=True)
class ColorizeOptions:
    """How a film or a picture is colored."""

    render_size: int = 256
    """Short side of what the network sees, in pixels."""
    fit_render_size: bool = False
    """Reduce ``render_size`` if memory does not suffice for it."""
    smoothing: float = 0.8
    """0 to 1: how far the color of a point is averaged over frames before and after. 0: the raw network."""
    anchor_every: int | None = None
    """The network colors every n-th frame of a shot; the frames between get theirs by optical flow. ``None``: as
    the motion allows (:mod:`vidcolor.motion.anchors`), or 1 if ``smoothing`` is 0.
    """
    saturation: float = 1.0
    """Factor on ab."""
    negative: bool = False
    """Invert the grey levels of photographs, which are scans of negatives; a film is refused."""
    keep_color: KeepColor = "auto"
    """Which shots and pictures keep the colors that they have. ``auto``: those with colors of their own, but not those
    with a uniform tint such as sepia; ``always``: all that are not grey; ``never``: none, all colors are made anew.
    """
    scenes: str | Path | None = None
    """A file with the start of each shot (:mod:`vidcolor.motion.scene_list`): read if it exists, else written."""
    deinterlace: Literal["frame", "field"] | None = None
    """Deinterlace with libavfilter's bwdif, to one picture for each frame, or one for each field at twice the rate.
    ``None``: the fields stay as they are, and each is colored by itself.
    """
    on_error: OnError = "stop"
    """What to do where a film is damaged. ``keep-grey``: a picture that cannot be decoded becomes the one before,
    damaged packets of sound are left out, and the report lists both.
    """
    keep_start: bool = False
    """Begin at the time at which a recording's own clock begins, such as 35001 s of a broadcast. Otherwise a film that
    begins after 10 s is moved to 0. One with pictures before zero is moved in any case.
    """
    hwaccel: str = "none"
    """Hardware that decodes films in files, as ``ffmpeg -hwaccels`` names it (``cuda``, ``vaapi``, ``videotoolbox``);
    ``auto``: any that there is, or else software. The pictures are the same (:mod:`vidcolor.media.hwaccel`).
    """
    overwrite: bool = False
    """Replace an output that exists, and discard unfinished work on it unless ``resume`` is set."""
    resume: bool = False
    """Go on with a film where an earlier run was interrupted; from the beginning if there was none."""
    encode: EncodeOptions = field(default_factory=EncodeOptions)

    def __post_init__(self) -> None:
        if self.render_size < 32:
            raise OptionError(f"`render_size` must be at least 32 pixels, got {self.render_size}")
        if not 0 <= self.smoothing <= 1:
            raise OptionError(f"`smoothing` must lie between 0 and 1, got {self.smoothing}")
        if self.anchor_every is not None and not 1 <= self.anchor_every <= MAX_ANCHOR_SPACING:
            raise OptionError(f"`anchor_every` must lie between 1 and {MAX_ANCHOR_SPACING}, got {self.anchor_every}")
        if not 0 <= self.saturation <= 4:
            raise OptionError(f"`saturation` must lie between 0 and 4, got {self.saturation}")

        if self.keep_color not in get_args(KeepColor):
            raise OptionError(f"`keep_color` must be one of {', '.join(get_args(KeepColor))}, got {self.keep_color!r}")

    @property
    def anchor_spacing(self) -> int | None:
        """``anchor_every``, with its default where ``smoothing`` is 0; ``None``: as the motion allows."""
        return 1 if self.anchor_every is None and self.smoothing == 0 else self.anchor_every
