"""A U-Net of residual blocks (Zhang, Liu & Wang 2018), with transposed or resize-convolutions.

Transposed convolutions can cause checkerboard artifacts; resizing before a convolution does not (Odena et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vidcolor.networks.layers import ResidualBlock, bounded_ab, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction


def _upsample(inputs: int, outputs: int, upsampling: str) -> nn.Sequential:
    """Build a layer that doubles height and width."""
    if upsampling == "transposed":
        return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1))
    if upsampling == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1))
    raise ValueError(f"unknown upsampling {upsampling!r}; there are: resize, transposed")


class ResidualUNet(ColorNetwork):
    """U-Net with one residual block per level in the encoder and one in the decoder.

    Args:
        filters: channels at full size; they double with every level, up to 16 times as many.
        downs: levels below full size.
        upsampling: ``transposed`` or ``resize``.

    Raises:
        ValueError: ``upsampling`` is unknown.
    """

    def __init__(self, *, filters: int = 32, downs: int = 5, upsampling: str = "transposed") -> None:
        super().__init__({"filters": filters, "downs": downs, "upsampling": upsampling})
        self.multiple = 2**downs
        widths = [filters * min(2**level, 16) for level in range(downs + 1)]
        self.first = ResidualBlock(1, widths[0])
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, stride=2) for fine, coarse in pairwise(widths))
        self.enlarge = nn.ModuleList(_upsample(coarse, fine, upsampling) for fine, coarse in pairwise(widths))
        self.join = nn.ModuleList(ResidualBlock(2 * fine, fine) for fine in widths[:-1])
        self.to_ab = conv_to_ab(widths[0], 1)

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at full size; see :meth:`ColorNetwork.predict`."""
        skips = [self.first(grey * 2 - 1)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for enlarge, join in zip(reversed(self.enlarge), reversed(self.join), strict=True):
            x = join(torch.cat((skips.pop(), enlarge(x)), dim=1))
        return bounded_ab(self.to_ab(x))
