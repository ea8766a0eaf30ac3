"""The network of "Real-Time User-Guided Image Colorization" (Zhang et al. 2017): a U-Net with color hints.

    L, ab, mask ─► 1 ──► 2 ──► 3 ──► 4 ─► 5 ─► 6 ─► 7      strides 1, 2, 4, then 8; 5 and 6 dilated
                   │     │     └──────────────────► 8 ─► logits over the bins of ab (optional)
                   │     └────────────────────────► 9
                   └──────────────────────────────► 10 ─► ab

The groups are those of :mod:`vidcolor.networks.eccv16`; between them every second pixel is taken. Without hints their
three channels are 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.frames import HINT_CHANNELS
from vidcolor.networks.color_bins import bins
from vidcolor.networks.eccv16 import centered_lightness, conv_group
from vidcolor.networks.layers import bounded_ab, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction


class UpGroup(nn.Module):
    """Decoder group: upsample, add the skip connection, and convolve the sum.

    Args:
        below: channels of the coarser level.
        skip: channels of the skip connection.
        outputs: channels of the sum.
        rest: is applied to the sum after a ReLU.
    """

    def __init__(self, below: int, skip: int, outputs: int, rest: nn.Sequential) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(below, outputs, 4, stride=2, padding=1)
        self.shortcut = nn.Conv2d(skip, outputs, 3, padding=1)
        self.rest = rest

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return the result of ``rest`` from the coarser level (N, below, h, w) and the skip (N, skip, 2h, 2w)."""
        x: Tensor = self.rest(F.relu(self.enlarge(below) + self.shortcut(skip)))
        return x


class Siggraph17(ColorNetwork):
    """U-Net with color hints, as in "Real-Time User-Guided Image Colorization" (Zhang et al. 2017).

    Args:
        filters: channels of the first group; up to 8 times as many at stride 8.
        classification: whether to predict logits over the bins too, at a quarter of the size. Without a loss on them
            their layer is not trained.
    """

    multiple = 8
    takes_hints = True

    def __init__(self, *, filters: int = 64, classification: bool = False) -> None:
        super().__init__({"filters": filters, "classification": classification})
        f = filters
        self.group1 = conv_group(1 + HINT_CHANNELS, f, 2)
        self.group2 = conv_group(f, 2 * f, 2)
        self.group3 = conv_group(2 * f, 4 * f, 3)
        self.middle = nn.Sequential(
            conv_group(4 * f, 8 * f, 3),
            conv_group(8 * f, 8 * f, 3, dilation=2),
            conv_group(8 * f, 8 * f, 3, dilation=2),
            conv_group(8 * f, 8 * f, 3),
        )
        self.group8 = UpGroup(8 * f, 4 * f, 4 * f, conv_group(4 * f, 4 * f, 2))
        self.group9 = UpGroup(4 * f, 2 * f, 2 * f, conv_group(2 * f, 2 * f, 1))
        last = nn.Sequential(nn.Conv2d(2 * f, 2 * f, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))
        self.group10 = UpGroup(2 * f, f, 2 * f, last)
        self.to_ab = conv_to_ab(2 * f, 1)
        self.to_logits = nn.Conv2d(4 * f, len(bins()), 1) if classification else None

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab, and logits if there are any; ab has full size; see :meth:`ColorNetwork.predict`."""
        if hints is None:
            hints = grey.new_zeros(grey.shape[0], HINT_CHANNELS, *grey.shape[-2:])
        x1 = self.group1(torch.cat((centered_lightness(grey), hints), dim=1))
        x2 = self.group2(x1[..., ::2, ::2])
        x3 = self.group3(x2[..., ::2, ::2])
        x8 = self.group8(self.middle(x3[..., ::2, ::2]), x3)
        x10 = self.group10(self.group9(x8, x2), x1)
        logits = None if self.to_logits is None else self.to_logits(x8)
        return Prediction(bounded_ab(self.to_ab(x10)).ab, logits=logits)
