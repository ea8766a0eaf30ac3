"""Interlaced film: fields stay fields, each with its own color, or become whole pictures where that is asked for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.color.test_chroma import chroma_format, smooth_noise
from tests.media.test_video import FAST, LOSSLESS, copy_film
from tests.support.clips import Clip, decoded, make_clip
from tests.support.samples import SPEC
from tools.fuzz_work import short_segments
from vidcolor.color.luma import shrink
from vidcolor.errors import OptionError
from vidcolor.frames import Frame, Picture, VideoSpec
from vidcolor.media.interlacing import Deinterlacing
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.render import render

INTERLACED = Clip(interlaced=True, top_first=True, size=(96, 64), frames=8)
TALL = replace(SPEC, height=128)


def field_orders(path: Path) -> list[str | None]:
    """The first field of every picture."""
    with VideoReader(path) as reader:
        return [picture.first_field for picture in reader.pictures()]


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mkv", LOSSLESS),
        (".mp4", FAST),
        (".mov", EncodeOptions(codec="prores_ks", pix_fmt="yuv422p10le")),
    ],
)
def test_fields_are_kept(tmp_path: Path, *, top_first: bool, suffix: str, options: EncodeOptions) -> None:
    """Every picture is still interlaced, with the same field first, and nothing is to be warned of."""
    source = make_clip(tmp_path / "in.mkv", replace(INTERLACED, top_first=top_first))
    warnings = copy_film(source, tmp_path / f"out{suffix}", options)
    assert not any("interlaced" in line for line in warnings)
    expected = ["top" if top_first else "bottom"] * 8
    assert field_orders(source) == field_orders(tmp_path / f"out{suffix}") == expected


@pytest.mark.parametrize("options", [LOSSLESS, EncodeOptions(crf=0, preset="ultrafast")], ids=["ffv1", "x264"])
def test_luma_of_interlaced_film_is_bit_identical(tmp_path: Path, options: EncodeOptions) -> None:
    """Fields and all, the luma comes out as it went in."""
    source = make_clip(tmp_path / "in.mkv", INTERLACED)
    copy_film(source, tmp_path / "out.mkv", options)
    for (before, luma), (after, copy) in zip(decoded(source), decoded(tmp_path / "out.mkv"), strict=True):
        assert before == after
        np.testing.assert_array_equal(copy, luma)


def test_an_encoder_without_fields_is_named(tmp_path: Path) -> None:
    """VP9 has no fields: one line says what players will show, and what to do."""
    source = make_clip(tmp_path / "in.mkv", INTERLACED)
    options = EncodeOptions(codec="libvpx-vp9", encoder_options={"deadline": "realtime", "cpu-used": "8"})
    (line,) = [line for line in copy_film(source, tmp_path / "out.mkv", options) if "interlaced" in line]
    assert "`deinterlace`" in line


def test_height_that_does_not_divide_by_four(tmp_path: Path) -> None:
    """x264 takes 4:2:0 fields of even height only; the film is made all the same, no line is lost."""
    source = make_clip(tmp_path / "in.mkv", replace(INTERLACED, size=(96, 62), codec="ffv1", options={}))
    try:
        copy_film(source, tmp_path / "out.mp4", FAST)
    except OptionError as exc:
        pytest.fail(f"a film of 62 lines was refused: {exc}")
    assert [luma.shape for _, luma in decoded(tmp_path / "out.mp4")] == [(62, 96)] * 8


def colored(luma: np.ndarray, spec: VideoSpec, first_field: str | None, siting: str = "left") -> np.ndarray:
    """Cb and Cr, in the middle of the range, of a picture whose bright places are yellow and dark ones blue."""
    frame: Frame = next(shrink(iter([Picture(0, 1, luma, first_field=first_field)]), spec, spec.width))
    ab = np.stack((10 * (frame.grey - 0.5), 60 * (frame.grey - 0.5)))
    ((_, cb, cr),) = render(iter([replace(frame, ab=ab)]), spec, chroma_format(spec, (2, 2), siting), saturation=1)
    return np.stack((cb, cr)).astype(float) - 128


def scene(shift: int, shape: tuple[int, int] = (128, 96)) -> np.ndarray:
    """Luma of a textured scene that has moved sideways by ``shift`` pixels."""
    level = smooth_noise((shape[0], shape[1] + 40), 3, 4)[:, 20 + shift : 20 + shift + shape[1]]
    return np.rint(16 + 219 * (0.1 + 0.8 * level)).astype(np.uint8)


@pytest.mark.parametrize("first_field", ["top", "bottom"])
def test_each_field_has_its_own_color(first_field: str) -> None:
    """Where things move between the fields, the chroma lines of each show the scene as it was at that moment."""
    luma, moments = np.empty((128, 96), np.uint8), (scene(0), scene(6))
    early = int(first_field == "bottom")
    luma[early::2], luma[1 - early :: 2] = moments[0][early::2], moments[1][1 - early :: 2]
    found = colored(luma, TALL, first_field)
    whole = [colored(moment, TALL, None) for moment in moments]
    for parity, own, other in ((early, whole[0], whole[1]), (1 - early, whole[1], whole[0])):
        lines, inner = found[:, parity::2], slice(8, -8)
        error = np.abs(lines - own[:, parity::2])[..., inner].mean()
        assert error < 0.25 * np.abs(lines - other[:, parity::2])[..., inner].mean()
        assert error < 1


@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
def test_a_still_scene_looks_the_same_in_fields(siting: str) -> None:
    """Chroma lines of fields lie where those of a frame lie: on a soft slope both ways give the same planes."""
    y, x = np.indices((128, 96), dtype=np.float32)
    luma = np.rint(60 + 100 * (y / 127) + 30 * np.sin(x / 15)).astype(np.uint8)
    interlaced, progressive = colored(luma, TALL, "top", siting), colored(luma, TALL, None, siting)
    difference = (interlaced - progressive)[:, 4:-4, 4:-4]
    assert np.abs(difference).max() <= 2
    assert abs((difference[:, ::2] - difference[:, 1::2]).mean()) < 0.1  # a line off would be .35


@pytest.mark.parametrize("height", [1, 2, 3, 5])
def test_the_smallest_interlaced_pictures(height: int) -> None:
    """However few lines there are, planes have their shape."""
    spec = replace(SPEC, height=height)
    assert colored(np.full((height, 96), 120, np.uint8), spec, "top").shape == (2, -(-height // 2), 48)


@pytest.mark.parametrize("size", [(96, 1), (96, 3)])
def test_films_of_the_smallest_interlaced_pictures(size: tuple[int, int], tmp_path: Path) -> None:
    """A film of one line has no fields and is colored; what is too small to deinterlace is refused with its size."""
    clip = replace(INTERLACED, size=size, top_first=False, codec="ffv1", options={}, pix_fmt="yuv444p")
    source = make_clip(tmp_path / "in.mkv", clip)
    colorize_video(source, tmp_path / "out.mkv", colorizer=Blue(), options=ColorizeOptions(encode=LOSSLESS))
    assert len(decoded(tmp_path / "out.mkv")) == 8
    with pytest.raises(OptionError, match=f"`deinterlace`: .* takes no pictures of {size[0]}×{size[1]}"):
        colorize_video(
            source, tmp_path / "no.mkv", colorizer=Blue(), options=ColorizeOptions(deinterlace="frame", encode=LOSSLESS)
        )


class Blue:
    """Everything is blue."""

    batch_size = 4

    def predict(self, grey: np.ndarray) -> np.ndarray:
        """No look at the picture."""
        return np.full((len(grey), 2, *grey.shape[1:]), -20, np.float32)


@pytest.mark.parametrize(("mode", "pictures"), [("frame", 1), ("field", 2)])
def test_deinterlacing(tmp_path: Path, mode: str, pictures: int) -> None:
    """One picture of each frame at its time, or of each field, which keeps its lines; the film is progressive then."""
    times = [0, 40, 80, 160, 200, 240, 280, 320]
    clip = replace(INTERLACED, time_base=Fraction(1, 1000), pts=times, codec="ffv1", options={}, audio=("eng",))
    source, output = make_clip(tmp_path / "in.mkv", clip), tmp_path / "out.mkv"
    options = ColorizeOptions(deinterlace=mode, encode=LOSSLESS)  # type: ignore[arg-type]
    colorize_video(source, output, colorizer=Blue(), options=options)
    found = decoded(output)
    before = decoded(source)
    assert len(found) == pictures * len(before)
    assert [time for time, _ in found[::pictures]] == [time for time, _ in before]
    for index, (_, luma) in enumerate(before):
        np.testing.assert_array_equal(found[pictures * index][1][0::2], luma[0::2])
        if mode == "field":
            np.testing.assert_array_equal(found[2 * index + 1][1][1::2], luma[1::2])
    if mode == "field":
        halves = [float(time) for time, _ in found[1::2]]
        np.testing.assert_allclose(halves, [0.02, 0.06, 0.12, 0.18, 0.22, 0.26, 0.30, 0.34], atol=0.001)
    assert field_orders(output) == [None] * len(found)
    with av.open(str(output)) as film:
        assert len(film.streams.audio) == 1


def test_units_of_time_that_cannot_be_halved(tmp_path: Path) -> None:
    """Fields would need shorter units than libav can count in; whole frames do not."""
    source = make_clip(tmp_path / "in.mov", Clip(interlaced=True, time_base=Fraction(1, 2**31 - 1), rate=Fraction(25)))
    with pytest.raises(OptionError, match="which cannot be halved; use `deinterlace` frame"):
        VideoReader(source, deinterlace="field")
    with VideoReader(source, deinterlace="frame") as reader:
        assert sum(1 for _ in reader.pictures()) == 12


def test_progressive_film_has_nothing_to_deinterlace(tmp_path: Path) -> None:
    """It passes as it is, and a line says so."""
    source = make_clip(tmp_path / "in.mkv")
    with VideoReader(source, deinterlace="field") as reader:
        assert [picture.pts * reader.spec.time_base for picture in reader.pictures()] == [t for t, _ in decoded(source)]
        assert any("nothing to deinterlace" in line for line in reader.warnings)


MIXED = replace(INTERLACED, codec="ffv1", options={}, size=(96, 64), frames=12)
TURNS = {"to interlaced": range(5), "to progressive": range(5, 12), "and back": range(4, 8)}


@pytest.mark.parametrize("progressive", TURNS.values(), ids=TURNS)
def test_pictures_that_turn(tmp_path: Path, progressive: range) -> None:
    """Where the encoder can tell them apart, each picture stays what it is, with a chroma of its kind, and no line."""
    source = make_clip(tmp_path / "in.mkv", replace(MIXED, progressive=progressive))
    expected = [None if index in progressive else "top" for index in range(12)]
    assert field_orders(source) == expected
    assert copy_film(source, tmp_path / "out.mkv", LOSSLESS) == []
    assert field_orders(tmp_path / "out.mkv") == expected


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize(("progressive", "words"), [(range(5), "turn interlaced"), (range(5, 12), "are progressive")])
def test_an_encoder_that_cannot_switch_is_named(tmp_path: Path, codec: str, progressive: range, words: str) -> None:
    """In one line, however many pictures turn, and however the film is divided; all pictures are there."""
    source = make_clip(tmp_path / "in.mkv", replace(MIXED, size=(96, 96), progressive=progressive))
    encode = EncodeOptions(codec=codec, preset="ultrafast")
    with short_segments():
        report = colorize_video(
            source, tmp_path / "out.mkv", colorizer=Blue(), options=ColorizeOptions(render_size=48, encode=encode)
        )
    (line,) = report.warnings
    assert codec in line
    assert "`deinterlace`" in line
    assert words in line or (codec, words) == ("libx265", "are progressive")  # that one knows of no fields at all
    assert len(decoded(tmp_path / "out.mkv")) == 12


def test_order_that_changes(tmp_path: Path) -> None:
    """Top first, then bottom first: told picture by picture, or one line says that it is not."""
    parts = [make_clip(tmp_path / f"{top}.mkv", replace(MIXED, top_first=top)) for top in (True, False)]
    with av.open(str(tmp_path / "in.mkv"), "w") as joined:
        stream = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as film:
                stream = stream or joined.add_stream_from_template(film.streams.video[0])
                for packet in film.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = packet.pts + 480 * number
                        packet.stream = stream
                        joined.mux(packet)
    expected = ["top"] * 12 + ["bottom"] * 12
    assert field_orders(tmp_path / "in.mkv") == expected
    assert copy_film(tmp_path / "in.mkv", tmp_path / "out.mkv", LOSSLESS) == []
    assert field_orders(tmp_path / "out.mkv") == expected
    (line,) = copy_film(tmp_path / "in.mkv", tmp_path / "out.mp4", FAST)
    assert "the field order changes, libx264" in line


@pytest.mark.parametrize(("mode", "pictures"), [("frame", 1), ("field", 2)])
@pytest.mark.parametrize("progressive", TURNS.values(), ids=TURNS)
def test_deinterlacing_what_is_interlaced(
    tmp_path: Path, mode: Deinterlacing, pictures: int, progressive: range
) -> None:
    """Progressive pictures pass bit for bit, once; the others become whole ones, wherever they begin."""
    source = make_clip(tmp_path / "in.mkv", replace(MIXED, progressive=progressive))
    before = decoded(source)
    with VideoReader(source, deinterlace=mode) as reader:
        found = [(picture.pts * reader.spec.time_base, picture.luma.copy()) for picture in reader.pictures()]
        assert reader.spec.first_field is None
        assert not any("nothing to deinterlace" in line for line in reader.warnings)
    assert len(found) == len(progressive) + pictures * (12 - len(progressive))
    lumas = dict(found)
    for index, (time, luma) in enumerate(before):
        lines = slice(None) if index in progressive else slice(0, None, 2)
        np.testing.assert_array_equal(lumas[time][lines], luma[lines])
    assert [time for time, _ in found] == sorted(time for time, _ in found)


@pytest.mark.parametrize(("order", "first"), [(2, "top"), (3, "bottom"), (1, None)])
def test_fields_that_only_the_header_knows(tmp_path: Path, order: int, first: str | None) -> None:
    """Where pictures do not say it themselves, the file's header counts for all of them, and for deinterlacing."""
    clip = Clip(size=(96, 64), frames=4, codec="png", pix_fmt="gray", options={}, header_order=order)
    source = make_clip(tmp_path / "in.mov", clip)
    assert field_orders(source) == [first] * 4
    copy_film(source, tmp_path / "out.mkv", LOSSLESS)
    assert field_orders(tmp_path / "out.mkv") == [first] * 4
    with VideoReader(source, deinterlace="field") as reader:
        assert len(list(reader.pictures())) == (8 if first else 4)


@pytest.mark.parametrize("mode", ["frame", "field"])
def test_deinterlaced_pictures_have_no_fields(shared_clips: Path, mode: Deinterlacing) -> None:
    """Not even where bwdif leaves the flag on the frames that it makes."""
    with VideoReader(shared_clips / "odd" / "v_telecine_raw.m2v", deinterlace=mode) as reader:
        assert {picture.first_field for picture in reader.pictures()} == {None}


def test_soft_telecine_keeps_its_times(shared_clips: Path) -> None:
    """Film at 24 pictures a second, marked to be shown as 60 fields: pictures last two fields and three by turns."""
    with VideoReader(shared_clips / "odd" / "v_telecine_raw.m2v") as reader:
        times = [picture.pts * reader.spec.time_base for picture in reader.pictures()]
    fields = [round((later - earlier) * 60) for earlier, later in pairwise(times)]
    assert fields[:-1] == [2, 3, 2, 3, 2]  # the last one's time the stream does not say; ffprobe has none either
