"""Layers that several networks share."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from vidcolor.networks import layers
from vidcolor.networks.layers import MAX_EXPLICIT_POSITIONS, attend


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("places", [16, MAX_EXPLICIT_POSITIONS + 1])
@pytest.mark.parametrize("training", [False, True])
def test_attention_is_the_same_whichever_way(dtype, places, training):
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 1, places, 8).to(dtype) for _ in range(3))
    with torch.set_grad_enabled(training):
        found = attend(q, k, v)
    expected = F.scaled_dot_product_attention(*(x.double() for x in (q, k, v)))
    assert found.dtype == dtype
    assert torch.allclose(found.double(), expected, atol=1e-5 if dtype == torch.float32 else 0.02)


def test_a_large_picture_needs_no_weights_between_all_of_its_places(monkeypatch):
    """Large maps never need the whole attention matrix."""
    monkeypatch.delattr(layers, "_attend_explicitly")
    q = torch.randn(1, 1, MAX_EXPLICIT_POSITIONS + 1, 8, dtype=torch.bfloat16)
    with torch.inference_mode():
        assert attend(q, q, q).shape == q.shape
