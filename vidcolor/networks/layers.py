"""What several networks are made of. Convolutions stand before their batch norm in one sequence, so that they fold."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.color import AB_SCALE
from vidcolor.networks.network import Prediction


def conv_bn_relu(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, batch norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016), with a 1×1 convolution in it where the shape changes."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.layers = nn.Sequential(conv_bn_relu(inputs, outputs, stride=stride), second, nn.BatchNorm2d(outputs))
        project = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.layers(x))


def conv_to_ab(inputs: int, kernel: int) -> nn.Conv2d:
    """The last convolution, which begins near grey: training need not first take back wild colours."""
    conv = nn.Conv2d(inputs, 2, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=0.01)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def bounded_ab(x: Tensor) -> Prediction:
    """The last layer's (N, 2, h, w), without bounds, as ab within ±AB_SCALE."""
    return Prediction(x.tanh().float() * AB_SCALE)
