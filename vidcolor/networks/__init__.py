"""The registry of networks: a name, as weights files and recipes use it, to a class whose keywords are its config."""

from __future__ import annotations

from typing import Any

from vidcolor.networks.autoencoder import Autoencoder
from vidcolor.networks.cnn4 import Cnn4
from vidcolor.networks.eccv16 import Eccv16
from vidcolor.networks.generator import Generator
from vidcolor.networks.network import ColorNetwork, Prediction
from vidcolor.networks.pretrained_unet import PretrainedUNet
from vidcolor.networks.pyramid import Pyramid
from vidcolor.networks.residual import ResidualNetwork
from vidcolor.networks.residual_unet import ResidualUNet
from vidcolor.networks.siggraph17 import Siggraph17
from vidcolor.networks.unet import UNet

NETWORKS: dict[str, type[ColorNetwork]] = {
    "autoencoder": Autoencoder,
    "cnn4": Cnn4,
    "eccv16": Eccv16,
    "multiscale_unet": Generator,
    "pretrained_unet": PretrainedUNet,
    "pyramid": Pyramid,
    "residual": ResidualNetwork,
    "residual_unet": ResidualUNet,
    "siggraph17": Siggraph17,
    "unet": UNet,
}

__all__ = ["NETWORKS", "ColorNetwork", "Prediction", "build"]


def build(name: str, config: dict[str, Any]) -> ColorNetwork:
    """The network ``name`` with random parameters. Raises KeyError for an unknown name, TypeError for a bad config."""
    return NETWORKS[name](**config)
