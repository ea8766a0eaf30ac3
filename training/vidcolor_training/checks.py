"""Measure a network during training on the same few pictures, and write them as a sample sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidcolor.networks import ColorNetwork
from vidcolor_training.data.batch import join_rgb
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.evaluation.blotches import FlatSteps, blotch_figures, flat_steps
from vidcolor_training.evaluation.contact_sheet import write_sheet
from vidcolor_training.evaluation.hues import HueCounts, count_hues, hue_figures
from vidcolor_training.evaluation.metrics import LabPicture, RgbFloat, colorfulness, colorfulness_absolute, mse
from vidcolor_training.evaluation.set_metrics import colorfulness_figures, share_worse_than_grey

PICTURES = 32
SHOWN = 12
BATCH = 8


@dataclass(frozen=True)
class CheckFigures:
    """Figures of PICTURES pictures, without hints."""

    mse_over_grey: float
    colorfulness_over_truth: float


@dataclass(frozen=True)
class Check:
    """One check: ``figures`` decide what the training does next; ``log`` has them and all others by their names."""

    figures: CheckFigures
    log: Mapping[str, float]


class Checker:
    """Measures a network on pictures spread evenly over a set: the validation set, or else the training set."""

    def __init__(self, pictures: PictureSet, device: torch.device) -> None:
        indices = np.unique(np.linspace(0, len(pictures) - 1, PICTURES).astype(int))
        self.device = device
        self.grey = torch.from_numpy(np.array(pictures.grey[indices]))[:, None].float() / 255
        true = join_rgb(self.grey, torch.from_numpy(np.array(pictures.ab[indices])).float())
        self.true = [LabPicture(rgb) for rgb in _as_pictures(true)]
        self.grey_rgb = list(_as_pictures(self.grey.expand(-1, 3, -1, -1)))
        self.grey_mse = [mse(grey, true.rgb) for grey, true in zip(self.grey_rgb, self.true, strict=True)]
        self.true_hues = _hues(self.true, self.true)
        self.true_steps = _steps(self.true, self.true)

    def check(self, network: ColorNetwork, autocast: Callable[[], AbstractContextManager[Any]], sheet: Path) -> Check:
        """Measure ``network``, which is in eval mode, and write a sheet of grey | ours | truth to ``sheet``."""
        parts = []
        for start in range(0, len(self.grey), BATCH):
            grey = self.grey[start : start + BATCH].to(self.device)
            with torch.inference_mode(), autocast():
                ab = network(grey)
            parts.append(join_rgb(grey, ab).cpu())  # outside autocast: bf16 is too coarse for colors
        ours = [LabPicture(rgb) for rgb in _as_pictures(torch.cat(parts))]
        sheet.parent.mkdir(parents=True, exist_ok=True)
        triples = zip(self.grey_rgb, (o.rgb for o in ours), (t.rgb for t in self.true), strict=True)
        write_sheet(list(triples)[:SHOWN], sheet)
        return self._measure(ours)

    def _measure(self, ours: Sequence[LabPicture]) -> Check:
        errors = [mse(o.rgb, t.rgb) for o, t in zip(ours, self.true, strict=True)]
        figures = CheckFigures(
            # A set of grey pictures has no error to divide by, and no color to compare with.
            float(np.mean(errors)) / max(float(np.mean(self.grey_mse)), 1e-12),
            float(np.mean([colorfulness(o.rgb) for o in ours]))
            / max(float(np.mean([colorfulness(t.rgb) for t in self.true])), 1e-12),
        )
        pred_cf, true_cf = ([colorfulness_absolute(p.rgb) for p in pictures] for pictures in (ours, self.true))
        log = {
            **asdict(figures),
            "worse_than_grey": share_worse_than_grey(errors, self.grey_mse),
            **colorfulness_figures(pred_cf, true_cf),
            **hue_figures(_hues(ours, self.true), self.true_hues),
            **blotch_figures(_steps(ours, self.true), self.true_steps),
        }
        return Check(figures, log)


def _hues(ours: Sequence[LabPicture], true: Sequence[LabPicture]) -> HueCounts:
    pairs = zip(ours, true, strict=True)
    return sum((count_hues(o.lab[..., 1:], t.lab[..., 1:]) for o, t in pairs), HueCounts.empty())


def _steps(ours: Sequence[LabPicture], true: Sequence[LabPicture]) -> FlatSteps:
    return sum((flat_steps(o.lab, t.lab) for o, t in zip(ours, true, strict=True)), FlatSteps())


def _as_pictures(rgb: torch.Tensor) -> list[RgbFloat]:
    return list(rgb.clamp(0, 1).permute(0, 2, 3, 1).double().numpy())
