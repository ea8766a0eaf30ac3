"""Networks that turn a picture into one vector, for Fréchet distances between sets of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.inception import Inception3, InceptionA, InceptionC, InceptionE

from vidcolor.inference.folding import fold_batch_norm
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor_training.pretrained.parameters import load_strictly, read_parameters
from vidcolor_training.pretrained.published import load_published

INCEPTION_SIZE = 299
TENSORFLOW_CLASSES = 1008
"""Outputs of the Inception of 2015 for which FID was defined; torchvision's own has 1000."""


class EfficientNetFeatures(nn.Module):
    """EfficientNet-Lite2's last map, 352 channels, averaged over the picture, at the picture's own size."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = EfficientNetLite("efficientnet_lite2")

    def forward(self, rgb: Tensor) -> Tensor:
        """Map R'G'B' (N, 3, H, W) in [0, 1] to features (N, 352)."""
        # The encoder repeats grey in three channels, and takes three channels unchanged.
        features: Tensor = self.encoder(rgb)[-1].mean(dim=(2, 3))
        return features


class InceptionFeatures(nn.Module):
    """InceptionV3's last pooling, 2048 features (Szegedy et al. 2015), as FID is defined on it (Heusel et al. 2017).

    Pictures are rounded to 8 bits and brought to 299 × 299 bilinearly, as torchmetrics does.
    """

    def __init__(self, network: Inception3) -> None:
        super().__init__()
        network.fc, network.dropout = nn.Identity(), nn.Identity()
        self.network = network

    def forward(self, rgb: Tensor) -> Tensor:
        """Map R'G'B' (N, 3, H, W) in [0, 1] to features (N, 2048)."""
        x = (rgb * 255).round()
        x = F.interpolate(x, size=(INCEPTION_SIZE,) * 2, mode="bilinear", align_corners=False, antialias=True)
        features: Tensor = self.network((x - 128) / 128)
        return features


class _TensorFlowPooling:
    """A mixin for blocks whose last branch pools as in the network of 2015, without counting the border."""

    branch_pool: nn.Module
    pool: Callable[[Tensor], Tensor] = staticmethod(
        lambda x: F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    )

    def _forward(self, x: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = super()._forward(x)  # type: ignore[misc]  # a method of the blocks that this is mixed into
        return [*outputs[:-1], self.branch_pool(self.pool(x))]


class _BlockA(_TensorFlowPooling, InceptionA):  # type: ignore[misc]  # torchvision has no types
    pass


class _BlockC(_TensorFlowPooling, InceptionC):  # type: ignore[misc]  # torchvision has no types
    pass


class _BlockE(_TensorFlowPooling, InceptionE):  # type: ignore[misc]  # torchvision has no types
    pass


class _LastBlockE(_BlockE):
    # the published network takes the largest value here, not the mean
    pool = staticmethod(lambda x: F.max_pool2d(x, 3, stride=1, padding=1))


def tensorflow_inception() -> Inception3:
    """Build the InceptionV3 of 2015 that FID was defined on, with random parameters under torchvision's names."""
    network = Inception3(num_classes=TENSORFLOW_CLASSES, aux_logits=False, init_weights=False)
    network.Mixed_5b, network.Mixed_5c = _BlockA(192, pool_features=32), _BlockA(256, pool_features=64)
    network.Mixed_5d = _BlockA(288, pool_features=64)
    network.Mixed_6b, network.Mixed_6c = _BlockC(768, channels_7x7=128), _BlockC(768, channels_7x7=160)
    network.Mixed_6d, network.Mixed_6e = _BlockC(768, channels_7x7=160), _BlockC(768, channels_7x7=192)
    network.Mixed_7b, network.Mixed_7c = _BlockE(1280), _LastBlockE(2048)
    return network


def load_inception(path: Path) -> InceptionFeatures:
    """Load InceptionV3 from a file of torch-fidelity or pytorch-fid (1008 classes), or of torchvision (1000).

    Raises:
        WeightsError: The file holds something else.
    """
    state = {name: value for name, value in read_parameters(path).items() if not name.startswith("AuxLogits.")}
    classes = len(state.get("fc.bias", torch.empty(0)))
    if classes == TENSORFLOW_CLASSES:
        network = tensorflow_inception()
    else:
        network = Inception3(aux_logits=False, init_weights=False)
    counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
    load_strictly(network, {**counters, **state}, where=path)
    return InceptionFeatures(network).requires_grad_(False).eval()


def load_efficientnet_features(path: Path) -> EfficientNetFeatures:
    """Load EfficientNet-Lite2 from a published file, in any form that :func:`load_published` takes.

    Raises:
        WeightsError: the file holds something else.
    """
    network = EfficientNetFeatures()
    load_published(network.encoder, path)
    fold_batch_norm(network.requires_grad_(False).eval())
    return network
