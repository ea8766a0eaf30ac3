"""Films side by side, and strips of consecutive frames, for the page of a report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

from vidcolor.errors import OutputError
from vidcolor_training.evaluation.color_clips import ColorClip, Pictures

SHOW_ALL = 6
"""Of more clips than this, only the best, the median and the worst are shown."""
STRIP_FRAMES = 6
TILE_WIDTH = 240
BAND = 14
"""Height of a line of text above a row of a strip, in pixels."""
PLAYER_OPTIONS = {"crf": "20", "preset": "veryfast"}
H273_BT709 = 1  # H.273: matrix, primaries and transfer


@dataclass(frozen=True)
class Exhibit:
    """The film and the strip of one clip. Clips are sorted by ``flicker``."""

    flicker: float
    player: Path
    strip: Path
    caption: str


def make_exhibit(
    folder: Path,
    clip: ColorClip,
    shown: Mapping[str, Pictures],
    watched: Sequence[str],
    *,
    flicker: float,
    worst: int,
) -> Exhibit:
    """Write a clip's film and strip into ``folder``.

    Args:
        folder: An existing folder.
        clip: The clip.
        shown: Frames by row, uint8 (T, h, w, 3); the strip has all rows.
        watched: The rows between grey and truth in the film.
        flicker: The flicker of the first of ``watched``.
        worst: The frame with the most flicker; the strip is around it, within the shot.
    """
    stem = f"{len(list(folder.glob('*.mp4'))):03d}-{safe_name(clip.name)}"
    player, strip = folder / f"{stem}.mp4", folder / f"{stem}.jpg"
    panels = list(dict.fromkeys(("grey", *watched, "truth")))
    write_player(player, [shown[row] for row in panels], clip.rate)
    frames = frames_around(worst, next(shot for shot in clip.shots if worst in shot))
    write_strip(strip, {row: pictures[frames.start : frames.stop] for row, pictures in shown.items()})
    caption = f"{clip.name}: {' | '.join(panels)}; flicker {flicker:.3g}; strip: frames {frames.start}–{frames[-1]}"
    return Exhibit(flicker, player, strip, caption)


def safe_name(name: str) -> str:
    """Convert a name to one that every file system and URL accepts."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).stem).strip("._") or "clip"


def frames_around(worst: int, shot: range) -> range:
    """Return ``STRIP_FRAMES`` frames of the shot, or all of a shorter one, with ``worst`` near the middle."""
    start = min(worst - STRIP_FRAMES // 2 + 1, shot.stop - STRIP_FRAMES)
    start = max(start, shot.start)
    return range(start, min(start + STRIP_FRAMES, shot.stop))


def choose(exhibits: Sequence[Exhibit]) -> list[Exhibit]:
    """Return up to ``SHOW_ALL`` clips, or those with the least, the median and the most flicker."""
    if len(exhibits) <= SHOW_ALL:
        return list(exhibits)
    ordered = sorted(exhibits, key=lambda exhibit: exhibit.flicker)
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]


def publish(exhibit: Exhibit, folder: Path) -> Exhibit:
    """Move both files to ``players/`` and ``strips/`` of the report's folder."""
    player, strip = folder / "players" / exhibit.player.name, folder / "strips" / exhibit.strip.name
    for old, new in ((exhibit.player, player), (exhibit.strip, strip)):
        new.parent.mkdir(exist_ok=True)
        old.replace(new)
    return replace(exhibit, player=player, strip=strip)


def write_player(path: Path, panels: Sequence[Pictures], rate: Fraction) -> None:
    """Write films of one size, uint8 (T, h, w, 3), side by side as an H.264 MP4 with its index in front.

    Raises:
        OutputError: The disk is full, or the film cannot be written for another reason.
    """
    pictures = [_even(np.concatenate(side_by_side, axis=1)) for side_by_side in zip(*panels, strict=True)]
    try:
        with av.open(f"file:{path}", "w", format="mp4", container_options={"movflags": "+faststart"}) as container:
            stream = _add_stream(container, pictures[0], rate)
            for number, picture in enumerate(pictures):
                container.mux(stream.encode(_as_frame(picture, number, 1 / rate)))
            container.mux(stream.encode(None))
    except av.FFmpegError as exc:
        raise OutputError(f"{path}: the film to look at cannot be written ({exc.strerror}); is the disk full?") from exc


def _even(picture: Pictures) -> Pictures:
    """Pad (h, w, 3) to even sides for 4:2:0, by repeating the last row and column."""
    height, width, _ = picture.shape
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _add_stream(container: OutputContainer, picture: Pictures, rate: Fraction) -> VideoStream:
    stream = container.add_stream("libx264", rate=rate, options=dict(PLAYER_OPTIONS))
    stream.height, stream.width, _ = picture.shape
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = stream.time_base = 1 / rate
    context.color_range, context.colorspace = ColorRange.MPEG, H273_BT709
    context.color_primaries, context.color_trc = H273_BT709, H273_BT709
    return stream


def _as_frame(picture: Pictures, number: int, time_base: Fraction) -> VideoFrame:
    rgb = VideoFrame.from_ndarray(picture, "rgb24")
    frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1)
    frame.pts, frame.duration, frame.time_base = number, 1, time_base
    return frame


def write_strip(path: Path, rows: Mapping[str, Pictures]) -> None:
    """Write consecutive frames, uint8 (N, h, w, 3), from left to right, a line for each row under its name."""
    height, width = next(iter(rows.values())).shape[1:3]
    tile = (TILE_WIDTH, max(round(height * TILE_WIDTH / width), 1))
    line = BAND + tile[1]
    sheet = Image.new("RGB", (tile[0] * max(map(len, rows.values())), line * len(rows)), "white")
    for index, (name, pictures) in enumerate(rows.items()):
        ImageDraw.Draw(sheet).text((2, index * line), name.encode("ascii", "replace").decode(), fill="black")
        for column, picture in enumerate(pictures):
            image = Image.fromarray(picture).resize(tile, Image.Resampling.LANCZOS)
            sheet.paste(image, (column * tile[0], index * line + BAND))
    sheet.save(path, quality=90)
