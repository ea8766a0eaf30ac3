"""Decode a film by hardware, if that gives exactly the pictures that software gives.

This is checked: the film is opened in software and once more with the device, and its first picture must come from the
device and be the same, with the same :class:`~vidcolor.frames.VideoSpec`. Pictures are copied from the device to memory
in semi-planar formats (:mod:`vidcolor.media.pixel_formats`).

PyAV opens the decoder that libav prefers for a codec. So Quick Sync, whose decoders have other names, is available
through ``vaapi`` or ``d3d11va`` only, and AV1 is not decoded by hardware where libav has dav1d.
"""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
from av.codec import Codec
from av.codec.hwaccel import HWAccel

from vidcolor.errors import InputError, OptionError
from vidcolor.files.paths import is_file
from vidcolor.media.reader import VideoReader

NONE, AUTO = "none", "auto"
EXACT = frozenset({"h264", "hevc", "vvc", "vp8", "vp9", "av1"})
"""Codecs whose standards define every bit of a picture. Decoders of older ones (MPEG-2) may round differently."""


class UnacceleratedError(Exception):
    """Why hardware does not decode a film."""


def open_on_device(read: Callable[[HWAccel | None], VideoReader], hwaccel: str) -> VideoReader:
    """Open a film for decoding by hardware or by software.

    Args:
        read: opens the film with a device, or in software if the argument is None.
        hwaccel: ``none``: software; ``auto``: the first device of this machine that decodes the film, otherwise
            software and a warning; or the name of a device as ``ffmpeg -hwaccels`` prints it.

    Raises:
        OptionError: the device is not there, or does not decode this film as software does.
        VidcolorError: what ``read`` raises in software.
    """
    software = read(None)
    if hwaccel == NONE:
        return software
    try:
        reader = _accelerated(read, hwaccel, software)
    except UnacceleratedError as exc:
        if hwaccel == AUTO:
            software.add_warning(f"`hwaccel` auto: {exc}; the film is decoded in software")
            return software
        software.close()
        raise OptionError(f"`hwaccel` {hwaccel}: {exc}; leave it out to decode in software") from exc
    except BaseException:
        software.close()
        raise
    software.close()
    return reader


def _accelerated(read: Callable[[HWAccel | None], VideoReader], hwaccel: str, software: VideoReader) -> VideoReader:
    path, codec = software.source.path, software.stream.codec_context.codec
    if path is None or not is_file(path):
        raise UnacceleratedError("only films in files are decoded by hardware")
    if codec.canonical_name not in EXACT:
        raise UnacceleratedError(f"decoders of {codec.canonical_name} may differ in single bits of the luma")
    device, accelerator = find_device(hwaccel, codec)
    try:
        reader = read(accelerator)
    except InputError as exc:
        raise UnacceleratedError(f"{device} does not decode this film ({exc})") from exc
    try:
        _check_same(reader, software, device)
    except UnacceleratedError:
        reader.close()
        raise
    return reader


def _check_same(reader: VideoReader, software: VideoReader, device: str) -> None:
    if not reader.was_accelerated:
        spec, pixel_format = software.spec, software.stream.codec_context.pix_fmt
        what = f"{software.stream.codec_context.codec.canonical_name} of {pixel_format}, {spec.width}×{spec.height}"
        raise UnacceleratedError(f"{device} does not take {what}")
    if reader.spec != software.spec or not np.array_equal(reader.first.luma, software.first.luma):
        raise UnacceleratedError(f"{device} decodes the first picture to something else than software does")


def find_device(name: str, codec: Codec) -> tuple[str, HWAccel]:
    """Return the name of a device of this machine that decodes a codec, and the device.

    Args:
        name: the device to find, or ``auto`` for the first one.
        codec: the decoder.

    Raises:
        UnacceleratedError: there is none.
    """
    known = [config.device_type.name for config in codec.hardware_configs if config.is_supported]
    if not known or name not in {AUTO, *known}:
        only = f"on {', '.join(known)} only" if known else "in software only"
        raise UnacceleratedError(f"this build of libav decodes {codec.canonical_name} {only}")
    missing = []
    for device in known if name == AUTO else [name]:
        try:
            HWAccel(device).create(codec)
        except av.FFmpegError as exc:
            missing.append(f"{device} ({exc.strerror})")
        else:
            return device, HWAccel(device, allow_software_fallback=True)
    raise UnacceleratedError(f"this machine has no such device, or no driver for it: {', '.join(missing)}")
