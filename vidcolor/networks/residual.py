"""A residual network (He et al. 2016) at full size throughout, with a small receptive field.

It has the form of a super-resolution network (Ledig et al. 2017) without upsampling.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vidcolor.networks.layers import ResidualBlock, bounded_ab, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction


class ResidualNetwork(ColorNetwork):
    """Residual blocks at full size; each pixel depends on ``2 * blocks + 4`` pixels on each side.

    Args:
        filters: channels of all layers. All activations have the size of the picture, so time and memory are high.
        blocks: residual blocks.
    """

    multiple = 1

    def __init__(self, *, filters: int = 64, blocks: int = 8) -> None:
        super().__init__({"filters": filters, "blocks": blocks})
        first = nn.Conv2d(1, filters, 7, padding=3, bias=False)
        self.layers = nn.Sequential(
            first,
            nn.BatchNorm2d(filters),
            nn.ReLU(inplace=True),
            *(ResidualBlock(filters, filters) for _ in range(blocks)),
            conv_to_ab(filters, 3),
        )

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at full size; see :meth:`ColorNetwork.predict`."""
        return bounded_ab(self.layers(grey * 2 - 1))
