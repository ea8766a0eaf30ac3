"""Looking at a network while it is trained: the same few pictures again and again, as figures and as a sheet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidcolor.networks import ColorNetwork
from vidcolor_training.data.batch import join_rgb
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.evaluation.contact_sheet import write_sheet
from vidcolor_training.evaluation.metrics import Rgb, colorfulness, mse

PICTURES = 32
SHOWN = 12
BATCH = 8


@dataclass(frozen=True)
class CheckFigures:
    """Of PICTURES pictures, without hints."""

    mse_over_grey: float
    colorfulness_over_truth: float


class Checker:
    """Measures a network on pictures spread evenly over a set: the validation set, or else the training set."""

    def __init__(self, pictures: PictureSet, device: torch.device) -> None:
        indices = np.unique(np.linspace(0, len(pictures) - 1, PICTURES).astype(int))
        self.device = device
        self.grey = torch.from_numpy(np.array(pictures.grey[indices]))[:, None].float() / 255
        true = join_rgb(self.grey, torch.from_numpy(np.array(pictures.ab[indices])).float())
        self.true = list(_as_pictures(true))
        self.grey_rgb = list(_as_pictures(self.grey.expand(-1, 3, -1, -1)))
        self.grey_error = _mean(mse(grey, true) for grey, true in zip(self.grey_rgb, self.true, strict=True))
        self.true_colorfulness = _mean(colorfulness(true) for true in self.true)

    def check(
        self, network: ColorNetwork, autocast: Callable[[], AbstractContextManager[Any]], sheet: Path
    ) -> CheckFigures:
        """Figures of ``network``, which is in eval mode, and a sheet of grey | ours | truth at ``sheet``."""
        parts = []
        for start in range(0, len(self.grey), BATCH):
            grey = self.grey[start : start + BATCH].to(self.device)
            with torch.inference_mode(), autocast():
                ab = network(grey)
            parts.append(join_rgb(grey, ab).cpu())  # outside autocast: bf16 is too coarse for colors
        ours = list(_as_pictures(torch.cat(parts)))
        error = _mean(mse(o, t) for o, t in zip(ours, self.true, strict=True))
        sheet.parent.mkdir(parents=True, exist_ok=True)
        write_sheet(list(zip(self.grey_rgb, ours, self.true, strict=True))[:SHOWN], sheet)
        return CheckFigures(
            # A set of grey pictures has no error to divide by, and no color to compare with.
            error / max(self.grey_error, 1e-12),
            _mean(colorfulness(picture) for picture in ours) / max(self.true_colorfulness, 1e-12),
        )


def _as_pictures(rgb: torch.Tensor) -> list[Rgb]:
    return list(rgb.clamp(0, 1).permute(0, 2, 3, 1).double().numpy())


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
