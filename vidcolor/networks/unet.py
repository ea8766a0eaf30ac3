"""The U-Net of pix2pix (Isola et al. 2017).

grey ─► 1/2 ─► 1/4 ─► ... ─► 1/2^downs        convolutions 4×4 with stride 2, leaky ReLU
         │      │                │
ab  ◄── 1/2 ◄─ 1/4 ◄─ ... ◄──────┘            transposed convolutions of the coarser level and the skip
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidcolor.networks.layers import bounded_ab
from vidcolor.networks.network import ColorNetwork, Prediction

LEVELS_WITHOUT_DROPOUT = 5
"""The innermost level and the outer four."""
INITIAL_STD = 0.02
"""Standard deviation of the initial weights."""


def _initialize(module: nn.Module) -> None:
    """Initialize the weights as pix2pix does: normally distributed around 0, those of batch norm around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, INITIAL_STD)


class UNet(ColorNetwork):
    """U-Net of pix2pix (Isola et al. 2017), with 54.4 million parameters by default.

    Args:
        downs: levels. For pictures of ``2**downs`` pixels a side the innermost map is one pixel, so it has no batch
            norm.
        filters: channels of the outermost level; they double with every level, up to 8 times as many.
        dropout: probability of dropout in all decoder levels but five, so in three of eight.
    """

    def __init__(self, *, downs: int = 8, filters: int = 64, dropout: float = 0.5) -> None:
        super().__init__({"downs": downs, "filters": filters, "dropout": dropout})
        self.multiple = 2**downs
        widths = [filters * min(2**level, 8) for level in range(downs)]
        self.down = nn.ModuleList(self._down(widths, level) for level in range(downs))
        self.up = nn.ModuleList(self._up(widths, level, dropout) for level in range(downs))
        self.apply(_initialize)

    @staticmethod
    def _down(widths: Sequence[int], level: int) -> nn.Sequential:
        """Build the encoder layer of a level; ``widths`` are the channels of all levels."""
        if level == 0:
            return nn.Sequential(nn.Conv2d(1, widths[0], 4, stride=2, padding=1, bias=False))
        conv = nn.Conv2d(widths[level - 1], widths[level], 4, stride=2, padding=1, bias=False)
        norm = [] if level == len(widths) - 1 else [nn.BatchNorm2d(widths[level])]
        return nn.Sequential(nn.LeakyReLU(0.2), conv, *norm)  # not in place, because the skip connection uses its input

    @staticmethod
    def _up(widths: Sequence[int], level: int, dropout: float) -> nn.Sequential:
        """Build the decoder layer of a level; ``widths`` are the channels of all levels."""
        inputs = widths[level] if level == len(widths) - 1 else 2 * widths[level]
        if level == 0:
            return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inputs, 2, 4, stride=2, padding=1))
        outputs = widths[level - 1]
        conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        drop = [nn.Dropout(dropout)] if LEVELS_WITHOUT_DROPOUT - 1 <= level < len(widths) - 1 else []
        return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs), *drop)

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at full size; see :meth:`ColorNetwork.predict`."""
        x, skips = grey * 2 - 1, []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.up[-1](skips.pop())
        for up in reversed(self.up[:-1]):
            x = up(torch.cat((skips.pop(), x), dim=1))
        return bounded_ab(x)
