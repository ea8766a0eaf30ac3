"""Choose, configure and open an encoder: codec, pixel format and settings, checked before the first frame."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from typing import Literal, cast, get_args

import av
import cv2
from av.codec import Codec
from av.codec.context import CodecContext, Flags
from av.video.codeccontext import VideoCodecContext

from vidcolor.errors import OptionError
from vidcolor.frames import ChromaFormat, VideoSpec
from vidcolor.media.codecs import find_encoder
from vidcolor.media.containers import FRAME_FORMATS
from vidcolor.media.hardware_encoders import hardware_encoder
from vidcolor.media.hdr_metadata import encoder_parameters
from vidcolor.media.interlacing import FIELD_CODECS, ORDER_CODES
from vidcolor.media.pixel_formats import PLANAR_FORMS, RANGE_FULL, RANGE_LIMITED, RAW_PIXEL_FORMATS, PlanarFormat
from vidcolor.options import EncodeOptions

DEFAULT_CRF = 18.0  # visually lossless with x264; other encoders with a crf lose no more at this value
FALLBACK_RATE = Fraction(25)  # for rate control, if the source has no frame rate; times come from the pictures
RATE_CONTROL = frozenset({"b", "qp", "cqp", "cq", "qscale", "global_quality", "lossless", "rc"})
"""Options that control the bit rate or the quality, so that the default crf is not set."""
CONSTANT_QUALITY = frozenset({"crf", "qp", "cqp", "cq", "qscale", "global_quality", "lossless"})
"""Options for constant quality, whatever the bit rate."""
SHARED_BITS = frozenset({"b", "bitrate", "maxrate", "minrate", "bufsize", "vbv-maxrate", "vbv-bufsize", "tbr", "pass"})
"""Options that distribute bits over the film, by the names of libav, x264, x265 and SVT-AV1."""
STATELESS = frozenset({"prores", "prores_aw", "prores_ks", "jpeg2000", "cfhd"})
"""Lossy encoders whose pictures and qualities do not depend on each other."""
PARAMETER_OPTIONS = {
    "libx264": "x264-params",
    "libx264rgb": "x264-params",
    "libx265": "x265-params",
    "libsvtav1": "svtav1-params",
}
"""The option with an encoder library's own parameters, by encoder."""
AVX2 = 11  # CPU_AVX2 of OpenCV
RAW_CODEC = "rawvideo"
RAW_FORMATS = frozenset({"yuv4mpegpipe", "rawvideo"})
"""Containers for raw pictures, without times."""

X265_MIN_SIDE = 64  # pixels: in smaller pictures x265 writes out of bounds (48×32 with ultrafast, for example)

SHAPE_CODECS = frozenset({"libx264", "libx264rgb", "libx265", "mpeg1video", "mpeg2video", "mpeg4"})
"""Encoders that store the sample aspect ratio in the packets themselves."""
MPEG_RATES = tuple(Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"))
"""Frames per second that MPEG-1 and MPEG-2 have a code for (ISO/IEC 13818-2, table 6-4)."""
MPEG2_FACTORS = frozenset(Fraction(n, d) for n in range(1, 5) for d in range(1, 33))
"""What MPEG-2 can multiply such a rate with (6.3.5)."""
MPEG4_MAX_DENOMINATOR = 65535
"""Of a unit of time in MPEG-4 part 2 (ISO/IEC 14496-2, 6.3.3)."""
X265_DELAY = 2
"""Frames. In films no longer than this the decoding times of x265 are uninitialized; no frame is reordered there."""

Siting = Literal["left", "center", "topleft"]


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder with its pixel format and settings."""

    codec: Codec
    pixel_format: PlanarFormat
    """The bit depth and chroma subsampling of the code values."""
    frame_format: str
    """libav's name of the frames' format: that of ``pixel_format``, or its semi-planar equivalent."""
    settings: dict[str, str]
    siting: Siting

    def chroma(self, spec: VideoSpec) -> ChromaFormat:
        """Return the format of the chroma planes for pictures of ``spec``."""
        planar = self.pixel_format
        return ChromaFormat(
            width=-(-spec.width // planar.subsampling_x),
            height=-(-spec.height // planar.subsampling_y),
            bit_depth=planar.bit_depth,
            subsampling_x=planar.subsampling_x,
            subsampling_y=planar.subsampling_y,
            siting=self.siting,
        )


def fit_container(options: EncodeOptions, spec: VideoSpec, format_name: str) -> tuple[EncodeOptions, VideoSpec]:
    """Adapt options and pictures to the container.

    :data:`RAW_FORMATS` and :data:`FRAME_FORMATS` count time in whole frames; the former hold raw pictures, the latter
    get no B-frames unless the options ask for them.

    Args:
        options: the requested options.
        spec: the pictures of the source.
        format_name: libav's name of the container.

    Raises:
        OptionError: another codec than raw pictures is requested for such a container.
    """
    if format_name in FRAME_FORMATS:
        unordered = {"bf": "0", **options.encoder_options}
        return replace(options, encoder_options=unordered), _in_frames(spec)
    if format_name not in RAW_FORMATS:
        return options, spec
    if options.codec not in {RAW_CODEC, EncodeOptions.codec}:
        raise OptionError(f"`codec` {options.codec}: {format_name} holds raw pictures; leave it out or use matroska")
    return replace(options, codec=RAW_CODEC), _in_frames(spec)


def _in_frames(spec: VideoSpec) -> VideoSpec:
    return replace(spec, time_base=1 / (spec.frame_rate or FALLBACK_RATE))


def choose_encoder(options: EncodeOptions, spec: VideoSpec, *, may_round: bool = False) -> EncoderChoice:
    """Find the encoder that is requested, and a pixel format and settings for the pictures.

    Args:
        options: the requested options.
        spec: the pictures of the source.
        may_round: whether fewer bits are acceptable if the encoder does not take as many as the source has.

    Raises:
        OptionError: there is no such video encoder, it does not have an option, or none of its pixel formats fits.
    """
    codec = find_encoder(options.codec, "video")
    settings = _settings(codec, options)
    siting = _siting(codec, settings)
    if options.pix_fmt is not None:
        pixel_format = _requested_format(codec, options.pix_fmt)
    else:
        pixel_format = _default_format(codec, settings, spec, may_round=may_round)
    if pixel_format.subsampling_y == 2:
        settings.setdefault("chroma_sample_location", siting)
    frame_format = _frame_formats(codec).get(pixel_format, pixel_format.name)
    return EncoderChoice(codec, pixel_format, frame_format, settings, siting)


def _settings(codec: Codec, options: EncodeOptions) -> dict[str, str]:
    supported = CodecContext.create(codec, "w").supported_options
    private = {option.name for option in supported.private}
    known = private | {option.name for option in supported.generic}
    hardware, crf = hardware_encoder(codec.name), options.crf
    if crf is None and (hardware or "crf" in private) and not RATE_CONTROL & options.encoder_options.keys():
        crf = DEFAULT_CRF
    settings: dict[str, str] = {}
    if crf is not None:
        settings = hardware.quality(crf) if hardware else {"crf": f"{crf:g}"}
    if options.preset is not None:
        settings["preset"] = options.preset
    for key in ("crf", "preset"):
        if key in settings and key not in private:
            raise OptionError(f"`{key}` {settings[key]}: the encoder {codec.name} has no {key}; leave it out")
    for key in options.encoder_options:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise OptionError(f"`encoder_options` {key}: the encoder {codec.name} has no such option{hint}")
    settings.update(options.encoder_options)
    if "x265-params" in private:
        # x265 writes to the terminal, not to libav's log. Later values win.
        settings["x265-params"] = ":".join(filter(None, ("log-level=none", settings.get("x265-params"))))
    return settings


def shares_bits(choice: EncoderChoice) -> bool:
    """Return whether rate control depends on all earlier pictures, so that segments cannot be encoded by themselves."""
    settings = choice.settings
    parameters = [value for key, value in settings.items() if key.endswith(("-params", "opts"))]
    own = [pair.partition("=")[0] for value in parameters for pair in value.split(":")]
    if SHARED_BITS & {*settings, *own} or "pass" in settings.get("flags", ""):
        return True
    is_lossless = choice.codec.lossless and not choice.codec.lossy
    return not (is_lossless or choice.codec.name in STATELESS or CONSTANT_QUALITY & settings.keys())


def _siting(codec: Codec, settings: dict[str, str]) -> Siting:
    # MPEG-1 and JPEG do not store it: their chroma samples lie in the center.
    default = "center" if codec.name in {"mpeg1video", "mjpeg"} else "left"
    siting = settings.get("chroma_sample_location", default)
    if siting not in get_args(Siting):
        known = ", ".join(get_args(Siting))
        raise OptionError(f"`encoder_options` chroma_sample_location={siting}: expected one of {known}")
    return cast(Siting, siting)


def _frame_formats(codec: Codec) -> dict[PlanarFormat, str]:
    """Return the planar formats of an encoder, each with the name of the frames' format: planar if there is one."""
    listed, hardware = codec.video_formats, hardware_encoder(codec.name)
    names = RAW_PIXEL_FORMATS if listed is None else [pixel_format.name for pixel_format in listed]
    planar = {PlanarFormat.parse(name): name for name in names}
    semi_planar = {PlanarFormat.parse(PLANAR_FORMS[name]): name for name in names if name in PLANAR_FORMS}
    max_bit_depth = inf if hardware is None else hardware.max_bit_depth
    both = {**planar, **{found: name for found, name in semi_planar.items() if found not in planar}}
    return {found: name for found, name in both.items() if found is not None and found.bit_depth <= max_bit_depth}


def _requested_format(codec: Codec, name: str) -> PlanarFormat:
    requested = PlanarFormat.parse(name)
    supported = _frame_formats(codec)
    if requested is None:
        raise OptionError(f"`pix_fmt` {name}: expected planar Y'CbCr, such as yuv420p, yuv444p or yuv420p10le")
    if codec.video_formats is not None and requested not in supported:
        names = ", ".join(planar.name for planar in supported) or "no planar Y'CbCr format at all"
        raise OptionError(f"`pix_fmt` {name}: the encoder {codec.name} takes {names}")
    return requested


def _default_format(codec: Codec, settings: dict[str, str], spec: VideoSpec, *, may_round: bool) -> PlanarFormat:
    """Return the format with the lowest sufficient bit depth, and of those 4:2:0, 4:2:2 or 4:4:4, in this order.

    4:2:0 is what players expect. If width or height is odd and the encoder requires even ones, 4:2:0 would lose a row,
    so 4:4:4 is chosen.
    """
    known = _frame_formats(codec)
    deepest = max((planar.bit_depth for planar in known), default=0)
    enough = min(spec.bit_depth, deepest) if may_round else spec.bit_depth
    # The yuvj names are old names for full range; some encoders list no others.
    usable = [
        planar
        for planar in known
        if planar.bit_depth >= enough and (spec.full_range or not planar.name.startswith("yuvj"))
    ]
    rows = 4 if spec.first_field is not None else 2  # each field has chroma rows of its own
    even = spec.width % 2 == 0 and spec.height % rows == 0
    order = [(2, 2), (2, 1), (1, 1)] if even else [(2, 2), (1, 1), (2, 1)]
    usable.sort(key=lambda planar: (planar.bit_depth, _rank(planar, order), planar.name.startswith("yuvj")))
    if not usable:
        found = f"takes at most {deepest}" if deepest else "takes no planar Y'CbCr"
        hint = "choose another `codec` (libx265 takes 12, ffv1 16), or round with `pix_fmt`"
        raise OptionError(f"`codec` {codec.name}: the film has {spec.bit_depth} bits, this encoder {found}; {hint}")
    if even:
        return usable[0]
    return next((planar for planar in usable if _opens(codec, planar, settings, spec)), usable[0])


def _rank(planar: PlanarFormat, order: list[tuple[int, int]]) -> int:
    subsampling = (planar.subsampling_x, planar.subsampling_y)
    return order.index(subsampling) if subsampling in order else len(order)


def _opens(codec: Codec, planar: PlanarFormat, settings: dict[str, str], spec: VideoSpec) -> bool:
    if _is_too_small(codec, spec):
        return False
    context = cast(VideoCodecContext, CodecContext.create(codec, "w"))
    configure(context, EncoderChoice(codec, planar, _frame_formats(codec)[planar], settings, "left"), spec)
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True


def _is_too_small(codec: Codec, spec: VideoSpec) -> bool:
    return codec.name == "libx265" and min(spec.width, spec.height) < X265_MIN_SIDE


def numbering_rate(codec: str, spec: VideoSpec) -> Fraction | None:
    """Return the frames per second of an encoder that does not take every unit of time, only a rate of its standard.

    Such an encoder gets the numbers of the pictures as their times. The rate is that of the film, or the nearest that
    the standard has. None: the encoder takes the times as they are.
    """
    rate = spec.frame_rate or FALLBACK_RATE
    if codec == "mpeg4":
        return 1 / (1 / rate).limit_denominator(MPEG4_MAX_DENOMINATOR)
    if codec not in {"mpeg1video", "mpeg2video"}:
        return None
    if codec == "mpeg2video" and any(rate / known in MPEG2_FACTORS for known in MPEG_RATES):
        return rate
    return min(MPEG_RATES, key=lambda known: abs(known - rate))


def configure(context: VideoCodecContext, choice: EncoderChoice, spec: VideoSpec) -> None:
    """Set size, time base, color tags and settings of an encoder that is not yet open."""
    rate = numbering_rate(choice.codec.name, spec)
    context.width = spec.width
    context.height = spec.height
    context.pix_fmt = choice.frame_format
    context.time_base = spec.time_base if rate is None else 1 / rate
    context.framerate = rate or spec.frame_rate or FALLBACK_RATE
    if spec.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = spec.sample_aspect_ratio
    context.color_range = RANGE_FULL if spec.full_range else RANGE_LIMITED
    context.colorspace = spec.matrix
    context.color_primaries = spec.primaries
    context.color_trc = spec.transfer
    if spec.first_field is not None and choice.codec.name in FIELD_CODECS:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = ORDER_CODES[spec.first_field]
    context.flags |= Flags.frame_duration  # packets get the durations of their frames
    hardware = hardware_encoder(choice.codec.name)
    if hardware is not None and hardware.is_by_qscale and "global_quality" in choice.settings:
        context.flags |= Flags.qscale
    # PyAV requests slice threads only, for which x264 would cut every picture into slices.
    context.thread_type = "AUTO"
    context.options = {**choice.settings, **_library_parameters(choice, spec)}


def _library_parameters(choice: EncoderChoice, spec: VideoSpec) -> dict[str, str]:
    """Return the option with the encoder library's parameters: ours, then the user's, because later values win."""
    name = choice.codec.name
    hdr = None if spec.hdr is None else encoder_parameters(name, spec.hdr)
    parameters = {**_reproducible(name), **_timing(name, spec), **(hdr or {})}
    option = PARAMETER_OPTIONS.get(name)
    if not parameters or option is None:
        return {}
    return {option: ":".join([*map("=".join, parameters.items()), *filter(None, [choice.settings.get(option)])])}


def _reproducible(name: str) -> dict[str, str]:
    """Return the parameters with which an encoder gives equal bytes for equal pictures.

    With AVX-512, x264 (core 165) reads uninitialized memory when it weights blocks over time, so that its output
    varies; with AVX2 it does not. The processor is checked with OpenCV, for AVX2 and not for AVX-512, because OpenCV
    can be configured to ignore AVX-512 while x264 still uses it.
    """
    return {"asm": "avx2"} if name.startswith("libx264") and cv2.checkHardwareSupport(AVX2) else {}


def _timing(name: str, spec: VideoSpec) -> dict[str, str]:
    """Return the parameters with which x264 writes the film's frame rate into its headers, not the unit of time.

    A player of the raw stream would take a unit of 1/12800 s for 12800 frames a second.
    """
    return {"force-cfr": "1"} if name.startswith("libx264") and spec.frame_rate else {}


def open_encoder(context: VideoCodecContext, choice: EncoderChoice, spec: VideoSpec) -> None:
    """Open a configured encoder.

    Raises:
        OptionError: the encoder refuses the size, the time base or a setting, or does not have a setting.
    """
    if _is_too_small(choice.codec, spec):
        least = f"expected at least {X265_MIN_SIDE}×{X265_MIN_SIDE} pixels, found {spec.width}×{spec.height}"
        raise OptionError(f"`codec` libx265: {least}; leave it out (libx264 takes any size)")
    try:
        # The encoder's log has a better reason, but capturing libav's log can deadlock: a decoder thread that logs
        # waits for the interpreter's lock, while the code that frees the decoder holds it and waits for the thread.
        context.open()
    except av.FFmpegError as exc:
        film = f"{choice.pixel_format.name} of {spec.width}×{spec.height}, time base {spec.time_base}"
        settings = " ".join(f"{key}={value}" for key, value in choice.settings.items()) or "its defaults"
        what = f"`codec` {choice.codec.name}: refuses {film}, with {settings} ({exc.strerror})"
        hardware = hardware_encoder(choice.codec.name)
        if hardware is not None:
            raise OptionError(
                f"{what}; it needs {hardware.needs}; `codec` {hardware.stand_in} works everywhere"
            ) from exc
        raise OptionError(f"{what}; change the settings or choose another `codec`") from exc
    if context.options:
        raise OptionError(f"`encoder_options` {next(iter(context.options))}: {choice.codec.name} did not take it")
