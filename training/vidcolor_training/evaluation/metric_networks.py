"""The published networks of the metrics LPIPS, Fréchet distance and FID: find and load them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor_training.evaluation.embedding_networks import load_efficientnet_features, load_inception
from vidcolor_training.evaluation.lpips import Lpips, load_lpips, published_heads
from vidcolor_training.evaluation.metrics import LabPicture, measure
from vidcolor_training.evaluation.report import Figures
from vidcolor_training.pretrained.feature_networks import to_device
from vidcolor_training.pretrained.published import find_pretrained, pretrained_folder

ALEXNET = "alexnet"
EFFICIENTNET = "efficientnet_lite2"
LPIPS = "lpips"
FRECHET = "frechet_efficientnet_lite2"
FID = "fid"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class PictureFeatures:
    """A picture and its features in the available networks."""

    picture: LabPicture
    maps: list[Tensor]
    """The maps of LPIPS; empty without it."""
    features: Mapping[str, npt.NDArray[np.float32]]
    """One vector (D,) for each metric of sets."""


@dataclass(frozen=True)
class MetricNetworks:
    """The available networks of LPIPS and of Fréchet distances, on ``device``.

    Attributes:
        lpips: LPIPS, or None.
        networks: The networks of Fréchet distances, by metric.
        not_measured: The reason why a network is missing, by metric.
        files: The files of the networks, by metric.
        device: The device of the networks.
    """

    lpips: Lpips | None = None
    networks: Mapping[str, nn.Module] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys((LPIPS, FRECHET, FID), "not asked for: no networks were handed over")
    )
    files: Mapping[str, Path] = field(default_factory=dict)
    device: torch.device = CPU

    def embed(self, picture: LabPicture) -> PictureFeatures:
        """Run every network on a picture."""
        if self.lpips is None and not self.networks:
            return PictureFeatures(picture, [], {})
        rgb = torch.from_numpy(picture.rgb).permute(2, 0, 1)[None].to(self.device, torch.float32)
        with torch.inference_mode():
            maps = [] if self.lpips is None else self.lpips.maps(rgb)
            features = {name: network(rgb)[0].cpu().numpy() for name, network in self.networks.items()}
        return PictureFeatures(picture, maps, features)

    def compare(self, pred: PictureFeatures, true: PictureFeatures) -> Figures:
        """Return all metrics of one picture, with LPIPS where it is available."""
        figures = measure(pred.picture, true.picture)
        if self.lpips is not None:
            with torch.inference_mode():
                figures[LPIPS] = float(self.lpips.compare(pred.maps, true.maps))
        return figures


def find_metric_networks(
    pretrained: Path | None = None, *, inception: Path | None = None, device: torch.device = CPU
) -> MetricNetworks:
    """Load the networks whose published parameters are available. Nothing is downloaded.

    Args:
        pretrained: A folder with the parameters of ``alexnet`` (for LPIPS) and ``efficientnet_lite2``, searched before
            the user's cache folder; see :func:`find_pretrained`.
        inception: The InceptionV3 of torch-fidelity, pytorch-fid or torchvision, for FID.
        device: The device of the networks.

    Raises:
        WeightsError: A file exists, but holds something else.
    """
    files: dict[str, Path] = {}
    networks: dict[str, nn.Module] = {}
    missing: dict[str, str] = {}
    lpips = None
    alexnet, efficientnet = find_pretrained(ALEXNET, pretrained), find_pretrained(EFFICIENTNET, pretrained)
    if alexnet is None:
        missing[LPIPS] = _how_to_get(ALEXNET)
    elif reason := _why_no_heads():
        missing[LPIPS] = reason
    else:
        files[LPIPS] = alexnet
        lpips = to_device(load_lpips(alexnet), device)
    if efficientnet is None:
        missing[FRECHET] = _how_to_get(EFFICIENTNET)
    else:
        files[FRECHET] = efficientnet
        networks[FRECHET] = to_device(load_efficientnet_features(efficientnet), device)
    if inception is None:
        missing[FID] = (
            "the InceptionV3 of torch-fidelity or torchvision is not at hand; name its file with --inception, "
            "or say --inception download"
        )
    else:
        files[FID] = inception
        networks[FID] = to_device(load_inception(inception), device)
    return MetricNetworks(lpips, networks, missing, files, device)


def _how_to_get(name: str) -> str:
    return (
        f"{name} is not at hand; give --fetch, or put {name}.safetensors into {pretrained_folder()} "
        f"or name its folder with --pretrained"
    )


def _why_no_heads() -> str:
    try:
        published_heads()
    except WeightsError as exc:
        return str(exc)
    return ""
