"""The networks for Fréchet distances."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import inception_v3

from vidcolor.errors import WeightsError
from vidcolor_training.evaluation import embedding_networks


def with_statistics(network: nn.Module) -> nn.Module:
    """A network at random whose batch norms have seen something, and that keeps the size of its signal."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tensorflow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torch-fidelity publishes it, at random."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(with_statistics(embedding_networks.tensorflow_inception()).state_dict(), path)
    return path


def test_inception_agrees_with_torch_fidelity(tensorflow_file: Path) -> None:
    """The features are those that torchmetrics finds with torch-fidelity's network and the same parameters."""
    pytest.importorskip("torch_fidelity", reason="needs the package torch-fidelity")
    from torchmetrics.image.fid import NoTrainInceptionV3

    pictures = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    oracle = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(tensorflow_file))
    found = embedding_networks.load_inception(tensorflow_file)(pictures.float() / 255)
    torch.testing.assert_close(found, oracle(pictures))


def test_inception_pools_as_in_2015(tensorflow_file: Path) -> None:
    """Its mean does not count what lies outside the picture, and its last block takes the largest value."""
    network = embedding_networks.load_inception(tensorflow_file).network
    x = torch.rand(1, 192, 5, 5)
    inside = F.avg_pool2d(x, 3, 1, 1) * 9 / (9 * F.avg_pool2d(torch.ones_like(x), 3, 1, 1))
    torch.testing.assert_close(network.Mixed_5b(x)[:, -32:], network.Mixed_5b.branch_pool(inside))
    x = torch.rand(1, 2048, 5, 5)
    torch.testing.assert_close(network.Mixed_7c(x)[:, -192:], network.Mixed_7c.branch_pool(F.max_pool2d(x, 3, 1, 1)))


@pytest.mark.slow
def test_inception_of_torchvision(tmp_path: Path) -> None:
    """A file of torchvision gives the input of torchvision's last layer."""
    published = with_statistics(inception_v3(weights=None, init_weights=False))
    torch.save(published.state_dict(), tmp_path / "inception_v3.pth")
    pictures = torch.randint(0, 256, (1, 3, 299, 299)).float()
    features = embedding_networks.load_inception(tmp_path / "inception_v3.pth")(pictures / 255)
    assert features.shape == (1, 2048)
    torch.testing.assert_close(published.fc(features), published((pictures - 128) / 128))
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="tensors are missing or unknown"):
        embedding_networks.load_inception(tmp_path / "other.pth")


def test_efficientnet_features_see_color() -> None:
    """One vector a picture: the last map's mean; a grey picture in three channels is what the encoder sees as grey."""
    torch.manual_seed(0)
    network = with_statistics(embedding_networks.EfficientNetFeatures())
    grey = torch.rand(2, 1, 64, 64)
    expected = network.encoder(grey)[-1].mean(dim=(2, 3))
    assert expected.shape == (2, 352)
    torch.testing.assert_close(network(grey.expand(-1, 3, -1, -1)), expected)
    colored = network(grey * torch.tensor([1.0, 0.5, 0.2])[:, None, None])
    assert (colored - expected).norm() > 0.01 * expected.norm()
