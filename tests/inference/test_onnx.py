"""ONNX weights: what is exported colors as the network does, and what is read is checked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.networks.test_networks import CASES, lively
from vidcolor.cli.commands import main
from vidcolor.errors import OptionError, OutputError, WeightsError
from vidcolor.files.cache import cache_folder
from vidcolor.inference import onnx_check
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.loading import export_weights, load_colorizer
from vidcolor.inference.onnx_check import check_onnx
from vidcolor.inference.onnx_weights import read_onnx
from vidcolor.inference.openvino_engine import MAX_CACHED, MAX_COMPILED, OpenVinoEngine
from vidcolor.inference.threads import limit_threads
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.inference.weights_file import ONNX_FORMAT

QUICK = {"siggraph17", "eccv16"}
"""Networks that export in a second; the others are tested with ``-m slow``."""


def saved(case: str, folder: Path) -> Path:
    """A safetensors file of a small random network."""
    path = folder / "weights.safetensors"
    network = lively(case)
    state = network.state_dict()
    save_generator(path, state, network=CASES[case][0], config=network.config, recipe="", training={"seed": 3})
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file with its safetensors file beside it."""
    folder = tmp_path_factory.mktemp("onnx")
    export_weights(saved("siggraph17", folder), folder / "weights.onnx")
    return folder / "weights.onnx"


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_both_kinds_of_weights_color_alike(case: str, tmp_path: Path) -> None:
    """Any network, any size and number of pictures, with and without hints: ab differs by rounding alone."""
    weights = saved(case, tmp_path)
    export_weights(weights, tmp_path / "weights.onnx")
    ours = Colorizer(load_generator(weights), device="cpu", dtype=torch.float32)
    theirs = load_colorizer(tmp_path / "weights.onnx")
    assert isinstance(theirs, Colorizer)
    assert (theirs.fingerprint, theirs.takes_hints) == (ours.fingerprint, ours.takes_hints)
    random = np.random.default_rng(0)
    for n, height, width in ((1, 50, 70), (2, 33, 200)):
        grey = random.random((n, height, width), np.float32)
        with limit_threads():  # pictures outside films are padded further
            np.testing.assert_allclose(theirs.predict(grey), ours.predict(grey), atol=2e-3)
            if ours.takes_hints:
                hints = random.random((n, 3, height, width), np.float32)
                np.testing.assert_allclose(theirs.predict(grey, hints), ours.predict(grey, hints), atol=2e-3)


def test_pictures_of_many_sizes_take_few_shapes(exported: Path) -> None:
    """Outside films 4:3 and 3:2 have one shape; what is compiled is bounded, in memory and in the cache folder."""
    engine = OpenVinoEngine(read_onnx(exported), "cpu")
    colorizer = Colorizer(engine)
    for width in (300, 330, 341, 384):
        assert colorizer.predict(np.zeros((1, 256, width), np.float32)).shape == (1, 2, 256, width)
    assert len(engine._compiled) == 2
    for width in range(32, 800, 64):
        colorizer.predict(np.zeros((1, 32, width), np.float32))
    assert len(engine._compiled) == MAX_COMPILED
    assert len(list((cache_folder() / "openvino").iterdir())) <= MAX_CACHED


def test_calls_beside_each_other_give_the_same_bits(exported: Path) -> None:
    """The number of threads and of concurrent calls does not change a bit."""
    colorizer = load_colorizer(exported)
    grey = np.random.default_rng(1).random((6, 64, 64), np.float32)
    with limit_threads():
        alone = [colorizer.predict(grey[i : i + 1]) for i in range(6)]
    with limit_threads(), ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda i: colorizer.predict(grey[i : i + 1]), range(6)))
    np.testing.assert_array_equal(np.concatenate(together), np.concatenate(alone))


def test_compiled_once(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start neither checks nor compiles, and gives the same bits; a broken cache is made again."""
    grey = np.random.default_rng(4).random((1, 64, 64), np.float32)
    first = Colorizer(OpenVinoEngine(read_onnx(exported), "cpu")).predict(grey)
    checks: list[Path] = []
    monkeypatch.setattr(onnx_check, "check_onnx", lambda path, data: checks.append(path) or check_onnx(path, data))
    engine = OpenVinoEngine(read_onnx(exported), "cpu")
    np.testing.assert_array_equal(Colorizer(engine).predict(grey), first)
    assert not checks
    assert "_model" not in vars(engine)
    for file in (*(cache_folder() / "openvino").iterdir(), *(cache_folder() / "weights").iterdir()):
        file.write_bytes(b"[]")
    engine = OpenVinoEngine(read_onnx(exported), "cpu")
    np.testing.assert_array_equal(Colorizer(engine).predict(grey), first)
    assert checks == [exported]


@pytest.mark.slow
def test_threads_that_come_first_together_do_not_wait_for_each_other(exported: Path) -> None:
    """A fresh process whose first calls are made by eight threads at once ends, time after time."""
    code = f"""
import sys, threading
import numpy as np
from pathlib import Path
from vidcolor.inference.onnx_weights import read_onnx
from vidcolor.inference.openvino_engine import OpenVinoEngine
sys.setswitchinterval(1e-6)
engine = OpenVinoEngine(read_onnx(Path({str(exported)!r})), "cpu", "float32")
grey = np.zeros((1, 1, 64, 64), np.float32)
engine._network_for((grey.shape,))
together = threading.Barrier(8)
threads = [threading.Thread(target=lambda: (together.wait(), engine.run([grey]))) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_describes_itself(exported: Path) -> None:
    """The metadata say what the network is and which safetensors file it is of."""
    weights = read_onnx(exported)
    assert weights.about["network"] == "siggraph17"
    assert weights.about["format"] == ONNX_FORMAT
    assert weights.about["training"] == {"seed": 3}
    assert weights.about["config"] == lively("siggraph17").config
    assert len(bytes.fromhex(weights.about["safetensors_sha256"])) == 32


def test_parameters_are_stored_as_fp16(exported: Path) -> None:
    """The file is about as large as the safetensors file."""
    assert exported.stat().st_size < 1.5 * exported.with_suffix(".safetensors").stat().st_size


def test_exporting_twice_gives_the_same_file(exported: Path, tmp_path: Path) -> None:
    """Nothing of the time or the folder is in the file; an existing one is kept without ``overwrite``."""
    export_weights(exported.with_suffix(".safetensors"), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        export_weights(exported.with_suffix(".safetensors"), tmp_path / "again.onnx")


def test_the_command_line_takes_both(exported: Path, tmp_path: Path) -> None:
    """``vidcolor export`` writes what ``--weights`` reads; a picture gets the same colors from both."""
    runner = CliRunner()
    weights = exported.with_suffix(".safetensors")
    onnx_file = tmp_path / "mine.onnx"
    assert runner.invoke(main, ["export", str(weights), "-o", str(onnx_file)]).exit_code == 0
    grey = tmp_path / "grey.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (48, 64), np.uint8)).save(grey)
    pictures = []
    for each in (weights, onnx_file):
        result = runner.invoke(main, [str(grey), "-o", str(tmp_path / f"{each.suffix}.png"), "--weights", str(each)])
        assert result.exit_code == 0, result.output
        pictures.append(np.asarray(Image.open(tmp_path / f"{each.suffix}.png")).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 2


def test_devices(exported: Path) -> None:
    """The CPU has two names; a device that OpenVINO does not find is refused with those that it finds."""
    assert load_colorizer(exported, device="cpu").batch_size == 1
    with pytest.raises(OptionError, match=r"`device` gpu:7: OpenVINO finds no such device here; it finds .*cpu"):
        load_colorizer(exported, device="gpu:7")


def test_names_of_outputs(tmp_path: Path) -> None:
    """An export is named .onnx, because weights are told apart by their suffix."""
    with pytest.raises(OptionError, match=r"expected a file named \*.onnx"):
        export_weights(tmp_path / "a.safetensors", tmp_path / "b.bin")


def with_external_data(model: onnx.ModelProto) -> None:
    """Let a tensor's numbers lie in another file."""
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def with_hidden_external_data(model: onnx.ModelProto) -> None:
    """The same for a constant in a nested graph."""
    constant = helper.make_tensor("c", TensorProto.FLOAT, [1], [1.0])
    constant.data_location = TensorProto.EXTERNAL
    node = helper.make_node("Constant", [], ["c"], value=constant)
    branch = helper.make_graph([node], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))


def with_large_shape(model: onnx.ModelProto) -> None:
    """Announce a tensor of a terabyte."""
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def with_foreign_operator(model: onnx.ModelProto) -> None:
    """Use an operator of someone's library."""
    model.graph.node.append(helper.make_node("Run", ["x"], ["y"], domain="com.example"))


def with_strings(model: onnx.ModelProto) -> None:
    """Add a tensor of text."""
    model.graph.initializer.append(numpy_helper.from_array(np.array(["a"], object), "words"))


def with_other_inputs(model: onnx.ModelProto) -> None:
    """Rename an input."""
    model.graph.input[0].name = "picture"


def with_metadata(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    """Change an entry of the metadata."""

    def change(model: onnx.ModelProto) -> None:
        next(entry for entry in model.metadata_props if entry.key == key).value = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_external_data, "expected the numbers in the file itself"),
        (with_hidden_external_data, "expected the numbers in the file itself"),
        (with_large_shape, r"expected [\d,]+ bytes of numbers, found"),
        (with_foreign_operator, "expected operators of the ONNX standard, found some of 'com.example'"),
        (with_strings, "expected floating point or whole numbers"),
        (with_other_inputs, "expected inputs grey and hints and output ab"),
        (with_metadata("format", "other"), f"expected format {ONNX_FORMAT}, found 'other'"),
        (with_metadata("multiple", "0"), "expected a multiple of 1 to"),
        (with_metadata("multiple", "many"), "metadata is incomplete or garbled"),
        (with_metadata("training", "{"), "metadata is incomplete or garbled"),
    ],
)
def test_unsafe_files_are_refused(
    change: Callable[[onnx.ModelProto], None], message: str, exported: Path, tmp_path: Path
) -> None:
    """Files that reach outside themselves, lie about sizes or do not describe themselves are refused in one line."""
    model = onnx.load_model_from_string(exported.read_bytes())
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=message):
        read_onnx(path)


def test_what_is_no_onnx_file(exported: Path, tmp_path: Path) -> None:
    """A missing file, noise, half a file and someone else's model are refused in one line."""
    with pytest.raises(WeightsError, match="found no such file"):
        read_onnx(tmp_path / "none.onnx")
    noise = tmp_path / "noise.onnx"
    for data in (b"\x00" * 100, b"noise" * 50, exported.read_bytes()[: exported.stat().st_size // 2]):
        noise.write_bytes(data)
        with pytest.raises(WeightsError, match=r"noise\.onnx: expected"):
            read_onnx(noise)
    other = helper.make_model(helper.make_graph([], "other", [], []))
    noise.write_bytes(other.SerializeToString())
    with pytest.raises(WeightsError, match="found no format in its metadata"):
        read_onnx(noise)
