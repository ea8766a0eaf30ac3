"""LPIPS, the perceptual distance of Zhang et al. 2018, in its variant "Alex", version 0.1.

Its two parts are published separately: AlexNet's convolutions by torchvision, and the five weight vectors that were
fitted to human judgments in the package torchmetrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor_training.pretrained.feature_networks import AlexNetFeatures
from vidcolor_training.pretrained.parameters import load_strictly, read_parameters
from vidcolor_training.pretrained.published import load_published

NORM_EPSILON = 1e-8  # as torchmetrics has it, so that dead positions have a gradient and no division by 0
HEADS = "functional/image/lpips_models/alex.pth"
CHANNELS = (64, 192, 384, 256, 256)


class Lpips(nn.Module):
    """LPIPS of pictures of any size from 32 pixels on, at that size.

    The maps of a picture can be kept, so that those of the truth are computed once for all comparisons.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = AlexNetFeatures()
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(channels)) for channels in CHANNELS)

    def maps(self, rgb: Tensor) -> list[Tensor]:
        """Map R'G'B' (N, 3, H, W) in [0, 1] to the five maps of AlexNet (N, C, h, w), unit vectors along C.

        The scaling that LPIPS publishes for pictures in [-1, 1] is ImageNet's for pictures in [0, 1].
        """
        return [x / torch.sqrt(NORM_EPSILON + (x**2).sum(dim=1, keepdim=True)) for x in self.network(rgb)]

    def compare(self, pred: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
        """Return LPIPS (N,) of two sets of maps; 0 for equal maps."""
        layers = [
            torch.einsum("nchw,c->nhw", (p - t) ** 2, head).mean(dim=(1, 2))
            for p, t, head in zip(pred, true, self.heads, strict=True)
        ]
        return torch.stack(layers).sum(dim=0)

    def forward(self, pred: Tensor, true: Tensor) -> Tensor:
        """Return LPIPS (N,) of R'G'B' pictures (N, 3, H, W) in [0, 1]."""
        return self.compare(self.maps(pred), self.maps(true))


def published_heads() -> Path:
    """Return the file of the fitted weights inside the package torchmetrics.

    Raises:
        WeightsError: The package torchmetrics is not installed, or has another layout.
    """
    spec = find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        raise WeightsError("LPIPS needs the package torchmetrics; install vidcolor[train]")
    path = Path(spec.origin).parent / HEADS
    if not path.is_file():
        raise WeightsError(f"{path}: expected the weights of LPIPS, found no such file; install torchmetrics 1.9")
    return path


def load_lpips(alexnet: Path) -> Lpips:
    """Load LPIPS with the AlexNet of a published file, in any form that :func:`load_published` takes.

    Raises:
        WeightsError: A part is missing or is something else.
    """
    lpips = Lpips()
    load_published(lpips.network, alexnet)
    heads_file = published_heads()
    load_strictly(lpips.heads, _head_vectors(read_parameters(heads_file)), where=heads_file)
    return lpips.requires_grad_(False).eval()


def _head_vectors(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert ``lin0.model.1.weight`` (1, C, 1, 1) to ``0`` (C,), and so on."""
    return {name.split(".")[0].removeprefix("lin"): value.flatten() for name, value in published.items()}
