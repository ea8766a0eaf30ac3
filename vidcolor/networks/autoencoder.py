"""A convolutional encoder–decoder without skip connections, as a baseline for the U-Nets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from vidcolor.networks.layers import bounded_ab, conv_bn_relu, conv_to_ab
from vidcolor.networks.network import ColorNetwork, Prediction


class Autoencoder(ColorNetwork):
    """Encoder–decoder without skip connections, a baseline for the U-Nets.

    Args:
        filters: channels at half size; they double with every level.
        downs: levels that halve the size, and as many that double it.
    """

    def __init__(self, *, filters: int = 64, downs: int = 4) -> None:
        super().__init__({"filters": filters, "downs": downs})
        self.multiple = 2**downs
        widths = [filters * 2**level for level in range(downs)]
        encoder = [conv_bn_relu(fine, coarse, stride=2) for fine, coarse in pairwise((1, *widths))]
        decoder = [
            nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv_bn_relu(coarse, fine))
            for coarse, fine in pairwise((*reversed(widths), filters // 2))
        ]
        self.layers = nn.Sequential(*encoder, *decoder, conv_to_ab(filters // 2, 3))

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict ab at full size; see :meth:`ColorNetwork.predict`."""
        return bounded_ab(self.layers(grey * 2 - 1))
