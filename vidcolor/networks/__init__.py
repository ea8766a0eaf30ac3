"""The registry of networks: a name, as weights files and recipes use it, to a class whose keywords are its config."""

from __future__ import annotations

from typing import Any

from vidcolor.networks.generator import Generator
from vidcolor.networks.network import ColorNetwork, Prediction

NETWORKS: dict[str, type[ColorNetwork]] = {"multiscale_unet": Generator}

__all__ = ["NETWORKS", "ColorNetwork", "Prediction", "build"]


def build(name: str, config: dict[str, Any]) -> ColorNetwork:
    """The network ``name`` with random parameters. Raises KeyError for an unknown name, TypeError for a bad config."""
    return NETWORKS[name](**config)
