"""The constants of a film, and a network small enough to be built for each test."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from functools import cache
from typing import Any

import torch

from vidcolor.frames import VideoSpec
from vidcolor.networks.multiscale_unet import MultiscaleUNet

SPEC = VideoSpec(
    width=96,
    height=64,
    bit_depth=8,
    full_range=False,
    matrix=1,
    primaries=1,
    transfer=1,
    time_base=Fraction(1, 24),
    frame_rate=Fraction(24),
    sample_aspect_ratio=None,
    rotation=0,
    estimated_frames=None,
)
"""An ordinary film: BT.709, limited range, 8 bits, upright."""

SMALL_CONFIG: dict[str, Any] = {
    "encoder": "efficientnet_lite0",
    "width": 40,
    "attention_layers": 1,
    "decoder_channels": [32, 16, 16, 8],
    "detail_channels": [8, 8, 8, 8, 8],
}


def small_generator(seed: int = 0) -> MultiscaleUNet:
    """Return a small generator with random parameters whose output is not constant; seeds PyTorch, too."""
    torch.manual_seed(seed)
    return deepcopy(_generator_of(seed))


@cache
def _generator_of(seed: int) -> MultiscaleUNet:
    torch.manual_seed(seed)
    network = MultiscaleUNet(**SMALL_CONFIG)
    torch.nn.init.normal_(network.to_ab.weight, std=0.5)
    return network
