"""Coarse-to-fine generators: an ImageNet encoder, attention, and a decoder that predicts color as a Laplacian pyramid.

    half size ─► encoder ─┐
    grey ─► encoder ──► 1/32 ─► attention ─► 1/16 ─► attention ─► 1/8 ──────► 1/4 ──────► 1/2
               └──────► 1/16, 1/8, 1/4 ─ skips ─┘      │            │            │           │
    grey, hints ─► detail 1/2 ─► … ─► 1/32 (skips)   color ─► ×2 ─► + … ─► ×2 ─► + … ─► ×2 ─► + …

The coarsest level predicts color, and every finer level adds a correction to it (Burt & Adelson 1983): ab in
:class:`Pyramid`, a distribution of colors in :class:`vidcolor.networks.bin_pyramid.BinPyramid`. Training can start with
the coarse levels alone, which takes a fraction of the time, and continue with the finer ones
(:attr:`ColorNetwork.finest`). The encoder's input is grey alone, so its features can be cached while it is frozen.
Hints (Zhang et al. 2017: colors and a mask of where they are known) enter the detail path at each of its strides,
averaged over the known pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.frames import HINT_CHANNELS
from vidcolor.networks.encoders import ENCODERS, encode_two_sizes
from vidcolor.networks.layers import DecoderBlock, SelfAttention, bounded_ab, conv_bn_relu, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction

HEAD_CHANNELS = 64
"""Channels of an attention head."""
HALF_KNOWN = 0.01
"""Mean confidence of a cell, 0 to 1, at which its color counts as known by half (:func:`known_colors`)."""


class DetailPath(nn.Module):
    """Convolutions on grey and hints without a pretrained encoder, from stride 2 down to stride 32.

    Args:
        channels: at strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.first = conv_bn_relu(4 + HINT_CHANNELS, channels[0])
        self.down = nn.ModuleList(
            conv_bn_relu(fine + HINT_CHANNELS, coarse, stride=2) for fine, coarse in pairwise(channels)
        )

    def forward(self, grey: Tensor, hints: Tensor | None) -> list[Tensor]:
        """Return maps at strides 2, 4, 8, 16 and 32 of grey (N, 1, H, W) and hints (N, 3, H, W) or None."""
        cells = None if hints is None else F.avg_pool2d(hints.contiguous(memory_format=torch.channels_last), 2)
        x = self.first(append_hints(F.pixel_unshuffle(grey, 2).contiguous(memory_format=torch.channels_last), cells))
        maps = [x]
        for level, down in enumerate(self.down):
            x = down(append_hints(x, cells))
            maps.append(x)
            if cells is not None and level + 1 < len(self.down):
                cells = F.avg_pool2d(cells, 2)
        return maps


def append_hints(x: Tensor, cells: Tensor | None) -> Tensor:
    """Append the hints to a map as three channels.

    Args:
        x: (N, C, h, w).
        cells: the mean of the hints over each position, (N, 3, h, w); None: no hints, the channels are 0.

    Returns:
        (N, C + 3, h, w).
    """
    n, _, h, w = x.shape
    # In the channels-last layout, like all maps at inference: otherwise the concatenation would copy them to another.
    colors = x.new_zeros(n, h, w, HINT_CHANNELS).movedim(-1, 1) if cells is None else known_colors(cells)
    return torch.cat((x, colors), dim=1)


def known_colors(cells: Tensor) -> Tensor:
    """Convert means of hints over cells to the mean color of their known pixels.

    Args:
        cells: (N, 3, h, w): the means of a and b times the confidence, and of the confidence.

    Returns:
        (N, 3, h, w): the means of a and b weighted by confidence, and how far they are known, 0 to 1; all are 0 in
        cells without hints.
    """
    return cells / (cells[:, 2:] + HALF_KNOWN)


class PyramidDecoder(ColorNetwork):
    """The layers that coarse-to-fine generators share: everything but the layers that predict color.

    Args:
        config: the keyword arguments of the network; the keys below are used here.

            ``encoder``: a name in :data:`vidcolor.networks.encoders.ENCODERS`.

            ``width``: channels of the attention layers at stride 32.

            ``attention_layers``: how many of them at strides 32 and 16.

            ``decoder_channels``: channels at each of :attr:`ColorNetwork.strides`.

            ``detail_channels``: channels of the detail path at strides 2, 4, 8, 16 and 32.
        finest: see :attr:`ColorNetwork.finest`.
    """

    multiple = 32
    takes_hints = True
    encoder: nn.Module

    def __init__(self, config: dict[str, Any], finest: int) -> None:
        super().__init__(config)
        encoder = ENCODERS[config["encoder"]]()
        self.encoder = encoder
        self.finest = finest
        encoder_channels: tuple[int, ...] = tuple(encoder.channels)
        width, detail_channels, decoder_channels = (
            config[key] for key in ("width", "detail_channels", "decoder_channels")
        )
        self.detail = DetailPath(detail_channels)
        self.scene = nn.Conv2d(2 * encoder_channels[4] + encoder_channels[3] + detail_channels[4], width, 1)
        at32, at16 = config["attention_layers"]
        self.attention = nn.Sequential(
            *(SelfAttention(width, heads=max(width // HEAD_CHANNELS, 1)) for _ in range(at32))
        )
        skips = (
            (encoder_channels[3], detail_channels[3]),
            (encoder_channels[2], detail_channels[2]),
            (encoder_channels[1], detail_channels[1]),
            (detail_channels[0],),
        )[: len(self.strides)]
        below = (width, *decoder_channels[:-1])
        self.blocks = nn.ModuleList(
            DecoderBlock(b, s, o) for b, s, o in zip(below, skips, decoder_channels, strict=True)
        )
        first = decoder_channels[0]
        self.attention16 = nn.Sequential(
            *(SelfAttention(first, heads=max(first // HEAD_CHANNELS, 1)) for _ in range(at16))
        )

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Compute the encoder's features of grey (N, 1, H, W): six maps, as :func:`encode_two_sizes` returns them."""
        return encode_two_sizes(self.encoder, grey)

    def decode(self, grey: Tensor, hints: Tensor | None, features: Sequence[Tensor] | None) -> Iterator[Tensor]:
        """Yield the decoder's map at each stride down to :attr:`ColorNetwork.finest`, coarse to fine.

        The arguments are those of :meth:`ColorNetwork.predict`.
        """
        s4, s8, s16, s32, half16, half32 = features or self.encode(grey)
        d2, d4, d8, d16, d32 = self.detail(grey, hints)
        size = s32.shape[-2:]
        scene = (F.interpolate(half, size=size, mode="bilinear", align_corners=False) for half in (half16, half32))
        x = self.attention(self.scene(torch.cat((s32, *scene, d32), dim=1)))
        skips = ((s16, d16), (s8, d8), (s4, d4), (d2,))[: len(self.strides)]
        for stride, block, skip in zip(self.strides, self.blocks, skips, strict=True):
            x = block(x, skip)
            if stride == self.strides[0]:
                x = self.attention16(x)
            yield x
            if stride == self.finest:
                return


def add_levels(levels: Iterable[Tensor]) -> Tensor:
    """Add up a Laplacian pyramid: maps (N, C, h, w), each twice the size of the one before, coarse to fine."""
    total: Tensor | None = None
    for level in levels:
        finer = level.contiguous()  # interpolation is faster in this layout
        if total is not None:
            finer = finer + F.interpolate(total, scale_factor=2.0, mode="bilinear", align_corners=False)
        total = finer
    assert total is not None
    return total


class Pyramid(PyramidDecoder):
    """Coarse-to-fine generator: ImageNet encoder, attention, ab predicted as a Laplacian pyramid, color hints.

    Args:
        encoder: a name in :data:`vidcolor.networks.encoders.ENCODERS`.
        width: channels of the attention layers at stride 32.
        attention_layers: how many of them at strides 32 and 16.
        decoder_channels: channels at strides 16, 8, 4 and 2.
        detail_channels: channels of the detail path at strides 2, 4, 8, 16 and 32.
        finest: see :attr:`ColorNetwork.finest`.
    """

    strides = (16, 8, 4, 2)

    def __init__(
        self,
        *,
        encoder: str = "efficientnet_lite2",
        width: int = 320,
        attention_layers: Sequence[int] = (4, 2),
        decoder_channels: Sequence[int] = (192, 128, 64, 32),
        detail_channels: Sequence[int] = (24, 32, 48, 64, 96),
        finest: int = 2,
    ) -> None:
        config = {
            "encoder": encoder,
            "width": width,
            "attention_layers": list(attention_layers),
            "decoder_channels": list(decoder_channels),
            "detail_channels": list(detail_channels),
        }
        super().__init__(config, finest)
        to_ab = [conv_to_ab(channels, 3) for channels in decoder_channels]
        for finer in to_ab[1:]:
            nn.init.zeros_(finer.weight)  # so that each finer level starts without a correction
        self.to_ab = nn.ModuleList(to_ab)

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at the stride :attr:`finest`; see :meth:`ColorNetwork.predict`."""
        # As many layers are used as there are maps.
        levels = (to_ab(x) for x, to_ab in zip(self.decode(grey, hints, features), self.to_ab, strict=False))
        return bounded_ab(add_levels(levels))
