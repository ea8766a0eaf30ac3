"""What is asked of an encoder, checked before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests import samples
from vidcolor.encoder import choose_encoder
from vidcolor.errors import OptionError
from vidcolor.options import EncodeOptions

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
from tests.test_encoder import SPEC, replace
from vidcolor.encoder import *
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


def test_the_same_pictures_give_the_same_bytes() -> None:
    """Whatever memory holds before it is written: glibc fills it with other bytes each time."""
    found = set()
    for filling in ("0", "85", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": filling}
        command = [sys.executable, "-c", POISONED]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.add(done.stdout)
    assert len(found) == 1
