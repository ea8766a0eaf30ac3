"""A network of four layers that predicts R'G'B' or HSL, from which ab is computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidcolor.networks.lab import full_precision, rgb_to_lab
from vidcolor.networks.network import ColorNetwork, Prediction

KERNEL_SIZE = 3


def hsl_to_rgb(hue: Tensor, saturation: Tensor, lightness: Tensor) -> Tensor:
    """Convert HSL (Joblove & Greenberg 1978) to R'G'B'.

    Args:
        hue: (N, H, W) in turns, any number: the function is periodic, so red is no discontinuity, and its derivative is
            bounded, unlike that of an angle computed from its cosine and sine.
        saturation: (N, H, W) in [0, 1].
        lightness: (N, H, W) in [0, 1].

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    chroma = saturation * (1 - (2 * lightness - 1).abs())
    offsets = hue.new_tensor((0.0, 8.0, 4.0)).view(3, 1, 1)  # of red, green and blue, in twelfths of a turn
    twelfths = torch.remainder(offsets + 12 * hue[:, None], 12)
    shape = torch.minimum(twelfths - 3, 9 - twelfths).clamp(-1, 1)
    return lightness[:, None] - chroma[:, None] / 2 * shape


class Cnn4(ColorNetwork):
    """Smallest network: four convolutions that predict R'G'B' or HSL.

    Args:
        filters: channels of all layers but the last.
        stride: of every layer, 1 or 2.
        space: ``rgb``, or ``hsl`` with the hue in turns, unbounded.

    Raises:
        ValueError: ``space`` is neither.
    """

    def __init__(self, *, filters: int = 12, stride: int = 1, space: str = "rgb") -> None:
        super().__init__({"filters": filters, "stride": stride, "space": space})
        if space not in ("rgb", "hsl"):
            raise ValueError(f"unknown space {space!r}; there are: hsl, rgb")
        self.multiple = stride**2
        self.space = space
        self.layers = nn.Sequential(
            nn.Conv2d(1, filters, KERNEL_SIZE, stride=stride, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(filters, filters, KERNEL_SIZE, stride=stride, padding=1),
            nn.ReLU(inplace=True),
            self._transposed(filters, filters, stride),
            nn.ReLU(inplace=True),
            self._transposed(filters, 3, stride),
        )

    @staticmethod
    def _transposed(inputs: int, outputs: int, stride: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(inputs, outputs, KERNEL_SIZE, stride=stride, padding=1, output_padding=stride - 1)

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict R'G'B' and ab at full size; see :meth:`ColorNetwork.predict`."""
        x = self.layers(grey * 2 - 1).float()
        rgb = x.sigmoid() if self.space == "rgb" else hsl_to_rgb(x[:, 0], x[:, 1].sigmoid(), x[:, 2].sigmoid())
        with full_precision(rgb):
            return Prediction(rgb_to_lab(rgb)[:, 1:], rgb=rgb)
