"""Light and signal of HDR films, compared with values in the standards."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.samples import SPEC
from vidcolor.color.luma import shrink
from vidcolor.color.transfer import HLG, PQ, grey_to_signal, light_to_signal, neutral_signal_to_light, signal_to_grey
from vidcolor.frames import Picture


@pytest.mark.parametrize(
    ("transfer", "nits", "signal"),
    [
        (PQ, 0, 0),
        (PQ, 0.1, 0.0623),
        (PQ, 100, 0.5081),  # BT.2408 table 1, and the others that have a white of 203
        (PQ, 203, 0.5807),
        (PQ, 1000, 0.7518),
        (PQ, 10000, 1),
        (HLG, 0, 0),
        (HLG, 203, 0.75),
        (HLG, 1000, 1),
    ],
)
def test_published_levels(transfer: int, nits: float, signal: float) -> None:
    """Neutral light has the signal in the standards and BT.2408, and converts back."""
    light = np.full((3, 1), nits / 203)
    found = light_to_signal(light, transfer)
    np.testing.assert_allclose(found, signal, atol=0.0005)
    np.testing.assert_allclose(neutral_signal_to_light(found[0], transfer), nits / 203, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_the_network_sees_greys_of_srgb(transfer: int) -> None:
    """Up to 60 % of white, grey has the light of SDR; white is .9; above it grey rises and stays below 1."""
    levels = np.linspace(0.01, 0.8, 100)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    signal = light_to_signal(np.broadcast_to(linear, (3, *linear.shape)), transfer)[0]
    np.testing.assert_allclose(signal_to_grey(signal, transfer), levels, atol=1e-3)
    white = light_to_signal(np.ones((3, 1)), transfer)[0]
    np.testing.assert_allclose(signal_to_grey(white, transfer), 0.9, atol=1e-3)
    greys = signal_to_grey(np.linspace(0, 1, 877, dtype=np.float32), transfer)
    assert (np.diff(greys) > 0).all()
    assert 0.95 < greys[-1] < 1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_grey_goes_back_to_its_signal(transfer: int) -> None:
    """Luma can be recovered from grey."""
    signal = np.linspace(0, 1, 877, dtype=np.float32)
    np.testing.assert_allclose(grey_to_signal(signal_to_grey(signal, transfer), transfer), signal, atol=1e-3)


@pytest.mark.parametrize(("transfer", "expected"), [(PQ, 0.9), (HLG, 0.646), (1, 0.5807)])
def test_shrinking_tone_maps_hdr_only(transfer: int, expected: float) -> None:
    """A luma of 58 % is diffuse white in PQ, less in HLG, and unchanged in SDR."""
    spec = replace(SPEC, transfer=transfer, bit_depth=10)
    luma = np.full((spec.height, spec.width), round(64 + 0.5807 * 876), np.uint16)
    (frame,) = shrink(iter([Picture(0, 1, luma)]), spec, 64)
    np.testing.assert_allclose(frame.grey, expected, atol=2e-3)
