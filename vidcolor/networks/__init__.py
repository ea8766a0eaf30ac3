"""The registry of networks: a name, as weights files and recipes use it, to a class whose keywords are its config."""

from __future__ import annotations

from typing import Any

from torch import nn

from vidcolor.networks.generator import Generator

NETWORKS: dict[str, type[nn.Module]] = {"multiscale_unet": Generator}


def build(name: str, config: dict[str, Any]) -> nn.Module:
    """The network ``name`` with random parameters. Raises KeyError for an unknown name, TypeError for a bad config."""
    return NETWORKS[name](**config)
