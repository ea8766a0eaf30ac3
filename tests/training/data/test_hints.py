"""Hints made from the truth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidcolor.networks.lab import AB_SCALE
from vidcolor_training.data import hints as module
from vidcolor_training.data.hints import MAX_POINTS, POINT_SIDE, simulate_hints


@pytest.fixture
def ab() -> Tensor:
    """True ab (64, 2, 64, 64), smooth, different everywhere."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(64, 2, 8, 8, generator=random) * 120 - 60
    return torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear", align_corners=False)


def only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all hinted pictures one kind of hints."""
    until = {"points": (1.0, 1.0), "patches": (0.0, 1.0), "maps": (0.0, 0.0)}
    for name, value in zip(("POINTS_UNTIL", "PATCHES_UNTIL"), until[kind], strict=True):
        monkeypatch.setattr(module, name, value)


def test_hints_are_true_where_they_are_sure() -> None:
    """About half of the pictures get none; fully confident hints carry the true color."""
    ab = torch.full((64, 2, 64, 64), 20.0)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0))
    assert hints.shape == (64, 3, 64, 64)
    confidence = hints[:, 2]
    assert 0.25 < (confidence.amax(dim=(1, 2)) == 0).float().mean() < 0.75
    sure = confidence == 1
    assert sure.any()
    torch.testing.assert_close(hints[:, 0][sure], torch.full_like(hints[:, 0][sure], 20 / AB_SCALE))
    assert (hints[:, :2].abs().sum(dim=1)[confidence == 0] == 0).all()


def test_kinds_come_as_often_as_said() -> None:
    """Half none, a fifth points, a tenth patches, a fifth whole maps; the same again from the same seed."""
    ab = torch.full((1000, 2, 16, 16), 20.0)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0))
    confidence = hints[:, 2]
    low, high = confidence.amin(dim=(1, 2)), confidence.amax(dim=(1, 2))
    assert (high == 0).float().mean() == pytest.approx(0.5, abs=0.05)
    assert ((high > 0) & (high < 1)).float().mean() == pytest.approx(0.2, abs=0.04)
    assert ((low < 1) & (high == 1)).float().mean() == pytest.approx(0.3, abs=0.05)
    assert torch.equal(hints, simulate_hints(ab, torch.Generator().manual_seed(0)))


def test_points_are_means_over_squares(ab: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that no other overlaps is a square of 7 × 7 with the mean of the true colors on it."""
    only("points", monkeypatch)
    monkeypatch.setattr(module, "MAX_POINTS", 1)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0), share=1.0)
    for true, (*shown, confidence) in zip(ab, hints, strict=True):
        on = confidence == 1
        assert on.sum() == POINT_SIDE**2
        rows, columns = on.any(dim=1).nonzero(), on.any(dim=0).nonzero()
        assert len(rows) == len(columns) == POINT_SIDE
        for channel, colors in zip(shown, true, strict=True):
            torch.testing.assert_close(channel[on] * AB_SCALE, colors[on].mean().expand(POINT_SIDE**2))


def test_points_differ_in_number(ab: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one to MAX_POINTS squares, in every row and column, edges included."""
    only("points", monkeypatch)
    confidence = simulate_hints(ab, torch.Generator().manual_seed(0), share=1.0)[:, 2]
    areas = confidence.sum(dim=(1, 2))
    assert areas.min() < 4 * POINT_SIDE**2
    assert 10 * POINT_SIDE**2 < areas.max() <= MAX_POINTS * POINT_SIDE**2
    assert (confidence.amax(dim=(0, 1)) == 1).all()
    assert (confidence.amax(dim=(0, 2)) == 1).all()


def test_patches_are_the_truth(ab: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rectangles of the true colors, never none and seldom all."""
    only("patches", monkeypatch)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0), share=1.0)
    confidence = hints[:, 2:]
    torch.testing.assert_close(hints[:, :2] * AB_SCALE, ab * confidence)
    covered = confidence.mean(dim=(1, 2, 3))
    assert covered.min() > 0
    assert 0.05 < covered.mean() < 0.3


def test_whole_maps_are_nearly_the_truth(ab: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere, with less confidence where they are wrong, and on the whole better than nothing by far."""
    only("maps", monkeypatch)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0), share=1.0)
    confidence = hints[:, 2:]
    assert 0 <= confidence.min() < confidence.max() < 1
    error = (hints[:, :2] / confidence.clamp(min=0.01) * AB_SCALE - ab).square().mean(dim=1)
    sure, unsure = error[confidence[:, 0] > 0.7].mean(), error[confidence[:, 0] < 0.3].mean()
    assert 0 < sure < 0.1 * unsure
    assert error.mean() < 0.5 * ab.square().mean(dim=1).mean()


def test_no_hints_at_all(ab: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch in which nobody has hints is zero."""
    assert not simulate_hints(ab, torch.Generator().manual_seed(0), share=0.0).any()
