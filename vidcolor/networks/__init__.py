"""Networks that predict color, and their registry: name in weights files and recipes to class."""

from __future__ import annotations

from typing import Any

from vidcolor.networks.autoencoder import Autoencoder
from vidcolor.networks.bin_pyramid import BinPyramid
from vidcolor.networks.cnn4 import Cnn4
from vidcolor.networks.eccv16 import Eccv16
from vidcolor.networks.multiscale_unet import MultiscaleUNet
from vidcolor.networks.network import ColorNetwork, Prediction
from vidcolor.networks.pretrained_unet import PretrainedUNet
from vidcolor.networks.pyramid import Pyramid
from vidcolor.networks.residual import ResidualNetwork
from vidcolor.networks.residual_unet import ResidualUNet
from vidcolor.networks.siggraph17 import Siggraph17
from vidcolor.networks.unet import UNet

NETWORKS: dict[str, type[ColorNetwork]] = {
    "autoencoder": Autoencoder,
    "bin_pyramid": BinPyramid,
    "cnn4": Cnn4,
    "eccv16": Eccv16,
    "multiscale_unet": MultiscaleUNet,
    "pretrained_unet": PretrainedUNet,
    "pyramid": Pyramid,
    "residual": ResidualNetwork,
    "residual_unet": ResidualUNet,
    "siggraph17": Siggraph17,
    "unet": UNet,
}
"""Name to class; the keyword arguments of the class are the network's configuration."""

__all__ = ["NETWORKS", "ColorNetwork", "Prediction", "build"]


def build(name: str, config: dict[str, Any]) -> ColorNetwork:
    """Build a network with random parameters.

    Args:
        name: a key of :data:`NETWORKS`.
        config: keyword arguments of the class.

    Raises:
        KeyError: the name is unknown.
        TypeError: the class has no such keyword arguments.
        ValueError: the class does not support a value.
    """
    return NETWORKS[name](**config)
