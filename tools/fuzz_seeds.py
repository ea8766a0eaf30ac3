"""The valid files that the fuzzer corrupts: small, of many kinds, and the same bytes at every run."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

from tests.support.clips import Clip, make_clip
from tests.support.icc_profiles import (
    cmyk_profile,
    gamma_curve,
    grey_profile,
    parametric_curve,
    rgb_profile,
    table_curve,
)
from tools.fuzz_scans import scan_seeds
from tools.fuzz_work import work_seeds

LIKE_X264 = {"crf": "30", "preset": "ultrafast", "threads": "1"}
SIZE = (48, 32)


def _film(codec: str, pix_fmt: str = "yuv420p", **facts: Any) -> Clip:
    options = LIKE_X264 if codec == "libx264" else {"threads": "1"}
    return Clip(**{"size": SIZE, "frames": 8, "codec": codec, "pix_fmt": pix_fmt, "options": options, **facts})


FILMS: dict[str, Clip] = {
    "rich.mp4": _film("libx264", audio=("eng",), subtitles=True, chapters=True, cover=True, rotation=90),
    "plain.mp4": _film("libx264", options={**LIKE_X264, "preset": "medium"}, frames=12),
    "late.mov": _film("libx264", start=100, time_base=Fraction(1, 600), rate=Fraction(24), color=True),
    "deep.mov": _film("prores", "yuv422p10le", frames=3),
    "rich.mkv": _film("libx264", audio=("eng", "deu"), subtitles=True, chapters=True, metadata={"title": "A"}),
    "lossless.mkv": _film("ffv1", "yuv422p10le", frames=4),
    "grey.mkv": _film("ffv1", "gray", frames=4),
    "vp9.webm": _film("libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "threads": "1"}),
    "vp8.webm": _film("libvpx", options={"deadline": "realtime", "cpu-used": "8", "threads": "1"}),
    "hevc.mp4": _film("libx265", size=(128, 64), options={"x265-params": "log-level=none:pools=1"}, frames=3),
    "mpeg4.avi": _film("mpeg4", audio=("eng",)),
    "photos.avi": _film("mjpeg", "yuvj420p", frames=4),
    "raw.avi": _film("rawvideo", "yuv420p", frames=2),
    "huffman.avi": _film("huffyuv", "yuv422p", frames=3),
    "broadcast.ts": _film("mpeg2video", audio=("eng",)),
    "modern.ts": _film("libx264"),
    "disc.mpg": _film("mpeg2video"),
    "archive.mxf": _film("mpeg2video"),
    "web.flv": _film("flv"),
    "windows.wmv": _film("wmv2"),
    "loop.gif": _film("gif", "rgb8", frames=4, options={}),
    "animation.mov": _film("qtrle", "gray", frames=4, options={}),
    "sheets.mov": _film("png", "gray", frames=2, options={}),
}


def film_seeds() -> dict[str, bytes]:
    """Make films in many containers and codecs, a few kilobytes each."""
    seeds = {}
    with TemporaryDirectory() as folder:
        for name, clip in FILMS.items():
            seeds[name] = make_clip(Path(folder) / name, clip, bitexact=True).read_bytes()
        fragmented = {"movflags": "frag_keyframe+empty_moov"}
        seeds["raw.y4m"] = b"YUV4MPEG2 W16 H8 F24:1 Ip A1:1 C420jpeg\n" + 3 * (b"FRAME\n" + bytes(range(192)))
        seeds["joined.ts"] = 2 * seeds["broadcast.ts"]
        seeds["pieces.mp4"] = remuxed(Path(folder) / "plain.mp4", Path(folder) / "pieces.mp4", fragmented).read_bytes()
    return seeds


def remuxed(source: Path, dest: Path, options: dict[str, str]) -> Path:
    """Copy the video packets of a film to another file."""
    with av.open(str(source)) as old, av.open(str(dest), "w", options={"fflags": "+bitexact", **options}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    return dest


def picture_seeds() -> dict[str, bytes]:
    """Make pictures in every format that is read, with profiles, EXIF, pages and frames."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    seeds = dict(_plain_pictures(rgb))
    seeds |= dict(_pictures_with_notes(rgb))
    seeds |= dict(_deep_pictures())
    return seeds


def _saved(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def _plain_pictures(rgb: Image.Image) -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"{mode}.png", _saved(rgb.convert("L").convert(mode) if mode == "I;16" else rgb.convert(mode), "PNG")
    for mode in ("L", "RGB", "CMYK"):
        yield f"{mode}.jpg", _saved(rgb.convert(mode), "JPEG")
    yield "progressive.jpg", _saved(rgb, "JPEG", progressive=True, subsampling=0)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{compression}.tif", _saved(rgb, "TIFF", compression=compression)
    for mode in ("1", "L", "P", "CMYK", "LAB", "RGBA", "I;16"):
        yield f"{mode}.tif", _saved(rgb.convert("L").convert(mode) if mode == "I;16" else _as(rgb, mode), "TIFF")
    yield "fax.tif", _saved(rgb.convert("1"), "TIFF", compression="group4")
    yield "pages.tif", _saved(rgb, "TIFF", save_all=True, append_images=[rgb.convert("L")])
    yield "lossy.webp", _saved(rgb, "WEBP")
    yield "lossless.webp", _saved(rgb.convert("RGBA"), "WEBP", lossless=True)
    yield "moving.webp", _saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)])
    yield "still.avif", _saved(rgb, "AVIF", speed=10, max_threads=1)
    yield "still.gif", _saved(rgb.convert("P"), "GIF")
    yield "moving.gif", _saved(rgb.convert("P"), "GIF", save_all=True, append_images=[rgb.rotate(180).convert("P")])
    yield "moving.png", _saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)])
    for mode in ("1", "L", "P", "RGB"):
        yield f"{mode}.bmp", _saved(rgb.convert(mode), "BMP")
    yield "color.ppm", _saved(rgb, "PPM")
    yield "text.pgm", b"P2\n# hand made\n4 2\n255\n" + b" ".join(b"%d" % (i * 30) for i in range(8)) + b"\n"
    yield "packed.tga", _saved(rgb, "TGA", compression="tga_rle")
    yield "wavelets.jp2", _saved(rgb, "JPEG2000")
    yield "packed.pcx", _saved(rgb, "PCX")
    yield "workstation.sgi", _saved(rgb, "SGI")


def _as(rgb: Image.Image, mode: str) -> Image.Image:
    return Image.frombytes("LAB", rgb.size, rgb.tobytes()) if mode == "LAB" else rgb.convert(mode)


def _pictures_with_notes(rgb: Image.Image) -> Iterator[tuple[str, bytes]]:
    profile, grey = rgb_profile(gamma_curve(2.2)), grey_profile(table_curve(1.8, 64))
    yield "profile.png", _saved(rgb, "PNG", icc_profile=profile, dpi=(300, 300))
    yield "profile.jpg", _saved(rgb, "JPEG", icc_profile=profile, exif=_exif())
    yield "profile.tif", _saved(rgb.convert("CMYK"), "TIFF", icc_profile=cmyk_profile())
    yield "grey-profile.png", _saved(rgb.convert("L"), "PNG", icc_profile=grey)
    yield "exif.png", _saved(rgb, "PNG", exif=_exif())
    yield "exif.webp", _saved(rgb, "WEBP", exif=_exif(), icc_profile=profile)
    yield "noted.tif", _saved(rgb, "TIFF", dpi=(300, 300), description="A house", icc_profile=profile)
    yield "preview.jpg", _saved(rgb, "MPO", save_all=True, append_images=[rgb.resize((8, 8))])


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[274], exif[271], exif[282] = 6, "Maker", 300.0
    exif[0x8769] = {0x9003: "2000:01:01 00:00:00", 0xA002: 32, 0xA003: 24, 0x829A: 0.01}
    exif[0x8825] = {1: "N", 2: (50.0, 1.0, 2.0)}
    return exif


def _deep_pictures() -> Iterator[tuple[str, bytes]]:
    colors = np.random.default_rng(1).integers(0, 65536, (24, 32, 3), np.uint16)
    for suffix in (".png", ".tif"):
        done, encoded = cv2.imencode(suffix, colors)
        assert done
        yield f"deep{suffix}", encoded.tobytes()
    done, encoded = cv2.imencode(".png", np.dstack((colors, colors[..., :1])))
    assert done
    yield "deep-alpha.png", encoded.tobytes()
    deep_grey = Image.fromarray(colors[..., 0])
    yield (
        "deep-curve.png",
        _saved(deep_grey, "PNG", icc_profile=grey_profile(parametric_curve(3, 2.4, 0.9, 0.1, 0.1, 0.04))),
    )
    yield "deep-table.png", _saved(deep_grey, "PNG", icc_profile=grey_profile(table_curve(2.2, 16)))
    yield "deep.pgm", b"P5 4 2 65535\n" + struct.pack(">8H", *range(0, 64000, 8000))


def weights_seeds() -> dict[str, bytes]:
    """Make weights files of small networks, of every architecture that can be small."""
    import torch

    from vidcolor.inference.weights import save_generator
    from vidcolor.networks import build

    configs: dict[str, dict[str, Any]] = {
        "autoencoder": {"filters": 4, "downs": 2},
        "cnn4": {"filters": 2, "stride": 1, "space": "rgb"},
        "residual": {"filters": 2, "blocks": 2},
        "residual_unet": {"filters": 2, "downs": 2, "upsampling": "transposed"},
        "unet": {"downs": 3, "filters": 2, "dropout": 0.5},
    }
    seeds = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        for name, config in configs.items():
            torch.manual_seed(0)
            network = build(name, config)
            save_generator(
                path,
                network.state_dict(),
                network=name,
                config=network.config,
                recipe="",
                training={"pictures_seen": 3},
            )
            seeds[name] = join_weights(*split_weights(path.read_bytes()))
    return seeds


def split_weights(file: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a safetensors file into its header, which follows its length in eight bytes, and the tensors' bytes."""
    (length,) = struct.unpack_from("<Q", file)
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def join_weights(header: dict[str, Any], numbers: bytes) -> bytes:
    """Join header and tensors, with the names sorted: safetensors itself writes them in another order at every run."""
    text = json.dumps(header, sort_keys=True).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def fault_seeds() -> dict[str, bytes]:
    """Make files that are read wrongly on purpose, each in the way that it names, to test the fuzzer itself."""
    return {name: name.encode() for name in ("crash", "exception", "memory", "message", "read", "slow", "warning")}


SEEDS: dict[str, Callable[[], dict[str, bytes]]] = {
    "films": film_seeds,
    "pictures": picture_seeds,
    "scans": scan_seeds,
    "weights": weights_seeds,
    "work": work_seeds,
    "faults": fault_seeds,
}
