"""Decoding by hardware. There need be none: what stands in for it decodes in software, to the formats of hardware."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec import Codec
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from click.testing import CliRunner
from PIL import Image

from tests.media.test_pixel_formats import semi_planar_frame
from tests.support.clips import Clip, make_clip
from tests.test_pipeline import LOSSLESS, Painter
from vidcolor.cli.arguments import resolve_arguments
from vidcolor.cli.commands import main
from vidcolor.errors import InputError, OptionError
from vidcolor.media import probe
from vidcolor.media.decoding import decode
from vidcolor.media.hwaccel import UnacceleratedError, find_device, open_on_device
from vidcolor.media.items import Item
from vidcolor.media.pixel_formats import PLANAR_FORMS, plane_view
from vidcolor.media.reader import VideoReader
from vidcolor.media.reading import FilmFacts, OpenFilm, PictureItem, start_reading
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report
from vidcolor.resume.identity import Identity

SEMI_PLANAR = {planar: name for name, planar in PLANAR_FORMS.items()}


class Chip:
    """Decodes as hardware would. Its methods stand in for those of PyAV and the stages of reading."""

    takes_the_film = True

    def __init__(self) -> None:
        self.pictures_decoded = 0

    def open(self, path: Path, accelerator: HWAccel | None) -> InputContainer:
        """Open a film in software, whatever decodes it."""
        return probe.open_film(path)

    def start_reading(self, film: OpenFilm) -> tuple[FilmFacts, Iterator[PictureItem]]:
        """Read a film with this device, if it was opened for one."""
        if not film.may_accelerate:
            return start_reading(film)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vidcolor.media.reading.decode", self.decode)
            facts, items = start_reading(film)
        return replace(facts, was_accelerated=self.takes_the_film), items

    def decode(self, items: Iterator[Item], stream: VideoStream, **how: Any) -> Iterator[Item]:
        """Fetch every frame."""
        for item in decode(items, stream, **how):
            yield self.fetched(item) if isinstance(item, VideoFrame) else item

    def fetched(self, frame: VideoFrame) -> VideoFrame:
        """As it is taken out of the device's memory, with all that is known of it."""
        self.pictures_decoded += 1
        name = SEMI_PLANAR[frame.format.name.replace("yuvj", "yuv")]
        fetched = frame.reformat(format=name, src_color_range=1, dst_color_range=1, threads=1)
        content = semi_planar_frame(frame, name)
        for plane, source in zip(fetched.planes, content.planes, strict=True):
            plane.update(bytes(source))
        fetched.color_range = frame.color_range
        return fetched


class Sloppy(Chip):
    """Is wrong by one code value in one corner of each picture."""

    def fetched(self, frame: VideoFrame) -> VideoFrame:
        plane_view(frame.planes[0], 8)[-1, -1] ^= 1
        return super().fetched(frame)


class Coarse(Chip):
    """Says 16 bits where the film has 12."""

    def fetched(self, frame: VideoFrame) -> VideoFrame:
        return super().fetched(frame).reformat(format="p016le", threads=1)


class Idle(Chip):
    """Leaves the work to the processor."""

    takes_the_film = False

    def fetched(self, frame: VideoFrame) -> VideoFrame:
        return frame


class Broken(Chip):
    """Fails."""

    def open(self, path: Path, accelerator: HWAccel | None) -> InputContainer:
        if accelerator is not None:
            raise InputError(f"{path}: no picture in it can be decoded")
        return super().open(path, accelerator)


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a :class:`Chip` the machine's one device, called ``chip``."""

    def plug(kind: type[Chip]) -> Chip:
        chip = kind()
        monkeypatch.setattr("vidcolor.media.sources.open_film", chip.open)
        monkeypatch.setattr("vidcolor.media.reader.start_reading", chip.start_reading)
        monkeypatch.setattr("vidcolor.media.hwaccel.find_device", lambda name, codec: ("chip", HWAccel("cuda")))
        return chip

    return plug


def color(source: Path, dest: Path, **options: Any) -> Report:
    """Color without a loss."""
    return colorize_video(
        source, dest, colorizer=Painter(), options=ColorizeOptions(render_size=48, encode=LOSSLESS, **options)
    )


FILMS = {
    "8 bits": (Clip(), {}),
    "10 bits": (Clip(pix_fmt="yuv420p10le"), {}),
    "4:2:2": (Clip(pix_fmt="yuv422p10le"), {}),
    "full range, late start": (Clip(tags={"color_range": 2}, time_base=Fraction(1, 1000), start=480), {}),
    "turned": (Clip(rotation=90), {}),
    "interlaced": (Clip(interlaced=True, top_first=True), {}),
    "deinterlaced": (Clip(interlaced=True, top_first=True), {"deinterlace": "field"}),
    "deinterlaced, 10 bits": (Clip(interlaced=True, pix_fmt="yuv420p10le"), {"deinterlace": "frame"}),
}


@pytest.mark.parametrize("hwaccel", ["chip", "auto"])
@pytest.mark.parametrize("name", FILMS)
@pytest.mark.slow
def test_the_film_does_not_show_what_decoded_it(name: str, hwaccel: str, plug_in: Any, tmp_path: Path) -> None:
    """Pictures that come as NV12, P010 and P210 make the same film, byte for byte; nobody is warned."""
    clip, options = FILMS[name]
    source = make_clip(tmp_path / "in.mkv", clip)
    usual = color(source, tmp_path / "software.mkv", **options)
    chip = plug_in(Chip)
    report = color(source, tmp_path / "hardware.mkv", hwaccel=hwaccel, **options)
    assert chip.pictures_decoded >= 12
    assert (tmp_path / "hardware.mkv").read_bytes() == (tmp_path / "software.mkv").read_bytes()
    assert report.warnings == usual.warnings


@pytest.mark.parametrize(
    ("kind", "pix_fmt", "reason"),
    [
        (Sloppy, "yuv420p", "chip decodes the first picture to something else than software does"),
        (Coarse, "yuv420p12le", "chip decodes the first picture to something else than software does"),
        (Idle, "yuv420p", "chip does not take {codec} of yuv420p, 64×64"),
        (Broken, "yuv420p", "chip does not decode this film ({film}: no picture in it can be decoded)"),
    ],
)
def test_hardware_that_does_not_do(kind: type[Chip], pix_fmt: str, reason: str, plug_in: Any, tmp_path: Path) -> None:
    """Asked for by name it is an error; with ``auto`` it is one warning, and the film is that of software."""
    codec = "h264" if pix_fmt == "yuv420p" else "hevc"
    options = {"x265-params": "log-level=none:pools=1"} if codec == "hevc" else {"crf": "12"}
    clip = Clip(size=(64, 64), pix_fmt=pix_fmt, codec={"h264": "libx264", "hevc": "libx265"}[codec], options=options)
    source = make_clip(tmp_path / "in.mkv", clip)
    color(source, tmp_path / "software.mkv")
    plug_in(kind)
    reason = reason.format(codec=codec, film=source)
    with pytest.raises(OptionError) as caught:
        color(source, tmp_path / "out.mkv", hwaccel="chip")
    assert str(caught.value) == f"`hwaccel` chip: {reason}; leave it out to decode in software"
    assert not (tmp_path / "out.mkv").exists()
    report = color(source, tmp_path / "out.mkv", hwaccel="auto")
    assert report.warnings == (f"`hwaccel` auto: {reason}; the film is decoded in software",)
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "software.mkv").read_bytes()


def test_codecs_that_are_not_exact(plug_in: Any, tmp_path: Path) -> None:
    """MPEG-4 is not asked of hardware: decoders round as they like."""
    source = make_clip(tmp_path / "in.mkv", Clip(codec="mpeg4", options={}))
    chip = plug_in(Chip)
    with pytest.raises(OptionError, match="`hwaccel` chip: decoders of mpeg4 may differ in single bits of the luma"):
        color(source, tmp_path / "out.mkv", hwaccel="chip")
    assert chip.pictures_decoded == 0


def test_films_that_are_no_files(plug_in: Any, tmp_path: Path) -> None:
    """What cannot be opened twice is decoded in software."""
    for number in range(3):
        Image.new("L", (64, 48), 50 * number).save(tmp_path / f"s_{number}.png")
    arguments = resolve_arguments(tmp_path / "s_%d.png", tmp_path / "out.mkv", None)
    plug_in(Chip)
    with pytest.raises(OptionError, match="only films in files are decoded by hardware"):
        color(arguments.source, arguments.dest, hwaccel="chip")  # type: ignore[arg-type]
    (line,) = color(arguments.source, arguments.dest, hwaccel="auto").warnings  # type: ignore[arg-type]
    assert line.startswith("`hwaccel` auto: only films in files")


def test_damage_on_the_way(plug_in: Any, tmp_path: Path) -> None:
    """Where hardware fails in the midst of a film, software may not: the line says so."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=20))
    with av.open(str(source)) as film:
        payload = [bytes(packet) for packet in film.demux(video=0)][15]
    source.write_bytes(source.read_bytes().replace(payload, b"\xff" * len(payload)))
    plug_in(Chip)
    with pytest.raises(InputError, match=r"in\.mkv: damaged after .* s \(.*\); try it without `hwaccel`"):
        color(source, tmp_path / "out.mkv", hwaccel="chip")


def test_a_film_that_is_none_stays_an_error_of_its_own(tmp_path: Path) -> None:
    """Hardware is not blamed for what software does not read either."""
    (tmp_path / "in.mkv").write_bytes(b"nothing of use")
    with pytest.raises(InputError, match="cannot be read as a film"):
        color(tmp_path / "in.mkv", tmp_path / "out.mkv", hwaccel="auto")


def test_devices_that_libav_does_not_know() -> None:
    """The line says what there is instead."""
    with pytest.raises(UnacceleratedError, match=r"this build of libav decodes h264 (on .* only|in software only)"):
        find_device("nonsense", Codec("h264", "r"))
    with pytest.raises(UnacceleratedError, match="this build of libav decodes ffv1 in software only"):
        find_device("auto", Codec("ffv1", "r"))


def has_device() -> bool:
    """Whether this machine does decode H.264 by hardware."""
    try:
        find_device("auto", Codec("h264", "r"))
    except UnacceleratedError:
        return False
    return True


@pytest.mark.skipif(has_device(), reason="this machine decodes by hardware")
def test_a_machine_without(tiny_weights: Path, tmp_path: Path) -> None:
    """On the command line: exit code 2 and one line, or one warning and the film."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=2))
    arguments = [str(source), "-o", str(tmp_path / "out.mkv"), "--weights", str(tiny_weights), "--device", "cpu"]
    refused = CliRunner().invoke(main, [*arguments, "--hwaccel", "cuda"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: --hwaccel cuda: this ")
    assert refused.stderr.endswith("; leave it out to decode in software\n")
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]
    done = CliRunner().invoke(main, [*arguments, "--hwaccel", "auto"])
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: --hwaccel auto: this ")
    assert done.stderr.endswith("; the film is decoded in software\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not has_device(), reason="this machine decodes nothing by hardware")
def test_real_hardware(tmp_path: Path) -> None:
    """Real hardware: every picture is the one that software decodes."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(640, 480), frames=60))

    def read(accelerator: HWAccel | None) -> VideoReader:
        return VideoReader(source, accelerator=accelerator)

    with open_on_device(read, "auto") as reader, read(None) as software:
        assert reader.was_accelerated
        for found, expected in zip(reader.pictures(), software.pictures(), strict=True):
            assert found.pts == expected.pts
            np.testing.assert_array_equal(found.luma, expected.luma)


def test_what_is_begun_goes_on_with_other_hardware(tmp_path: Path) -> None:
    """It is the same work."""
    source = make_clip(tmp_path / "in.mkv")
    one, other = (
        Identity.of([source], ColorizeOptions(hwaccel=name), scenes=None, predictor=Painter())
        for name in ("none", "cuda")
    )
    assert one == other
    assert av.__version__ in one.surroundings.values()
