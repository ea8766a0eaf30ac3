"""The exponential moving average of a network."""

from __future__ import annotations

import copy

import torch
from torch import nn

from vidcolor_training.ema import update_ema


def test_average_of_everything_that_is_a_number() -> None:
    """Parameters and batch norm's statistics move by 1 - decay; counters are copied."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    average = copy.deepcopy(network)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    network(torch.randn(4, 1, 8, 8))
    with torch.no_grad():
        network[0].weight += 1
    update_ema(average, network, decay=0.75, step=1000)
    for name, value in average.state_dict().items():
        now = network.state_dict()[name]
        torch.testing.assert_close(value, now if not now.is_floating_point() else 0.75 * before[name] + 0.25 * now)
    assert average[1].running_mean.abs().sum() > 0


def test_the_random_start_is_forgotten_quickly() -> None:
    """In the first steps the average follows the network more closely than its decay says."""
    network, average = nn.Linear(1, 1), nn.Linear(1, 1)
    start, target = average.weight.item(), network.weight.item()
    update_ema(average, network, decay=0.999, step=1)
    assert abs(average.weight.item() - target) < 0.2 * abs(start - target)
