"""The evaluator on made pictures, with colorizers that are known to the last number."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import alexnet

from vidcolor.errors import InputError, WeightsError
from vidcolor.frames import FloatArray
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor.networks.lab import rgb_to_lab
from vidcolor_training.evaluation.evaluator import evaluate_stills, evenly_spread, named_files, pictures_of
from vidcolor_training.evaluation.metric_networks import MetricNetworks, find_metric_networks
from vidcolor_training.evaluation.report import EvaluationReport
from vidcolor_training.evaluation.sheets import add_sheets, choose

SIZE = 64


class OneTint:
    """Says the same a and b everywhere."""

    batch_size = 1

    def __init__(self, a: float, b: float) -> None:
        self.ab = np.array([a, b], np.float32)[:, None, None]

    def predict(self, grey: FloatArray) -> FloatArray:
        """(N, h, w) to (N, 2, h, w)."""
        return np.broadcast_to(self.ab, (len(grey), 2, *grey.shape[1:])).copy()


class Oracle:
    """Knows one picture's ab."""

    batch_size = 1

    def __init__(self, picture: np.ndarray) -> None:
        self.ab = rgb_to_lab(torch.from_numpy(picture / 255).permute(2, 0, 1))[1:].float().numpy()

    def predict(self, grey: FloatArray) -> FloatArray:
        """(N, h, w) to (N, 2, h, w)."""
        return np.repeat(self.ab[None], len(grey), axis=0)


@pytest.fixture
def random_pictures(tmp_path: Path) -> Path:
    """Six pictures of noise with different tints."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(6):
        tint = np.array([90 + 20 * i, 120, 150])
        rgb = np.clip(tint + random.normal(0, 20, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(rgb).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def random_networks(tmp_path: Path) -> MetricNetworks:
    """LPIPS and Lite2 from files of random parameters."""
    torch.manual_seed(0)
    folder = tmp_path / "pretrained"
    folder.mkdir()
    save_file({f"features.{k}": v for k, v in alexnet().features.state_dict().items()}, folder / "alexnet.safetensors")
    encoder = EfficientNetLite("efficientnet_lite2")
    for module in encoder.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # keeps the size of the signal
    save_file(in_timm_names(encoder), folder / "efficientnet_lite2.safetensors")
    return find_metric_networks(folder)


def in_timm_names(encoder: EfficientNetLite) -> dict[str, torch.Tensor]:
    """The parameters of an encoder as their publisher names them."""
    published = {}
    positions = {"0": "conv_pw bn1 . conv_dw bn2 . conv_pwl bn3", "separable": "conv_dw bn1 . conv_pw bn2"}
    for name, value in encoder.state_dict().items():
        parts = name.split(".")
        if parts[0] == "stem":
            published[f"{'conv_stem' if parts[1] == '0' else 'bn1'}.{parts[2]}"] = value
        else:
            layers = positions["separable" if parts[1] == "0" else "0"].split()
            published[f"blocks.{parts[1]}.{parts[2]}.{layers[int(parts[4])]}.{parts[5]}"] = value
    return published


def test_grey_and_truth_stand_at_the_ends(random_pictures: Path) -> None:
    """Grey comes first and has no color; the truth comes last and is without error; a colorizer without color is
    grey.
    """
    report = evaluate_stills([random_pictures], {"none": OneTint(0, 0)}, size=SIZE, quiet=True)
    assert list(report.rows) == ["grey", "none", "truth"]
    grey, none, truth = report.rows.values()
    assert none.pop("pictures_per_second") > 0  # type: ignore[operator]
    assert none == pytest.approx(grey, abs=0.01)
    assert grey["mse_over_grey"] == 1
    assert grey["colorfulness"] == pytest.approx(0, abs=1e-3)
    assert (truth["mse"], truth["mse_over_grey"], truth["ssim"], truth["epsilon_accuracy"]) == (0, 0, 1, 100)
    assert truth["psnr"] is None
    assert truth["delta_cf"] == truth["mean_delta_cf"] == 0
    assert grey["delta_cf"] == pytest.approx(truth["colorfulness_absolute"], rel=1e-3)
    assert set(report.not_measured) == {"lpips", "frechet_efficientnet_lite2", "fid"}


def test_who_knows_the_colors_is_right(photographs: Path) -> None:
    """Given the true ab, the joined picture is the truth but for rounding; a wrong tint is worse than grey."""
    picture = next(pictures_of([photographs], ["0.png"], size=SIZE)).true * 255
    report = evaluate_stills(
        [photographs / "0.png"], {"oracle": Oracle(picture), "wrong": OneTint(-60, 60)}, size=SIZE, quiet=True
    )
    assert report.rows["oracle"]["mse"] < 1e-10  # type: ignore[operator]
    assert report.rows["oracle"]["ciede2000"] < 1e-3  # type: ignore[operator]
    assert report.rows["wrong"]["mse_over_grey"] > 1  # type: ignore[operator]
    assert report.rows["wrong"]["mean_a"] < -20  # type: ignore[operator]


def test_hues_beside_grey_and_truth(photographs: Path) -> None:
    """Half of each picture is orange and half is blue: an orange tint finds all of the one, none of the other, and is
    right in every second place; grey finds nothing, the truth everything.
    """
    report = evaluate_stills([photographs], {"orange": OneTint(9, 24)}, size=SIZE, quiet=True)
    grey, orange, truth = report.rows.values()
    names = [f"{figure}_{hue}" for figure in ("share", "recall") for hue in ("orange", "blue")]
    assert [truth[name] for name in (*names, "ab_overlap", "precision_blue")] == [1] * 6
    assert [grey[name] for name in names] == [0] * 4
    found = [orange[name] for name in (*names, "precision_orange")]
    assert found == pytest.approx([2, 0, 1, 0, 0.5], abs=0.1)
    assert "precision_blue" not in orange
    assert (grey["worse_than_grey"], orange["worse_than_grey"], truth["worse_than_grey"]) == (0, 1, 0)


def test_rows_are_means_of_their_items(random_pictures: Path) -> None:
    """Every picture has its figures under its name, and the row holds their mean."""
    report = evaluate_stills([random_pictures], {"tint": OneTint(10, 10)}, size=SIZE, quiet=True)
    items = report.items["tint"]
    assert list(items) == [f"{i}.png" for i in range(6)]
    for metric in ("mse", "psnr", "ciede2000", "colorfulness"):
        assert report.rows["tint"][metric] == pytest.approx(np.mean([figures[metric] for figures in items.values()]))
    deltas = [
        items[name]["colorfulness_absolute"] - report.items["truth"][name]["colorfulness_absolute"] for name in items
    ]
    assert report.rows["tint"]["delta_cf"] == pytest.approx(abs(np.mean(deltas)))
    assert report.rows["tint"]["mean_delta_cf"] == pytest.approx(np.abs(deltas).mean())


@pytest.mark.slow
def test_networks_judge_where_they_are_at_hand(random_pictures: Path, random_networks: MetricNetworks) -> None:
    """LPIPS and the Fréchet distance are 0 for the truth and larger for a wrong tint than for a faint one."""
    colorizers = {"faint": OneTint(1, 1), "wrong": OneTint(-50, 80)}
    report = evaluate_stills([random_pictures], colorizers, size=SIZE, networks=random_networks, quiet=True)
    assert set(report.not_measured) == {"fid"}
    for metric in ("lpips", "frechet_efficientnet_lite2"):
        truth, faint, wrong = (report.rows[name][metric] for name in ("truth", "faint", "wrong"))
        assert truth == pytest.approx(0, abs=1e-9)
        assert wrong > faint > 1e-6  # type: ignore[operator]
    assert report.rows["grey"]["lpips_over_grey"] == 1


def test_one_picture_has_no_frechet_distance(photographs: Path, random_networks: MetricNetworks) -> None:
    """A covariance needs two pictures: the metric is said to be missing, and is nowhere made up."""
    report = evaluate_stills([photographs / "0.png"], {}, size=SIZE, networks=random_networks, quiet=True)
    assert "needs 2 pictures" in report.not_measured["frechet_efficientnet_lite2"]
    assert all("frechet_efficientnet_lite2" not in row for row in report.rows.values())


def test_pictures_that_are_no_measure(random_pictures: Path) -> None:
    """Pictures that cannot be read and those without color are left out by name, and change no figure of the others."""
    alone = evaluate_stills([random_pictures], {"tint": OneTint(9, 24)}, size=SIZE, quiet=True)
    whole = (random_pictures / "0.png").read_bytes()
    (random_pictures / "cut.png").write_bytes(whole[: len(whole) // 2])
    (random_pictures / "empty.jpg").write_bytes(b"")
    (random_pictures / "text.jpg").write_bytes(b"hello")
    (random_pictures / "folder.jpg").mkdir()
    (random_pictures / "link.jpg").symlink_to(random_pictures / "gone.jpg")
    Image.new("L", (SIZE, SIZE), 90).save(random_pictures / "grey.png")
    Image.new("RGB", (SIZE, SIZE), (91, 90, 90)).save(random_pictures / "nearly.png")
    report = evaluate_stills([random_pictures], {"tint": OneTint(9, 24)}, size=SIZE, quiet=True)
    names = ["cut.png", "empty.jpg", "folder.jpg", "grey.png", "link.jpg", "nearly.png", "text.jpg"]
    assert list(report.left_out) == names
    assert "is the file whole?" in report.left_out["cut.png"]
    assert report.left_out["folder.jpg"].startswith("cannot be read (")
    assert report.left_out["grey.png"] == report.left_out["nearly.png"] == "has no color itself"
    assert report.items == alone.items
    assert report.about["data"] == alone.about["data"]


def test_networks_that_are_missing_are_accounted_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder leaves three metrics out and says what to do; a file of something else is an error."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = find_metric_networks()
    assert found.lpips is None
    assert "--pretrained" in found.not_measured["lpips"]
    assert "--pretrained" in found.not_measured["frechet_efficientnet_lite2"]
    assert "--inception" in found.not_measured["fid"]
    save_file({"x": torch.zeros(1)}, tmp_path / "efficientnet_lite2.safetensors")
    with pytest.raises(WeightsError, match="expected the parameters of EfficientNetLite"):
        find_metric_networks(tmp_path)


def test_a_limit_spreads_evenly(random_pictures: Path) -> None:
    """Three of six are every other one, and more than there are is all; the data's hash says which were looked at."""
    assert evenly_spread("abcdef", 3) == ["a", "c", "e"]
    assert evenly_spread("abc", 5) == ["a", "b", "c"]

    def evaluated(limit: int | None) -> EvaluationReport:
        return evaluate_stills([random_pictures], {}, size=SIZE, limit=limit, quiet=True)

    some, everything = evaluated(3), evaluated(None)
    assert list(some.items["truth"]) == ["0.png", "2.png", "4.png"]
    assert some.about["data"]["pictures"] == 3
    assert some.about["data"]["sha256"] != everything.about["data"]["sha256"]
    assert evaluated(60).about == everything.about


def test_pictures_of_one_name_stay_apart(random_pictures: Path, tmp_path: Path) -> None:
    """Two folders with the same names, one of them in a shard, give every picture a name of its own."""
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        shard.add(random_pictures / "0.png", arcname="0.png")
    names = [file.name for file in named_files([random_pictures, random_pictures, tmp_path / "shard.tar"])]
    assert len(names) == len(set(names)) == 13
    assert "0.png (2)" in names


def test_what_cannot_be_evaluated(tmp_path: Path, random_pictures: Path) -> None:
    """A folder without pictures or with bad ones only, and a row with a reserved name, are refused."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected color pictures, found none$"):
        evaluate_stills([tmp_path / "empty"], {}, quiet=True)
    (tmp_path / "empty" / "9.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"found none, but 1 such as 9\.png: is not a picture that can be read"):
        evaluate_stills([tmp_path / "empty"], {}, quiet=True)
    with pytest.raises(ValueError, match="rows cannot be called"):
        evaluate_stills([random_pictures], {"grey": OneTint(0, 0)}, quiet=True)


def test_sheets_of_best_median_and_worst(random_pictures: Path, tmp_path: Path) -> None:
    """Three sheets for every colorizer lie in the folder, and captions say whose they are."""
    assert choose({"b": 2, "c": 3, "a": 1, "e": 5, "d": 4}, 1) == {"best": ["a"], "median": ["c"], "worst": ["e"]}
    colorizers = {"../tint <b>": OneTint(10, 10), "none": OneTint(0, 0)}
    report = evaluate_stills([random_pictures], colorizers, size=SIZE, quiet=True)
    with_sheets = add_sheets(report, [random_pictures], colorizers, tmp_path)
    assert len(with_sheets.pictures) == 6
    for path, caption in with_sheets.pictures:
        assert path.parent == tmp_path
        assert caption.startswith(tuple(colorizers))
        with Image.open(path) as sheet:
            assert sheet.format == "JPEG"
            assert sheet.width > sheet.height
