"""Numbered pictures as a film, and a film as numbered pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.clips import Clip, decoded, make_clip
from tests.test_pipeline import Painter
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.media.image_sequence import DEFAULT_RATE, PicturePattern, PictureSequence, given_pattern
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report
from vidcolor.stills.reader import read_picture

LOSSLESS = EncodeOptions(codec="ffv1")


def scan(index: int, *, deep: bool = False, size: tuple[int, int] = (64, 48)) -> npt.NDArray[Any]:
    """(height, width) of a picture that drifts, uint8 or uint16."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    level = 0.5 + 0.2 * np.sin((rows + index) / 5) + 0.2 * np.cos((columns + 2 * index) / 7)
    return np.rint(level * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)


def write_scans(folder: Path, name: str, numbers: list[int], *, deep: bool = False) -> list[npt.NDArray[Any]]:
    """Write pictures under these numbers and return what is in them."""
    scans = [scan(index, deep=deep) for index in range(len(numbers))]
    for number, values in zip(numbers, scans, strict=True):
        Image.fromarray(values).save(folder / (name % number))
    return scans


def pattern(path: Path) -> PicturePattern:
    """The pattern of a name that is one."""
    parsed = PicturePattern.parse(path)
    assert parsed is not None
    return parsed


def color(source: Path, dest: Path, *, rate: Fraction = DEFAULT_RATE, **options: object) -> Report:
    """Color with a :class:`Painter`; what looks like a pattern is one."""
    given, wanted = given_pattern(source), PicturePattern.parse(dest)
    settings = {"render_size": 48, "encode": LOSSLESS if wanted is None else EncodeOptions(), **options}
    return colorize_video(
        source if given is None else PictureSequence.find(given, rate),
        dest if wanted is None else wanted,
        colorizer=Painter(),
        options=ColorizeOptions(**settings),  # type: ignore[arg-type]
    )


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


# Names


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("scan_%06d.png", 12, "scan_000012.png"),
        ("%d.TIF", 7, "7.TIF"),
        ("reel 2 %3d b.jpg", 1234, "reel 2 1234 b.jpg"),
        ("%04d.dpx", 0, "0000.dpx"),
    ],
)
def test_patterns(name: str, number: int, expected: str) -> None:
    """The number stands where the field does, with as many digits as it asks for."""
    assert pattern(Path("reel") / name).file(number) == Path("reel") / expected


@pytest.mark.parametrize("name", ["film.png", "100%.png", "%d_%d.png", "film_%03d.mp4", "%s.png", "%-3d.png"])
def test_names_that_are_no_patterns(name: str) -> None:
    """Other per cent signs are part of a name, and so is a number in the name of a film."""
    assert PicturePattern.parse(Path(name)) is None


def test_a_file_that_is_called_so_is_a_file(tmp_path: Path) -> None:
    """A per cent sign in the name of what is there means nothing."""
    name = tmp_path / "a_%03d.png"
    assert given_pattern(name) is not None
    name.touch()
    assert given_pattern(name) is None


def test_numbers_that_are_there(tmp_path: Path) -> None:
    """Only names that the pattern would make, in the order of their numbers; gaps are named."""
    for name in ("s_0009.png", "s_0011.png", "s_0012.png", "s_12.png", "s_0010.tif", "xs_0010.png", "s_12345.png"):
        (tmp_path / name).touch()
    sequence = PictureSequence.find(pattern(tmp_path / "s_%04d.png"))
    assert sequence.numbers == (9, 11, 12, 12345)
    assert sequence.gaps() == [(10, 10), (13, 12344)]
    (warning,) = sequence.warnings()
    assert "12333 of the numbers are missing (10, 13 to 12344)" in warning


def test_no_such_pictures(tmp_path: Path) -> None:
    """Neither in a folder without them, nor where there is no folder."""
    with pytest.raises(InputError, match=r"no such pictures.*s_0001\.png"):
        PictureSequence.find(pattern(tmp_path / "s_%04d.png"))
    with pytest.raises(InputError, match="its folder cannot be read"):
        PictureSequence.find(pattern(tmp_path / "none" / "s_%04d.png"))


# In


@pytest.mark.parametrize(("suffix", "deep"), [("png", False), ("png", True), ("tif", False), ("tif", True)])
def test_pictures_become_a_film(suffix: str, deep: bool, tmp_path: Path) -> None:
    """Every level of 8 and 16 bits arrives, in full range, at the rate asked for, whatever the first number."""
    scans = write_scans(tmp_path, f"scan_%04d.{suffix}", [98, 99, 100, 101], deep=deep)
    report = color(tmp_path / f"scan_%04d.{suffix}", tmp_path / "out.mkv", rate=Fraction(20))
    film = decoded(tmp_path / "out.mkv")
    assert report.warnings == ()
    assert [seconds for seconds, _ in film] == [Fraction(index, 20) for index in range(4)]
    for (_, luma), expected in zip(film, scans, strict=True):
        np.testing.assert_array_equal(luma, expected)
    with av.open(tmp_path / "out.mkv") as container:
        assert container.streams.video[0].codec_context.color_range == 2


def test_jpegs_keep_the_luma_that_they_store(tmp_path: Path) -> None:
    """It is not taken through R'G'B' and back."""
    for number in range(1, 4):
        rgb = np.dstack([scan(number), scan(number + 5), scan(number + 9)])
        Image.fromarray(rgb).save(tmp_path / f"{number}.jpg", quality=90)
    color(tmp_path / "%d.jpg", tmp_path / "out.mkv")
    for number, (_, luma) in enumerate(decoded(tmp_path / "out.mkv"), start=1):
        with av.open(tmp_path / f"{number}.jpg") as picture:
            frame = next(picture.decode(video=0))
        np.testing.assert_array_equal(luma, frame.to_ndarray()[: frame.height])


def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    """The pictures after missing ones keep their times, and a warning names the numbers."""
    write_scans(tmp_path, "%d.png", [1, 2, 5, 6])
    report = color(tmp_path / "%d.png", tmp_path / "out.mkv", rate=Fraction(10))
    assert [seconds * 10 for seconds, _ in decoded(tmp_path / "out.mkv")] == [0, 1, 4, 5]
    (warning,) = report.warnings
    assert "2 of the numbers are missing (3 to 4)" in warning


def test_more_bits_than_the_encoder_takes_are_rounded_and_named(tmp_path: Path) -> None:
    """Scans of 16 bits go to H.264 with 10: nobody means an error by that."""
    scans = write_scans(tmp_path, "%d.png", [1, 2], deep=True)
    report = color(
        tmp_path / "%d.png", tmp_path / "out.mkv", encode=EncodeOptions(encoder_options={"qp": "0", "preset": "fast"})
    )
    assert any("16 bits are rounded to 10" in line and "`codec` ffv1" in line for line in report.warnings)
    for (_, luma), expected in zip(decoded(tmp_path / "out.mkv"), scans, strict=True):
        np.testing.assert_array_equal(luma, np.minimum((expected.astype(int) + 32) >> 6, 1023))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n and then nothing", "damaged after 0.04 s"),
        (None, "changes from 64×48 to 32×48"),
    ],
)
def test_a_bad_picture_is_named(content: bytes | None, words: str, tmp_path: Path) -> None:
    """The error says which of the files it is, and nothing is left of the film."""
    write_scans(tmp_path, "%d.png", [1, 2, 3, 4])
    if content is None:
        Image.fromarray(scan(0, size=(32, 48))).save(tmp_path / "3.png")
    else:
        (tmp_path / "3.png").write_bytes(content)
    with pytest.raises(InputError, match=rf"3\.png: .*{words}"):
        color(tmp_path / "%d.png", tmp_path / "out.mkv")
    assert names(tmp_path) == ["1.png", "2.png", "3.png", "4.png"]


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_bad_first_picture_is_named(content: bytes, tmp_path: Path) -> None:
    """It is not skipped as the beginning of a broadcast is."""
    write_scans(tmp_path, "%d.png", [1, 2])
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(InputError, match=r"1\.png: "):
        color(tmp_path / "%d.png", tmp_path / "out.mkv")


# Out


@pytest.mark.parametrize(("suffix", "deep", "tolerance"), [("png", False, 1), ("tiff", True, 1), ("jpg", False, 10)])
def test_a_film_becomes_pictures(suffix: str, deep: bool, tolerance: int, tmp_path: Path) -> None:
    """Pictures in color, numbered from 1, with the film's luma."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=3, pix_fmt="yuv420p10le" if deep else "yuv420p"))
    report = color(source, tmp_path / f"out_%04d.{suffix}")
    expected_names = [f"out_000{number}.{suffix}" for number in (1, 2, 3)]
    assert names(tmp_path) == ["in.mkv", *expected_names]
    assert report.output_bytes == sum((tmp_path / name).stat().st_size for name in expected_names)
    depth = 10 if deep else 8
    for name, (_, luma) in zip(expected_names, decoded(source), strict=True):
        picture = read_picture(tmp_path / name)
        levels = (luma.astype(float) / 2 ** (depth - 8) - 16) / 219
        np.testing.assert_allclose(picture.grey, levels, atol=tolerance / 255)
        assert picture.bit_depth == (16 if deep else 8)
        rgb = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        assert np.abs(rgb[..., 0] - rgb[..., 2]).max() > 20


def test_pictures_keep_their_numbers(tmp_path: Path) -> None:
    """From numbered pictures to numbered pictures: the same numbers, with their gap."""
    scans = write_scans(tmp_path, "in_%d.png", [41, 42, 45], deep=True)
    color(tmp_path / "in_%d.png", tmp_path / "out_%05d.tif", rate=Fraction(24000, 1001))
    assert names(tmp_path)[3:] == ["out_00041.tif", "out_00042.tif", "out_00045.tif"]
    for name, expected in zip(names(tmp_path)[3:], scans, strict=True):
        samples = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert samples is not None
        assert samples.dtype == np.uint16
        np.testing.assert_allclose(samples @ (0.0722, 0.7152, 0.2126), expected, atol=3)  # BT.709; B, G, R


def test_a_film_that_lies_on_its_side_is_put_upright(tmp_path: Path) -> None:
    """Pictures have no display matrix."""
    source = make_clip(tmp_path / "in.mp4", Clip(frames=1, rotation=90))
    color(source, tmp_path / "%d.png")
    (_, luma) = decoded(source)[0]
    grey = read_picture(tmp_path / "1.png").grey
    assert grey.shape == (64, 48)
    np.testing.assert_allclose(grey, np.rot90((luma.astype(float) - 16) / 219), atol=1.5 / 255)


def test_what_pictures_cannot_carry_is_named(tmp_path: Path) -> None:
    """Sound, times, pixel shape and chapters: a line each."""
    clip = Clip(
        frames=4,
        time_base=Fraction(1, 1000),
        pts=[0, 40, 400, 440],
        audio=("eng",),
        chapters=True,
        sample_aspect_ratio=Fraction(16, 15),
    )
    report = color(make_clip(tmp_path / "in.mkv", clip), tmp_path / "%d.jpg")
    for words in ("aac, eng", "holds no times", "16/15", "2 chapters"):
        assert len([line for line in report.warnings if words in line]) == 1
    assert names(tmp_path) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "in.mkv"]


def test_pictures_that_are_there_are_kept(tmp_path: Path) -> None:
    """One of them is enough to refuse, before any work; ``--overwrite`` replaces them, but never those of the input."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=3))
    (tmp_path / "2.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"2\.png: exists already"):
        color(source, tmp_path / "%d.png")
    assert names(tmp_path) == ["2.png", "in.mkv"]
    color(source, tmp_path / "%d.png", overwrite=True)
    assert read_picture(tmp_path / "2.png").grey.shape == (48, 64)
    before = (tmp_path / "2.png").read_bytes()
    with pytest.raises(OutputError, match="would replace pictures of the input"):
        color(tmp_path / "%d.png", tmp_path / "." / "%01d.png", overwrite=True)
    assert (tmp_path / "2.png").read_bytes() == before


def test_refusals(tmp_path: Path) -> None:
    """A folder that is not there, a suffix that is not written, options of encoders, and one picture for a film."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=1))
    with pytest.raises(OutputError, match="its folder does not exist"):
        color(source, tmp_path / "none" / "%d.png")
    with pytest.raises(OutputError, match=r"cannot be written as '\.dpx'"):
        color(source, tmp_path / "%d.dpx")
    with pytest.raises(OptionError, match="no encoder options"):
        color(source, tmp_path / "%d.png", encode=LOSSLESS)
    with pytest.raises(OptionError, match="an icon cannot hold a film"):
        color(source, tmp_path / "out.ico")
    with pytest.raises(OptionError, match=r"out_%06d\.png for numbered pictures"):
        color(source, tmp_path / "out.png")
    assert names(tmp_path) == ["in.mkv"]


# The command line


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in this folder."""
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(__file__).parents[2])]
    return subprocess.run(
        [sys.executable, "-P", "-m", "vidcolor", *map(str, arguments), "--device", "cpu"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(paths)},
    )


@pytest.mark.slow
def test_the_command_line_end_to_end(tiny_weights: Path, tmp_path: Path) -> None:
    """Numbered pictures at 18 a second become a film of that rate."""
    scans = write_scans(tmp_path, "scan_%06d.png", [5, 6, 7])
    done = run(tmp_path, "scan_%06d.png", "-r", "18", "-o", "out.mkv", "--codec", "ffv1", "--weights", tiny_weights)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("out.mkv: 3 frames")
    film = decoded(tmp_path / "out.mkv")
    assert [round(seconds * 1000) for seconds, _ in film] == [0, 56, 111]
    for (_, luma), expected in zip(film, scans, strict=True):
        np.testing.assert_array_equal(luma, expected)


@pytest.mark.parametrize(("transfer", "found"), [(1, True), (3, True), (2, False), (6, False)])
def test_logarithmic_dpx(tmp_path: Path, transfer: int, found: bool) -> None:
    """Film density has a line that says what to do; libav reads it as if it were gamma-encoded."""
    header = bytearray(2048)
    header[:4], header[801] = b"SDPX", transfer
    (tmp_path / "scan_0001.dpx").write_bytes(header)
    sequence = PictureSequence.find(PicturePattern.parse(tmp_path / "scan_%04d.dpx"), Fraction(24))
    assert ["is logarithmic (film density)" in line for line in sequence.warnings()] == [True] * found
