"""A short run of the fuzzing, what longer ones have found, and whether findings are seen at all."""

from __future__ import annotations

import errno
import json
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
import torch
from av.container import OutputContainer
from av.packet import Packet
from PIL import Image
from safetensors.torch import save_file

from tests.support.clips import Clip, make_clip
from tests.support.icc_profiles import grey_profile, parametric_curve, rgb_profile, table_curve
from tests.support.painter import Painter
from tools import fuzz_mutations
from tools.fuzz import CaseOutcome, Plan, fuzz
from tools.fuzz_seeds import SEEDS, join_weights, remuxed, split_weights
from vidcolor.errors import InputError, OptionError, OutputError, WeightsError
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.media import probe
from vidcolor.media.passthrough import Passthrough
from vidcolor.media.reader import VideoReader
from vidcolor.networks.residual import ResidualNetwork
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.stills import bands, icc
from vidcolor.stills.reader import read_picture

Change = Callable[[torch.Tensor], torch.Tensor]

FAULTY_SEED = 26
"""One that has every fault among ten cases, and the hang once."""
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("kind", "cases"), [("films", 140), ("pictures", 120), ("scans", 200), ("weights", 40), ("work", 40)]
)
def test_short_run(kind: str, cases: int) -> None:
    """Every spoiled file is read, or refused in one line that names it, within ten seconds and 2 GiB."""
    outcomes = fuzz(Plan(kind=kind, seed=7, cases=cases))
    assert [outcome.case for outcome in outcomes] == list(range(cases))
    assert [outcome for outcome in outcomes if outcome.is_finding] == []
    assert sum(outcome.verdict == "refused" for outcome in outcomes) > cases // 5


@pytest.mark.fuzz
def test_every_fault_is_noticed() -> None:
    """A crash, a hang, too much memory and the rest are put down to their case, and the next cases are run."""
    plan = Plan(kind="faults", seed=FAULTY_SEED, cases=10, seconds=1.0, megabytes=100.0)
    seeds = SEEDS["faults"]()
    expected = [fuzz_mutations.mutate(Random(f"faults {plan.seed} {case}"), seeds, "faults")[0] for case in range(10)]
    assert set(expected) == set(seeds)
    found: list[CaseOutcome] = []
    assert [outcome.verdict for outcome in fuzz(plan, on_finding=found.append)] == expected
    assert [outcome.verdict for outcome in found] == [verdict for verdict in expected if verdict != "read"]


@pytest.mark.parametrize("kind", SEEDS)
def test_cases_are_the_same_every_time(kind: str) -> None:
    """Seed and number make the same bytes again, from sound files that are the same at every run."""
    first, second = SEEDS[kind](), SEEDS[kind]()
    assert first == second
    for case in range(50):
        spoiled = [fuzz_mutations.mutate(Random(f"{kind} 1 {case}"), seeds, kind) for seeds in (first, second)]
        assert spoiled[0] == spoiled[1]


# Findings: films


@pytest.mark.parametrize("table", ["stsz", "trun"])
def test_tables_of_millions_of_samples(tmp_path: Path, table: str) -> None:
    """A file of two kilobytes that announces fifty million samples is refused before libav makes 3.5 GB of them."""
    path = make_clip(tmp_path / "a.mp4", Clip())
    if table == "trun":
        path = remuxed(path, tmp_path / "b.mp4", {"movflags": "frag_keyframe+empty_moov"})
    whole = path.read_bytes()
    at = whole.rindex(table.encode()) + 4
    fields = struct.pack(">III", 0, 1, 50_000_000) if table == "stsz" else struct.pack(">II", 0, 50_000_000)
    path.write_bytes(whole[:at] + fields + whole[at + len(fields) :])
    with pytest.raises(InputError, match=r"\.mp4: announces 50,000,0\d\d samples in "):
        VideoReader(path)


def test_pictures_too_large_for_a_film(tmp_path: Path) -> None:
    """A GIF of a kilobyte with a screen of 180 million pixels is refused by its header."""
    path = make_clip(tmp_path / "a.gif", Clip(codec="gif", pix_fmt="rgb8", options={}, frames=2))
    whole = path.read_bytes()
    path.write_bytes(whole[:6] + struct.pack("<HH", 6000, 30000) + whole[10:])
    with pytest.raises(InputError, match=r"a\.gif: pictures of 6000×30000 are larger than the 67,108,864 pixels"):
        VideoReader(path)


def test_pictures_too_high_for_the_encoder(tmp_path: Path) -> None:
    """A GIF of 2×65535 can be read, but x264 does not take it: one line has the size, and no output is left."""
    path = make_clip(tmp_path / "a.gif", Clip(codec="gif", pix_fmt="rgb8", options={}, frames=1))
    whole = path.read_bytes()
    path.write_bytes(whole[:6] + struct.pack("<HH", 2, 65535) + whole[10:])
    with pytest.raises(OptionError, match=r"^`codec` libx264: refuses yuv420p of 2×65535, .*choose another `codec`$"):
        colorize_video(path, tmp_path / "out.mkv", colorizer=Painter(), options=ColorizeOptions(render_size=32))
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_that_grow_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first picture fits and a later one would not, the decoder itself refuses it."""
    monkeypatch.setattr(probe, "MAX_PIXELS", 256 * 256)
    photographs = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}, "frames": 3}
    small, large = (make_clip(tmp_path / f"{w}.avi", Clip(size=(w, w), **photographs)) for w in (64, 640))
    with av.open(str(tmp_path / "a.avi"), "w") as both, av.open(str(small)) as first, av.open(str(large)) as second:
        stream = both.add_stream_from_template(first.streams.video[0])
        for number, packet in enumerate(packet for film in (first, second) for packet in film.demux() if packet.size):
            packet.stream, packet.pts, packet.dts = stream, number, number
            both.mux(packet)
    with VideoReader(tmp_path / "a.avi") as reader, pytest.raises(InputError, match=r"a\.avi: damaged after 0\.08 s"):
        list(reader.pictures())


class Refusing:
    """An output container that takes no packets."""

    def __init__(self, container: OutputContainer) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def mux_one(self, packet: Packet[Any]) -> None:
        raise av.ArgumentError(errno.EINVAL, "Invalid argument")


def test_refused_packets_are_said_of_the_output(tmp_path: Path) -> None:
    """Where a container refuses a garbled packet, the message names the file that was being written."""
    source, dest = make_clip(tmp_path / "a.ts", Clip(audio=("eng",))), tmp_path / "b.mp4"
    with VideoReader(source) as reader, av.open(str(dest), "w") as target:
        passthrough = Passthrough(cast(OutputContainer, Refusing(target)), str(dest))
        passthrough.add(reader.container.streams.audio[0], ())
        sound = next(packet for picture in reader.pictures() for packet in picture.packets)
        with pytest.raises(OutputError, match=r"b\.mp4: mp4 refuses packets of stream 1 \(audio, aac, eng\); choose"):
            passthrough.mux(sound)


# Findings: pictures


def refused(path: Path, data: bytes) -> str:
    """What is said of a picture that is not read."""
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        read_picture(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_page_without_dimensions(tmp_path: Path) -> None:
    """A second page of a TIFF without a width is refused."""
    image = Image.fromarray(RAMP)
    image.save(tmp_path / "a.tif", save_all=True, append_images=[image])
    whole = (tmp_path / "a.tif").read_bytes()
    at = whole.rindex(struct.pack("<HHI", 256, 4, 1))
    (tmp_path / "a.tif").write_bytes(whole[:at] + b"\xff\xff" + whole[at + 2 :])
    with pytest.raises(InputError, match=r"a\.tif: holds no pixels"):
        read_picture(tmp_path / "a.tif", 1)


def test_dimensions_that_are_no_whole_numbers(tmp_path: Path) -> None:
    """A TIFF may say its width as a floating-point number, which Pillow finds out while decoding."""
    Image.fromarray(RAMP).save(tmp_path / "a.tif")
    whole = (tmp_path / "a.tif").read_bytes()
    at = whole.index(struct.pack("<HHI", 256, 4, 1))
    spoiled = whole[:at] + struct.pack("<HHIf", 256, 11, 1, 16.0) + whole[at + 12 :]
    assert "cannot be decoded as a picture" in refused(tmp_path / "a.tif", spoiled)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_profile_that_is_garbled_behind_its_header(tmp_path: Path, mode: str) -> None:
    """LittleCMS opens it, but makes no transform of it: it counts as none."""
    profile = (grey_profile if mode == "L" else rgb_profile)(table_curve(1.8, 64))
    image = Image.fromarray(RAMP).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=profile.replace(b"TRC", b"xxx"))
    np.testing.assert_allclose(read_picture(tmp_path / "a.png").grey, RAMP / 255, atol=1e-6)


def test_profile_that_gives_no_numbers() -> None:
    """A curve that is infinite at black gives no color there (infinity minus infinity); numpy is quiet."""
    profile = rgb_profile(parametric_curve(0, -1.0))
    with pytest.raises(icc.UnsupportedProfileError, match="undefined at some level"):
        icc.deep_to_srgb(np.zeros((2, 2, 3), np.float32), profile)


def test_profile_of_many_large_elements() -> None:
    """Thousands of entries that all span the whole profile take no thousandfold memory."""
    entries = b"".join(struct.pack(">4sII", struct.pack(">I", index), 0, 2**31) for index in range(50_000))
    profile = bytes(128) + struct.pack(">I", 50_000) + entries + bytes(2_000_000)
    with pytest.raises(icc.UnsupportedProfileError, match="no tone curve"):
        icc.deep_to_srgb(np.zeros((2, 2), np.float32), profile)


def test_postscript_under_a_pictures_name(tmp_path: Path) -> None:
    """Only the formats that are promised are opened: Pillow would start a program for this one."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\n"
    assert "is a PostScript document" in refused(tmp_path / "a.png", postscript)


def test_warnings_of_pillow_stay_inside(tmp_path: Path) -> None:
    """Pillow's warnings of tags that point outside the file are not shown (in the tests, warnings are errors)."""
    Image.fromarray(RAMP).save(tmp_path / "a.tif", description="A house by the sea")
    whole = (tmp_path / "a.tif").read_bytes()
    at = whole.index(struct.pack("<HH", 270, 2))
    (tmp_path / "a.tif").write_bytes(whole[:at] + struct.pack("<HHII", 270, 2, 1000, 0x7FFFFFFF) + whole[at + 12 :])
    np.testing.assert_allclose(read_picture(tmp_path / "a.tif").grey, RAMP / 255, atol=1e-6)


def test_notes_of_the_wrong_type(tmp_path: Path) -> None:
    """EXIF whose maker is a fraction: Pillow reads it, and cannot write it again."""
    entry = struct.pack(">HHII", 271, 5, 1, 26)
    exif = b"Exif\0\0" + struct.pack(">2sHIH", b"MM", 42, 8, 1) + entry + bytes(4) + struct.pack(">II", 2, 3)
    Image.fromarray(RAMP).save(tmp_path / "a.jpg", exif=exif, quality=100)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.metadata.exif is None
    np.testing.assert_allclose(picture.grey, RAMP / 255, atol=0.02)


def test_chunk_that_is_longer_than_the_file(tmp_path: Path) -> None:
    """A chunk of 4 GB in a picture of 16 bits, whose pixels Pillow finds all the same, takes no 4 GB."""
    done, encoded = cv2.imencode(".png", np.dstack([RAMP.astype(np.uint16) * 257] * 3))
    assert done
    whole = encoded.tobytes()
    at = whole.index(b"IDAT") - 4
    spoiled = whole[:at] + b"\xff\xff\xff\x00" + whole[at + 4 :]
    assert "a chunk is cut off" in refused(tmp_path / "a.png", spoiled)


def test_bands_are_seamless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is converted a few rows at a time is the same as in one go."""
    colors = np.random.default_rng(0).integers(0, 256, (37, 29, 3), np.uint8)
    Image.fromarray(colors).save(tmp_path / "a.png")
    whole = read_picture(tmp_path / "a.png").grey
    monkeypatch.setattr(bands, "BAND_PIXELS", 100)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").grey, whole)


# Findings: weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small network's weights file."""
    path = tmp_path / "small.safetensors"
    network = ResidualNetwork(filters=2, blocks=2)
    about = {"network": "residual", "config": network.config, "recipe": "", "training": {}}
    save_generator(path, network.state_dict(), **about)
    return path


def refused_weights(path: Path, **about: str) -> str:
    """What is said of the file with other metadata."""
    header, numbers = split_weights(path.read_bytes())
    header["__metadata__"] |= about
    path.write_bytes(join_weights(header, numbers))
    with pytest.raises(WeightsError) as error:
        load_generator(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("field", ["config", "training"])
def test_metadata_nested_too_deeply(weights: Path, field: str) -> None:
    """JSON of a hundred thousand brackets is a RecursionError of Python's."""
    assert "metadata is incomplete or garbled" in refused_weights(weights, **{field: "[" * 100_000})


def test_format_of_two_lines(weights: Path) -> None:
    """What the file says of itself is quoted."""
    assert "found 'é\\n'" in refused_weights(weights, format="é\n")


@pytest.mark.parametrize(
    ("network", "config", "message"),
    [
        ("residual", {"filters": 2, "blocks": 10**6}, "above 4096"),
        ("residual", {"filters": 2, "blocks": 4000}, "more parameters than the file has tensors"),
        ("residual", {"filters": 10**30, "blocks": 2}, "above 4096"),
        ("residual", {"filters": [float("nan")], "blocks": 2}, "above 4096"),
        ("residual", {"filters": 0, "blocks": 2}, "empty parameter"),
        ("residual_unet", {"filters": 2, "downs": 2**62}, "above 4096"),
        ("residual_unet", {"filters": 2, "downs": -1}, "list index out of range"),
    ],
)
def test_configurations_of_giants(weights: Path, network: str, config: dict[str, object], message: str) -> None:
    """A network that the file cannot hold is refused before time and memory go into laying it out."""
    assert message in refused_weights(weights, network=network, config=json.dumps(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensor: torch.full_like(tensor, torch.nan), "not finite"),
        (lambda tensor: torch.full_like(tensor, -torch.inf), "not finite"),
        (lambda tensor: tensor.to(torch.int8), "expected numbers stored as BF16 or F16 or F32, found I8"),
        (lambda tensor: tensor.double(), "expected numbers stored as BF16 or F16 or F32, found F64"),
    ],
)
def test_parameters_that_are_no_parameters(weights: Path, change: Change, message: str) -> None:
    """Numbers that are not finite, and types that are none of a network's."""
    header, _ = split_weights(weights.read_bytes())
    network = ResidualNetwork(filters=2, blocks=2)
    state = network.state_dict()
    name = sorted(name for name, tensor in state.items() if tensor.is_floating_point())[0]
    save_file(state | {name: change(state[name])}, weights, metadata=header["__metadata__"])
    with pytest.raises(WeightsError, match=f"{name}: .*{message}"):
        load_generator(weights)
