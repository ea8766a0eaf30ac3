"""The network of "Colorful Image Colorization" (Zhang, Isola & Efros 2016), which classifies each pixel's ab bin.

Seven groups of convolutions as in the paper's Table 4, the fifth and sixth dilated, go down to stride 8; the eighth
goes back to stride 4. As published, batch norm follows the last ReLU of a group, where it cannot be folded into a
convolution.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vidcolor.networks.color_bins import TEMPERATURE, annealed_mean, bins
from vidcolor.networks.lab import grey_to_lightness
from vidcolor.networks.network import ColorNetwork, Prediction


def conv_group(inputs: int, outputs: int, layers: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Build ``layers`` 3×3 convolutions, each with a ReLU, the last with ``stride``, followed by one batch norm."""
    modules: list[nn.Module] = []
    for layer in range(layers):
        step = stride if layer == layers - 1 else 1
        conv = nn.Conv2d(inputs, outputs, 3, stride=step, padding=dilation, dilation=dilation)
        modules += [conv, nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*modules, nn.BatchNorm2d(outputs))


def centered_lightness(grey: Tensor) -> Tensor:
    """Convert grey in [0, 1] to (L − 50) / 100, the input of both networks of Zhang et al."""
    return ((grey_to_lightness(grey.float()) - 50) / 100).to(grey)


class Eccv16(ColorNetwork):
    """Classifier over color bins, as in "Colorful Image Colorization" (Zhang et al. 2016).

    Args:
        filters: channels of the first group; up to 8 times as many at stride 8.
        temperature: of the annealed mean that converts the distribution to ab.
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
        self.register_buffer("bins", bins().clone())  # a buffer: it moves with the network; fp16 and bf16 are exact
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(8 * f, 4 * f, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * f, 4 * f, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * f, 4 * f, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * f, len(self.bins), 1),
        )

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict logits and ab at a quarter of the size; see :meth:`ColorNetwork.predict`."""
        logits = self.enlarge(self.groups(centered_lightness(grey)))
        return Prediction(annealed_mean(logits, self.temperature, self.bins), logits=logits)
