"""A U-Net on an ImageNet encoder, with self-attention, three input scales and color hints.

                     half size ─► encoder ─┐ (strides 32 and 64)
    grey ─► encoder ─► 1/32 ───────────────┴─► attention ─► 1/16 ─► attention ─► 1/8 ─► 1/4 ─► 1/2 ─► ab
              └──────► 1/16, 1/8, 1/4 ─────────────────────►  skips  ◄──┐
    grey, double size, hints ─► detail 1/2 ─► 1/4 ─► 1/8 ─► 1/16 ─► 1/32 ┘

It follows the multi-scale conditional-GAN generator that the recipe ``multiscale-attention`` names, with the encoder
as a parameter. The encoder's input is grey alone, so its features can be cached while it is frozen. Hints (Zhang et
al. 2017: colors and a mask of where they are known) enter through the detail path and reach every position through the
attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.frames import HINT_CHANNELS
from vidcolor.networks.encoders import ENCODERS, encode_two_sizes
from vidcolor.networks.layers import DecoderBlock, SelfAttention, bounded_ab, conv_bn_relu, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction


class MultiscaleDetailPath(nn.Module):
    """Convolutions on grey at its own and at double size and on the hints, from stride 2 down to stride 32.

    Args:
        channels: at strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        double_channels = 8
        self.double_size = nn.Sequential(
            nn.Conv2d(1, double_channels, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(double_channels, 2 * double_channels, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.first = conv_bn_relu(2 * double_channels + 4 + HINT_CHANNELS, channels[0])
        self.down = nn.ModuleList(conv_bn_relu(fine, coarse, stride=2) for fine, coarse in pairwise(channels))

    def forward(self, grey: Tensor, hints: Tensor) -> list[Tensor]:
        """Return maps at strides 2, 4, 8, 16 and 32 of grey (N, 1, H, W) and hints (N, 3, H, W)."""
        double = self.double_size(F.interpolate(grey, scale_factor=2.0, mode="bilinear", align_corners=False))
        x = self.first(torch.cat((double, F.pixel_unshuffle(grey, 2), F.avg_pool2d(hints, 2)), dim=1))
        maps = [x]
        for down in self.down:
            x = down(x)
            maps.append(x)
        return maps


class MultiscaleUNet(ColorNetwork):
    """U-Net on an ImageNet encoder with attention, three input scales and color hints.

    Args:
        encoder: a name in :data:`vidcolor.networks.encoders.ENCODERS`.
        width: channels of the attention layers at stride 32.
        attention_layers: how many of them.
        decoder_channels: channels at strides 16, 8, 4 and 2.
        detail_channels: channels of the detail path at strides 2, 4, 8, 16 and 32.
    """

    multiple = 32
    takes_hints = True
    encoder: nn.Module

    def __init__(
        self,
        *,
        encoder: str = "efficientnet_lite2",
        width: int = 320,
        attention_layers: int = 4,
        decoder_channels: Sequence[int] = (192, 128, 64, 32),
        detail_channels: Sequence[int] = (24, 32, 48, 64, 96),
    ) -> None:
        super().__init__(
            {
                "encoder": encoder,
                "width": width,
                "attention_layers": attention_layers,
                "decoder_channels": list(decoder_channels),
                "detail_channels": list(detail_channels),
            }
        )
        encoder_module = ENCODERS[encoder]()
        self.encoder = encoder_module
        encoder_channels: tuple[int, ...] = tuple(encoder_module.channels)
        self.detail = MultiscaleDetailPath(detail_channels)
        self.scene = nn.Conv2d(2 * encoder_channels[4] + encoder_channels[3] + detail_channels[4], width, 1)
        self.attention = nn.Sequential(*(SelfAttention(width, heads=width // 40) for _ in range(attention_layers)))
        at16, at8, at4, at2 = decoder_channels
        self.block16 = DecoderBlock(width, (encoder_channels[3], detail_channels[3]), at16)
        self.attention16 = SelfAttention(at16, heads=at16 // 32)
        self.block8 = DecoderBlock(at16, (encoder_channels[2], detail_channels[2]), at8)
        self.block4 = DecoderBlock(at8, (encoder_channels[1], detail_channels[1]), at4)
        self.block2 = DecoderBlock(at4, (detail_channels[0],), at2)
        self.to_ab = conv_to_ab(at2, 3)

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Compute the encoder's features of grey (N, 1, H, W): six maps, as :func:`encode_two_sizes` returns them."""
        return encode_two_sizes(self.encoder, grey)

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at half size; see :meth:`ColorNetwork.predict`."""
        if hints is None:
            hints = grey.new_zeros(grey.shape[0], HINT_CHANNELS, *grey.shape[-2:])
        s4, s8, s16, s32, half16, half32 = features or self.encode(grey)
        d2, d4, d8, d16, d32 = self.detail(grey, hints)
        size = s32.shape[-2:]
        scene = (F.interpolate(half, size=size, mode="bilinear", align_corners=False) for half in (half16, half32))
        x = self.attention(self.scene(torch.cat((s32, *scene, d32), dim=1)))
        x = self.attention16(self.block16(x, (s16, d16)))
        x = self.block8(x, (s8, d8))
        x = self.block4(x, (s4, d4))
        x = self.block2(x, (d2,))
        return bounded_ab(self.to_ab(x))
