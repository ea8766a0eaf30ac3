"""What is asked of an encoder, checked before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.context import CodecContext
from click.testing import CliRunner

from tests.support import samples
from tests.support.clips import Clip, decoded, make_clip, timeline
from tests.test_pipeline import Painter
from vidcolor.cli.commands import main
from vidcolor.errors import OptionError
from vidcolor.media import encoder
from vidcolor.media.encoder import choose_encoder, configure, open_encoder, shares_bits
from vidcolor.media.hardware_encoders import hardware_encoder
from vidcolor.media.pixel_formats import PlanarFormat
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video

SPEC = replace(samples.SPEC, width=64, height=48)


@pytest.mark.parametrize(
    ("codec", "bit_depth", "size", "expected"),
    [
        ("libx264", 8, (64, 48), "yuv420p"),
        ("libx264", 10, (64, 48), "yuv420p10le"),
        ("libx264", 9, (64, 48), "yuv420p10le"),  # the next higher depth
        ("libx265", 12, (64, 48), "yuv420p12le"),
        ("libx264", 8, (33, 48), "yuv444p"),  # x264 wants even sizes in 4:2:0
        ("libx264", 10, (64, 25), "yuv444p10le"),
        ("ffv1", 8, (33, 25), "yuv420p"),  # FFV1 does not
        ("ffv1", 14, (64, 48), "yuv420p14le"),
        ("ffv1", 16, (64, 48), "yuv420p16le"),
        ("prores_ks", 8, (64, 48), "yuv422p10le"),  # has no 4:2:0 and no 8 bits
    ],
)
def test_default_pixel_format(codec: str, bit_depth: int, size: tuple[int, int], expected: str) -> None:
    """4:2:0 at the source's depth where the encoder has it; never less depth, never a lost row."""
    spec = replace(SPEC, bit_depth=bit_depth, width=size[0], height=size[1])
    assert choose_encoder(EncodeOptions(codec=codec), spec).pixel_format.name == expected


@pytest.mark.parametrize(
    ("codec", "bit_depth", "taken", "handed"),
    [
        ("libx264", 8, "yuv420p", "yuv420p"),  # takes NV12, too
        ("h264_nvenc", 8, "yuv420p", "yuv420p"),
        ("hevc_nvenc", 10, "yuv420p10le", "p010le"),
        ("av1_nvenc", 9, "yuv420p10le", "p010le"),
        ("h264_qsv", 8, "yuv420p", "nv12"),
        ("hevc_qsv", 10, "yuv420p10le", "p010le"),
        ("hevc_qsv", 12, "yuv420p12le", "p012le"),
    ],
)
def test_formats_of_hardware(codec: str, bit_depth: int, taken: str, handed: str) -> None:
    """Encoders that have no planar format of a depth get the same code values in a semi-planar one."""
    needs_encoder(codec)
    choice = choose_encoder(EncodeOptions(codec=codec), replace(SPEC, bit_depth=bit_depth))
    assert (choice.pixel_format.name, choice.frame_format) == (taken, handed)


def test_nvenc_cuts_nothing_off() -> None:
    """It takes 16 bits and encodes 10 of them; so a film of 12 is refused."""
    needs_encoder("hevc_nvenc")
    with pytest.raises(OptionError, match="the film has 12 bits, this encoder takes at most 10"):
        choose_encoder(EncodeOptions(codec="hevc_nvenc"), replace(SPEC, bit_depth=12))


def needs_encoder(codec: str) -> None:
    """Skip the test where libav was built without it."""
    if codec not in av.codecs_available:
        pytest.skip(f"this build of libav has no {codec}")


def test_chroma_of_odd_sizes() -> None:
    """An odd last row and column have chroma of their own."""
    spec = replace(SPEC, width=33, height=25)
    chroma = choose_encoder(EncodeOptions(codec="ffv1"), spec).chroma(spec)
    assert (chroma.width, chroma.height) == (17, 13)
    assert (chroma.subsampling_x, chroma.subsampling_y, chroma.bit_depth, chroma.siting) == (2, 2, 8, "left")


def test_siting_follows_the_tag() -> None:
    """Chroma lies where the encoder is told to say it lies."""
    options = EncodeOptions(encoder_options={"chroma_sample_location": "topleft"})
    assert choose_encoder(options, SPEC).siting == "topleft"


@pytest.mark.parametrize(
    ("options", "crf"),
    [
        (EncodeOptions(), "18"),
        (EncodeOptions(crf=23.5), "23.5"),
        (EncodeOptions(encoder_options={"qp": "20"}), None),
        (EncodeOptions(codec="ffv1"), None),
    ],
)
def test_crf(options: EncodeOptions, crf: str | None) -> None:
    """18 unless something else is asked for, and nothing for encoders without one."""
    assert choose_encoder(options, SPEC).settings.get("crf") == crf


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (EncodeOptions(codec="h264_nvenc"), {"rc": "vbr", "cq": "18"}),
        (EncodeOptions(codec="hevc_nvenc", crf=22.5, preset="p6"), {"rc": "vbr", "cq": "22.5", "preset": "p6"}),
        (EncodeOptions(codec="av1_nvenc", crf=0), {"rc": "vbr", "cq": "1"}),
        (EncodeOptions(codec="h264_nvenc", encoder_options={"b": "8M"}), {"b": "8M"}),
        (
            EncodeOptions(codec="h264_nvenc", encoder_options={"rc": "constqp", "qp": "20"}),
            {"rc": "constqp", "qp": "20"},
        ),
        (EncodeOptions(codec="h264_qsv", crf=20.4), {"global_quality": "20"}),
        (EncodeOptions(codec="hevc_qsv", preset="slow"), {"global_quality": "18", "preset": "slow"}),
        (EncodeOptions(codec="hevc_qsv", encoder_options={"b": "8M"}), {"b": "8M"}),
    ],
)
def test_quality_of_hardware(options: EncodeOptions, expected: dict[str, str]) -> None:
    """A constant rate factor becomes what each kind has for it, unless something else is asked for."""
    needs_encoder(options.codec)
    choice = choose_encoder(options, SPEC)
    choice.settings.pop("chroma_sample_location")
    assert choice.settings == expected
    assert shares_bits(choice) == ("b" in expected)


@pytest.mark.parametrize(("crf", "quality"), [(0, 100), (18, 65), (51, 1), (80, 1)])
def test_quality_of_videotoolbox(crf: float, quality: int) -> None:
    """Its scale goes the other way; from end to end."""
    found = hardware_encoder("hevc_videotoolbox")
    assert found is not None
    assert found.quality(crf) == {"global_quality": str(118 * quality)}


@pytest.mark.parametrize("given", [{"crf": 20.0}, {"encoder_options": {"b": "8M"}}])
def test_qscale_goes_with_its_quality(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """VideoToolbox looks at the quality only where that flag is set, and at the bit rate only where it is not."""
    monkeypatch.setattr(encoder, "hardware_encoder", lambda name: hardware_encoder("h264_videotoolbox"))
    choice = choose_encoder(EncodeOptions(codec="mpeg4", **given), SPEC)
    context = CodecContext.create(choice.codec, "w")
    configure(context, choice, SPEC)
    assert context.qscale == ("crf" in given)
    open_encoder(context, choice, SPEC)
    assert context.global_quality == (61 if "crf" in given else 0)


@pytest.mark.parametrize("codec", ["prores_videotoolbox", "mpeg2_qsv", "h264_amf", "libx264", "h264_nvenc_"])
def test_other_encoders_are_as_they_say(codec: str) -> None:
    """Nothing is assumed of encoders that are not known."""
    assert hardware_encoder(codec) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (EncodeOptions(codec="x264"), "no such encoder"),
        (EncodeOptions(codec="aac"), "encodes audio"),
        (EncodeOptions(codec="ffv1", crf=20), "has no crf"),
        (EncodeOptions(codec="ffv1", preset="fast"), "has no preset"),
        (EncodeOptions(encoder_options={"tuen": "film"}), "did you mean tune"),
        (EncodeOptions(encoder_options={"chroma_sample_location": "bottom"}), "expected one of left"),
        (EncodeOptions(pix_fmt="rgb24"), "expected planar Y'CbCr"),
        (EncodeOptions(pix_fmt="nv12"), "expected planar Y'CbCr"),
        (EncodeOptions(pix_fmt="yuv420p12le"), "takes yuv420p, "),
        (EncodeOptions(codec="gif"), "no planar Y'CbCr"),
    ],
)
def test_refusals(options: EncodeOptions, words: str) -> None:
    """What an encoder does not have is named in one line."""
    with pytest.raises(OptionError, match=words) as caught:
        choose_encoder(options, SPEC)
    assert "\n" not in str(caught.value)


def test_depth_is_not_lost_silently() -> None:
    """More bits than the encoder takes is an error, unless rounding is asked for."""
    spec = replace(SPEC, bit_depth=12)
    with pytest.raises(OptionError, match="takes at most 10"):
        choose_encoder(EncodeOptions(), spec)
    assert choose_encoder(EncodeOptions(pix_fmt="yuv420p10le"), spec).pixel_format.bit_depth == 10


POISONED = """
import sys, hashlib
import numpy as np
from tests.media.test_encoder import SPEC, replace
from vidcolor.media.encoder import *
from av import VideoFrame
spec = replace(SPEC, width=320, height=240)
choice = choose_encoder(EncodeOptions(preset="veryfast"), spec)
context = CodecContext.create(choice.codec, "w")
configure(context, choice, spec)
open_encoder(context, choice, spec)
texture = np.cumsum(np.random.default_rng(1).integers(-9, 10, (300, 400)), axis=1).astype(np.uint8)
packets = []
for number in range(30):
    frame = VideoFrame.from_ndarray(np.vstack([texture[number : 240 + number, number : 320 + number],
                                               np.full((120, 320), 128, np.uint8)]), "yuv420p")
    frame.pts = number
    packets += context.encode(frame)
packets += context.encode(None)
print(hashlib.sha256(b"".join(map(bytes, packets))).hexdigest())
"""


@pytest.mark.slow
def test_the_same_pictures_give_the_same_bytes() -> None:
    """Whatever memory holds before it is written: glibc fills it with other bytes each time."""
    found = set()
    for filling in ("0", "85", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": filling}
        command = [sys.executable, "-c", POISONED]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.add(done.stdout)
    assert len(found) == 1


def opens(codec: str) -> bool:
    """Whether this machine has the hardware."""
    choice = choose_encoder(EncodeOptions(codec=codec), SPEC)
    context = CodecContext.create(choice.codec, "w")
    configure(context, choice, replace(SPEC, width=640, height=480))
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("h264_nvenc", "it needs an NVIDIA card with its driver; `codec` libx264 works everywhere"),
        ("hevc_nvenc", "it needs an NVIDIA card with its driver; `codec` libx265 works everywhere"),
        ("av1_nvenc", "it needs an NVIDIA card with its driver; `codec` libsvtav1 works everywhere"),
        ("h264_qsv", "it needs Intel graphics with its driver; `codec` libx264 works everywhere"),
        ("hevc_qsv", "it needs Intel graphics with its driver; `codec` libx265 works everywhere"),
    ],
)
def test_a_machine_without_the_hardware(codec: str, words: str, tmp_path: Path) -> None:
    """One line that says what to do, before the network is asked, and nothing is left."""
    needs_encoder(codec)
    if opens(codec):
        pytest.skip(f"this machine has {codec}")
    source, painter = make_clip(tmp_path / "in.mkv"), Painter()
    options = ColorizeOptions(encode=EncodeOptions(codec=codec, crf=20))
    with pytest.raises(OptionError) as caught:
        colorize_video(source, tmp_path / "out.mkv", colorizer=painter, options=options)
    message = str(caught.value)
    assert message.startswith(f"`codec` {codec}: refuses yuv420p of 64×48, time base 1/1000, with ")
    assert message.endswith(f"; {words}")
    assert "\n" not in message
    assert painter.seen == []
    assert list(tmp_path.iterdir()) == [source]


def test_the_line_on_the_command_line(tiny_weights: Path, tmp_path: Path) -> None:
    """Exit code 2, and it is all that is said."""
    needs_encoder("h264_nvenc")
    if opens("h264_nvenc"):
        pytest.skip("this machine has h264_nvenc")
    source = make_clip(tmp_path / "in.mkv", Clip(frames=2))
    arguments = [str(source), "-o", str(tmp_path / "out.mkv"), "--weights", str(tiny_weights), "--device", "cpu"]
    refused = CliRunner().invoke(main, [*arguments, "--codec", "h264_nvenc"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: --codec h264_nvenc: refuses ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "handed"), [("libx264", "yuv420p", "nv12"), ("rawvideo", "yuv420p10le", "p010le")]
)
def test_semi_planar_frames(
    codec: str, pix_fmt: str, handed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder that is handed NV12 or P010, as those in hardware are, gets the same code values at the same times."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(62, 46), pix_fmt=pix_fmt))
    options = ColorizeOptions(render_size=48, encode=EncodeOptions(codec=codec))
    colorize_video(source, tmp_path / "planar.nut", colorizer=Painter(), options=options)
    formats = {PlanarFormat.parse(pix_fmt): handed}
    monkeypatch.setattr(encoder, "_frame_formats", lambda codec: formats)
    colorize_video(source, tmp_path / "semi.nut", colorizer=Painter(), options=options)
    (planar,), (semi,) = (timeline(tmp_path / name, "video").values() for name in ("planar.nut", "semi.nut"))
    assert len(planar) == 12
    assert semi == (planar if codec == "libx264" else [(time, as_p010(payload)) for time, payload in planar])


def as_p010(payload: bytes) -> bytes:
    """A raw picture of 62×46 in yuv420p10le, arranged anew."""
    luma, cb, cr = np.split(np.frombuffer(payload, np.uint16), [62 * 46, 62 * 46 + 31 * 23])
    return (np.concatenate((luma, np.stack((cb, cr), axis=1).ravel())) << 6).tobytes()


@pytest.mark.parametrize(
    ("codec", "name", "preset"),
    [
        ("libsvtav1", "out.mkv", "10"),
        ("libx265", "out.mp4", "ultrafast"),
        ("prores_ks", "out.mov", None),
        ("ffv1", "out.mkv", None),
    ],
)
def test_encoders_in_software(codec: str, name: str, preset: str | None, tmp_path: Path) -> None:
    """Every picture at its time, and the luma like the source's: to the bit, or as near as 18 on their scales is."""
    source, dest = make_clip(tmp_path / "in.mkv", Clip(size=(96, 64), frames=8)), tmp_path / name
    options = ColorizeOptions(render_size=48, encode=EncodeOptions(codec=codec, preset=preset))
    colorize_video(source, dest, colorizer=Painter(), options=options)
    before, after = decoded(source), decoded(dest)
    assert [time for time, _ in after] == [time for time, _ in before]
    for (_, luma), (_, expected) in zip(after, before, strict=True):
        deeper = 4 if luma.dtype != expected.dtype else 1
        error = np.abs(luma / deeper - expected).mean()
        assert error == 0 if codec == "ffv1" else error < 3


def test_svt_av1_is_silent(tiny_weights: Path, tmp_path: Path) -> None:
    """It writes past libav's log; on the command line nothing of that is seen."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(96, 64), frames=2))
    arguments = [source, "-o", tmp_path / "out.mkv", "--weights", tiny_weights, "--device", "cpu", "--quiet"]
    command = [sys.executable, "-m", "vidcolor", *map(str, arguments), "--codec", "libsvtav1", "--preset", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
