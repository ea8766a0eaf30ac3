"""Read the beginning of color films into memory, as grey pictures with their true colors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from vidcolor.color.chroma import channel_offsets
from vidcolor.color.luma import expand_range, quarter_turns, resize_plane, stored_render_size
from vidcolor.color.luma_weights import luma_weights
from vidcolor.errors import InputError
from vidcolor.files.suffixes import FILM_SUFFIXES
from vidcolor.frames import FloatArray, Frame, Picture, Plane, VideoSpec
from vidcolor.media.encoder import FALLBACK_RATE
from vidcolor.media.pixel_formats import luma_layout, planar_name, plane_view
from vidcolor.media.probe import choose_video, open_film, video_spec
from vidcolor.media.rates import frame_rate_of
from vidcolor.motion.flow import to_levels
from vidcolor.motion.shots import mark_cuts
from vidcolor.networks.lab import lightness_to_grey, rgb_to_lab
from vidcolor_training.data.pictures import MIN_CHROMA

Pictures = npt.NDArray[np.uint8]
"""(T, h, w, 3) R'G'B': consecutive frames as they would be shown."""


@dataclass(frozen=True)
class ColorClip:
    """The frames of a color film, upright, at render size.

    Attributes:
        name: The name of the film in the report.
        true: uint8 (T, h, w, 3), sRGB.
        grey: float32 (T, h, w) in [0, 1], the grey level of the same L.
        ab: float32 (T, 2, h, w), the true ab, Lab units.
        seen: The input of colorizers: ``grey``, or a degraded film
            (:mod:`vidcolor_training.evaluation.film_degradation`).
        shots: The ranges of frames between cuts, which :mod:`vidcolor.motion.shots` finds on ``grey``.
        rate: Frames per second.
    """

    name: str
    true: Pictures
    grey: FloatArray
    ab: FloatArray
    seen: FloatArray
    shots: tuple[range, ...]
    rate: Fraction


def find_films(sources: Sequence[Path]) -> dict[str, Path]:
    """Find the films below folders, sorted, and films given one by one, by names that are unique.

    Raises:
        InputError: A folder has no film.
    """
    films: dict[str, Path] = {}
    for source in sources:
        found = _films_below(source) if source.is_dir() else [source]
        if not found:
            raise InputError(f"{source}: holds no film; expected {', '.join(sorted(FILM_SUFFIXES))}")
        for path in found:
            films.setdefault(path.name if path.name not in films else path.as_posix(), path)
    return films


def _films_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in FILM_SUFFIXES and path.is_file())


def read_clip(path: Path, *, name: str, size: int, max_frames: int) -> ColorClip:
    """Read the first ``max_frames`` frames of a film, area-averaged to a short side of at most ``size``.

    Raises:
        InputError: the film is missing, damaged, without a picture, or in a matrix other than those of R'G'B' weights.
    """
    with open_film(path) as container:
        stream = choose_video(container, path)
        rate = frame_rate_of(stream) or FALLBACK_RATE  # no stream outlives its container
        frames = list(islice(_true_frames(container, stream, path, size), max_frames))
    if not frames:
        raise InputError(f"{path}: no picture in it can be decoded; is it damaged or still being written?")
    true = np.stack(frames)
    grey, ab = split_lab(true)
    return ColorClip(name, true, grey, ab, grey, find_shots(grey), rate)


def read_colored_clip(path: Path, *, name: str, size: int, max_frames: int) -> ColorClip:
    """Read a film as :func:`read_clip` does, and check that it has color.

    Raises:
        InputError: as :func:`read_clip`, or the film is grey itself.
    """
    clip = read_clip(path, name=name, size=size, max_frames=max_frames)
    if float(np.hypot(clip.ab[:, 0], clip.ab[:, 1]).mean()) < MIN_CHROMA:
        raise InputError(f"{path}: has no color itself")
    return clip


def _true_frames(container: InputContainer, stream: VideoStream, path: Path, size: int) -> Iterator[Pictures]:
    spec = None
    try:
        for frame in container.decode(stream):
            spec = spec or video_spec(stream, frame, container)
            yield true_colors(frame, spec, stored_render_size(spec, size))
    except av.FFmpegError as exc:
        raise InputError(f"{path}: damaged ({exc.strerror}); use a whole copy, or cut the film there") from exc


def true_colors(frame: VideoFrame, spec: VideoSpec, size: tuple[int, int]) -> Pictures:
    """Convert a decoded frame to sRGB uint8 (h, w, 3), upright; ``size`` is (width, height) before the rotation.

    Y', Cb and Cr are averaged: R'G'B' is linear in them, so only clipped colors differ from an average of R'G'B'.
    """
    depth = spec.bit_depth
    luma, *chroma = (resize_plane(plane.astype(np.float32), size) for plane in _full_planes(frame, spec))
    scale = 2**depth - 1 if spec.full_range else 224 << depth - 8
    centered = (np.asarray(chroma, np.float32) - np.float32(2 ** (depth - 1))) / np.float32(scale)
    offsets = channel_offsets(centered, luma_weights(spec))
    rgb = expand_range(luma, spec)[..., None] + np.stack(offsets, axis=-1)
    levels = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(levels, quarter_turns(spec)))


def _full_planes(frame: VideoFrame, spec: VideoSpec) -> list[Plane]:
    """Return Y', Cb and Cr at the full size, with unchanged code values."""
    layout = luma_layout(frame.format)
    # libswscale takes grey and the formats yuvj… as full range, whatever range it is given.
    same = ColorRange.JPEG if spec.full_range or layout.is_grey else ColorRange.MPEG
    matrix = Colorspace.ITU709 if layout.from_rgb else None
    name = planar_name("444", layout.bit_depth)
    full = frame.reformat(format=name, src_color_range=same, dst_color_range=same, dst_colorspace=matrix, threads=1)
    return [plane_view(plane, layout.bit_depth).copy() for plane in full.planes]


def split_lab(pictures: Pictures) -> tuple[FloatArray, FloatArray]:
    """Convert sRGB uint8 (T, h, w, 3) to grey float32 (T, h, w) in [0, 1] and ab float32 (T, 2, h, w)."""
    frames, height, width, _ = pictures.shape
    grey = np.empty((frames, height, width), np.float32)
    ab = np.empty((frames, 2, height, width), np.float32)
    for index, picture in enumerate(pictures):
        lab = rgb_to_lab(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
        grey[index] = lightness_to_grey(lab[0]).clamp(0, 1).numpy()
        ab[index] = lab[1:].numpy()
    return grey, ab


def grey_frames(grey: FloatArray) -> Iterator[Frame]:
    """Yield grey (T, h, w) in [0, 1] as frames for the stages of the pipeline; their pts are frame numbers."""
    for index, picture in enumerate(grey):
        yield Frame(Picture(index, 1, to_levels(picture)), picture)


def find_shots(grey: FloatArray) -> tuple[range, ...]:
    """Return the ranges of frames between the cuts of a film (T, h, w)."""
    starts = [frame.picture.pts for frame in mark_cuts(grey_frames(grey)) if frame.opens_shot]
    return tuple(range(start, stop) for start, stop in pairwise([*starts, len(grey)]))
