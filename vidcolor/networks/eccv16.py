"""The classifier of "Colorful Image Colorization" (Zhang, Isola & Efros 2016): which bin of ab is each place's color?

Seven groups of convolutions as in the paper's Table 4, the fifth and sixth dilated, go down to stride 8; the eighth
comes back to stride 4. Batch norm stands behind the last ReLU of a group, as published, where it cannot be folded.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vidcolor.color.lab import grey_to_lightness
from vidcolor.networks.color_bins import TEMPERATURE, annealed_mean, bins
from vidcolor.networks.network import ColorNetwork, Prediction


def conv_group(inputs: int, outputs: int, layers: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3×3 convolutions with ReLU, the last with ``stride``, and a batch norm behind them all."""
    modules: list[nn.Module] = []
    for layer in range(layers):
        step = stride if layer == layers - 1 else 1
        conv = nn.Conv2d(inputs, outputs, 3, stride=step, padding=dilation, dilation=dilation)
        modules += [conv, nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*modules, nn.BatchNorm2d(outputs))


def centred_lightness(grey: Tensor) -> Tensor:
    """What both networks of Zhang et al. look at: L, in hundreds and around 0."""
    return ((grey_to_lightness(grey.float()) - 50) / 100).to(grey)


class Eccv16(ColorNetwork):
    """Grey to logits over the bins, and ab from them.

    Args:
        filters: channels of the first group; 2, 4 and 8 times as many further down.
        temperature: of the annealed mean that makes ab.
    """

    multiple = 8
    bins: Tensor

    def __init__(self, *, filters: int = 64, temperature: float = TEMPERATURE) -> None:
        super().__init__({"filters": filters, "temperature": temperature})
        self.temperature = temperature
        f = filters
        self.groups = nn.Sequential(
            conv_group(1, f, 2, stride=2),
            conv_group(f, 2 * f, 2, stride=2),
            conv_group(2 * f, 4 * f, 3, stride=2),
            conv_group(4 * f, 8 * f, 3),
            conv_group(8 * f, 8 * f, 3, dilation=2),
            conv_group(8 * f, 8 * f, 3, dilation=2),
            conv_group(8 * f, 8 * f, 3),
        )
        self.register_buffer("bins", bins().clone())  # saved with the rest: on the device, and exact in fp16 and bf16
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(8 * f, 4 * f, 4, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(4 * f, 4 * f, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(4 * f, 4 * f, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(4 * f, len(self.bins), 1),
        )  # fmt: skip

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, semantics: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Logits and ab at a quarter of the size; see :meth:`ColorNetwork.predict`."""
        logits = self.enlarge(self.groups(centred_lightness(grey)))
        return Prediction(annealed_mean(logits, self.temperature, self.bins), logits=logits)
