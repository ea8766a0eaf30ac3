"""A U-Net on an ImageNet encoder, without attention or hints.

It resembles fastai's DynamicUnet: a ResNet-18 encoder, and a decoder that upsamples by pixel shuffle (Shi et al. 2016)
with weights initialized to nearest-neighbor upsampling (Aitken et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidcolor.networks.encoders import ENCODERS
from vidcolor.networks.layers import bounded_ab, conv_bn_relu, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction


def _upsample(inputs: int, outputs: int, upsampling: str) -> nn.Sequential:
    """Build a layer that doubles height and width."""
    if upsampling == "pixel_shuffle":
        conv = nn.Conv2d(inputs, 4 * outputs, 1, bias=False)
        with torch.no_grad():  # the four channels of a 2×2 square start equal
            conv.weight.copy_(conv.weight[::4].repeat_interleave(4, dim=0))
        return nn.Sequential(conv, nn.BatchNorm2d(4 * outputs), nn.ReLU(inplace=True), nn.PixelShuffle(2))
    if upsampling == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv_bn_relu(inputs, outputs))
    raise ValueError(f"unknown upsampling {upsampling!r}; there are: pixel_shuffle, resize")


class UpsampleBlock(nn.Module):
    """Decoder level of a U-Net: upsample, concatenate the skip connection, and convolve twice.

    Args:
        below: channels of the coarser level.
        skip: channels of the skip connection.
        outputs: channels of this level.
        upsampling: ``pixel_shuffle`` or ``resize``.
    """

    def __init__(self, below: int, skip: int, outputs: int, upsampling: str) -> None:
        super().__init__()
        self.enlarge = _upsample(below, outputs, upsampling)
        self.refine = nn.Sequential(conv_bn_relu(outputs + skip, outputs), conv_bn_relu(outputs, outputs))

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return (N, outputs, 2h, 2w) from the coarser level (N, below, h, w) and the skip (N, skip, 2h, 2w)."""
        x: Tensor = self.refine(torch.cat((self.enlarge(below), skip), dim=1))
        return x


class PretrainedUNet(ColorNetwork):
    """U-Net on an ImageNet encoder, without attention; the outermost skip connection is the grey picture.

    Args:
        encoder: a name in :data:`vidcolor.networks.encoders.ENCODERS`.
        decoder_channels: channels at strides 16, 8, 4, 2 and 1.
        upsampling: ``pixel_shuffle`` or ``resize``.

    Raises:
        KeyError: ``encoder`` is unknown.
        ValueError: ``upsampling`` is unknown, or there are not five ``decoder_channels``.
    """

    encoder: nn.Module

    def __init__(
        self,
        *,
        encoder: str = "resnet18",
        decoder_channels: Sequence[int] = (256, 256, 128, 64, 32),
        upsampling: str = "pixel_shuffle",
    ) -> None:
        super().__init__({"encoder": encoder, "decoder_channels": list(decoder_channels), "upsampling": upsampling})
        encoder_module = ENCODERS[encoder]()
        self.encoder = encoder_module
        skips = (*encoder_module.channels[3::-1], 1)
        below = (encoder_module.channels[4], *decoder_channels[:-1])
        self.decoder = nn.ModuleList(
            UpsampleBlock(inputs, skip, outputs, upsampling)
            for inputs, skip, outputs in zip(below, skips, decoder_channels, strict=True)
        )
        self.to_ab = conv_to_ab(decoder_channels[-1], 3)

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Compute the encoder's features of grey (N, 1, H, W): five maps at strides 2, 4, 8, 16 and 32."""
        return list(self.encoder(grey))

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at full size; see :meth:`ColorNetwork.predict`."""
        *skips, x = features or self.encode(grey)
        for block, skip in zip(self.decoder, (*reversed(skips), grey * 2 - 1), strict=True):
            x = block(x, skip)
        return bounded_ab(self.to_ab(x))
