"""The U-Net of pix2pix (Isola et al. 2017), from grey to ab.

grey ─► 1/2 ─► 1/4 ─► ... ─► 1/2^downs        convolutions 4×4 with stride 2, leaky ReLU
         │      │                │
ab  ◄── 1/2 ◄─ 1/4 ◄─ ... ◄──────┘            transposed convolutions, each on what is below and its skip
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidcolor.networks.layers import bounded_ab
from vidcolor.networks.network import ColorNetwork, Prediction

WIDEST = 8  # times ``filters``
WITHOUT_DROPOUT = 5  # levels: the innermost and the outer four
INITIAL_STD = 0.02


def _initialise(module: nn.Module) -> None:
    """As pix2pix: all weights from a narrow normal distribution, those of batch norm around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, INITIAL_STD)


class UNet(ColorNetwork):
    """54.4 million parameters as published.

    Args:
        downs: levels; at ``2**downs`` pixels a side the innermost map is one pixel, which is why it has no batch norm.
        filters: channels of the outermost level; they double inwards, up to 8 times as many.
        dropout: in the levels next to the innermost: all but five, so three of eight.
    """

    def __init__(self, *, downs: int = 8, filters: int = 64, dropout: float = 0.5) -> None:
        super().__init__({"downs": downs, "filters": filters, "dropout": dropout})
        self.multiple = 2**downs
        widths = [filters * min(2**level, WIDEST) for level in range(downs)]
        self.down = nn.ModuleList(self._down(widths, level) for level in range(downs))
        self.up = nn.ModuleList(self._up(widths, level, dropout) for level in range(downs))
        self.apply(_initialise)

    @staticmethod
    def _down(widths: Sequence[int], level: int) -> nn.Sequential:
        if level == 0:
            return nn.Sequential(nn.Conv2d(1, widths[0], 4, stride=2, padding=1, bias=False))
        conv = nn.Conv2d(widths[level - 1], widths[level], 4, stride=2, padding=1, bias=False)
        norm = [] if level == len(widths) - 1 else [nn.BatchNorm2d(widths[level])]
        return nn.Sequential(nn.LeakyReLU(0.2), conv, *norm)  # not in place: the skip is what stood before it

    @staticmethod
    def _up(widths: Sequence[int], level: int, dropout: float) -> nn.Sequential:
        inputs = widths[level] if level == len(widths) - 1 else 2 * widths[level]
        if level == 0:
            return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inputs, 2, 4, stride=2, padding=1))
        outputs = widths[level - 1]
        conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        drop = [nn.Dropout(dropout)] if WITHOUT_DROPOUT - 1 <= level < len(widths) - 1 else []
        return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs), *drop)

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, semantics: Sequence[Tensor] | None = None
    ) -> Prediction:
        """ab at full size; see :meth:`ColorNetwork.predict`."""
        x, skips = grey * 2 - 1, []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.up[-1](skips.pop())
        for up in reversed(self.up[:-1]):
            x = up(torch.cat((skips.pop(), x), dim=1))
        return bounded_ab(x)
