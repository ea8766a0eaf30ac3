"""Which encoder, which pixel format, which settings: everything checked before the first picture is touched."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from typing import Literal, cast, get_args

import av
import cv2
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.codec.context import CodecContext, Flags
from av.video.codeccontext import VideoCodecContext

from vidcolor.errors import OptionError
from vidcolor.frames import ChromaFormat, VideoSpec
from vidcolor.media.hardware_encoders import hardware_encoder
from vidcolor.media.hdr_metadata import encoder_parameters
from vidcolor.media.interlacing import FIELD_CODECS, ORDER_CODES
from vidcolor.media.pixel_formats import PLANAR_FORMS, RANGE_FULL, RANGE_LIMITED, RAW_PIXEL_FORMATS, PlanarFormat
from vidcolor.options import EncodeOptions

DEFAULT_CRF = 18.0  # visually lossless for x264; the other encoders with a crf are at least as careful there
FALLBACK_RATE = Fraction(25)  # for rate control only, where the source names no rate: times come from the pictures
RATE_CONTROL = frozenset({"b", "qp", "cqp", "cq", "qscale", "global_quality", "lossless", "rc"})
"""Options that say themselves how many bits to spend, so that the default crf must not."""
CONSTANT_QUALITY = frozenset({"crf", "qp", "cqp", "cq", "qscale", "global_quality", "lossless"})
"""Options that make every picture as good as the last, whatever that takes."""
SHARED_BITS = frozenset({"b", "bitrate", "maxrate", "minrate", "bufsize", "vbv-maxrate", "vbv-bufsize", "tbr", "pass"})
"""Options, also in the words of x264, x265 and SVT-AV1, that give bits to a film and not to a picture."""
STATELESS = frozenset({"prores", "prores_aw", "prores_ks", "jpeg2000", "cfhd"})
"""Encoders with losses that take every picture by itself, at a quality that does not depend on others."""
OWN_WORDS = {
    "libx264": "x264-params",
    "libx264rgb": "x264-params",
    "libx265": "x265-params",
    "libsvtav1": "svtav1-params",
}
"""The options that take an encoder's own words."""
AVX2 = 11  # CPU_AVX2 of OpenCV
RAW_CODEC = "rawvideo"
RAW_FORMATS = frozenset({"yuv4mpegpipe", "rawvideo"})
"""Containers of pictures as they are: without a codec, and without times."""

X265_MIN_SIDE = 64  # pixels a side: in smaller pictures x265 writes beyond its memory (48×32 with ultrafast, for one)

SHAPE_CODECS = frozenset({"libx264", "libx264rgb", "libx265", "mpeg1video", "mpeg2video", "mpeg4"})
"""Encoders that write the shape of the pixels into the pictures' own stream."""
X265_DELAY = 2
"""Pictures. Of films that are no longer x265 says decoding times that nobody has written; none of them is reordered."""

Siting = Literal["left", "center", "topleft"]


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder with everything it needs to know except the film."""

    codec: Codec
    pixel_format: PlanarFormat
    """What code values it takes."""
    frame_format: str
    """The format that it wants them in: the same, or its semi-planar kin."""
    settings: dict[str, str]
    siting: Siting

    def chroma(self, spec: VideoSpec) -> ChromaFormat:
        """The planes this encoder wants for pictures of ``spec``."""
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
    """What the encoder is asked for in a container: raw pictures, counted in frames, in :data:`RAW_FORMATS`.

    Raises:
        OptionError: another codec than raw pictures was asked for there.
    """
    if format_name not in RAW_FORMATS:
        return options, spec
    if options.codec not in {RAW_CODEC, EncodeOptions.codec}:
        raise OptionError(f"`codec` {options.codec}: {format_name} holds raw pictures; leave it out or use matroska")
    return replace(options, codec=RAW_CODEC), replace(spec, time_base=1 / (spec.frame_rate or FALLBACK_RATE))


def choose_encoder(options: EncodeOptions, spec: VideoSpec, *, may_round: bool = False) -> EncoderChoice:
    """Check ``options`` against the encoder and the film.

    ``may_round``: where the film has more bits than any encoder of films takes, fewer will do.

    Raises:
        OptionError: no such encoder, not a video encoder, an option it does not have, or no pixel format that fits.
    """
    codec = _find_codec(options.codec)
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


def _find_codec(name: str) -> Codec:
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as exc:
        hint = "libx264, libx265, libsvtav1 and ffv1 are common"
        raise OptionError(f"`codec` {name}: there is no such encoder in this build of libav; {hint}") from exc
    if codec.type != "video":
        raise OptionError(f"`codec` {name}: encodes {codec.type}, a video encoder is needed; sound is copied as it is")
    return codec


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
            raise OptionError(f"--{key} {settings[key]}: the encoder {codec.name} has no {key}; leave it out")
    for key in options.encoder_options:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise OptionError(f"`encoder_options` {key}: the encoder {codec.name} has no such option{hint}")
    settings.update(options.encoder_options)
    if "x265-params" in private:
        # x265 writes to the terminal past libav's log, and later values win.
        settings["x265-params"] = ":".join(filter(None, ("log-level=none", settings.get("x265-params"))))
    return settings


def shares_bits(choice: EncoderChoice) -> bool:
    """Whether what is spent on a picture depends on all pictures before it, so that none may be missing."""
    settings = choice.settings
    own = [pair.partition("=")[0] for key, value in settings.items() if key.endswith(("-params", "opts"))
           for pair in value.split(":")]  # fmt: skip
    if SHARED_BITS & {*settings, *own} or "pass" in settings.get("flags", ""):
        return True
    is_lossless = choice.codec.lossless and not choice.codec.lossy
    return not (is_lossless or choice.codec.name in STATELESS or CONSTANT_QUALITY & settings.keys())


def _siting(codec: Codec, settings: dict[str, str]) -> Siting:
    # MPEG-1 and JPEG have no field for it: there the chroma lies in the middle.
    default = "center" if codec.name in {"mpeg1video", "mjpeg"} else "left"
    siting = settings.get("chroma_sample_location", default)
    if siting not in get_args(Siting):
        known = ", ".join(get_args(Siting))
        raise OptionError(f"`encoder_options` chroma_sample_location={siting}: expected one of {known}")
    return cast(Siting, siting)


def _frame_formats(codec: Codec) -> dict[PlanarFormat, str]:
    """What code values an encoder takes, and the format that it wants each in: planar where it can be had."""
    listed, hardware = codec.video_formats, hardware_encoder(codec.name)
    names = RAW_PIXEL_FORMATS if listed is None else [pixel_format.name for pixel_format in listed]
    planar = {PlanarFormat.parse(name): name for name in names}
    kin = {PlanarFormat.parse(PLANAR_FORMS[name]): name for name in names if name in PLANAR_FORMS}
    deepest = inf if hardware is None else hardware.deepest
    both = {**planar, **{found: name for found, name in kin.items() if found not in planar}}
    return {found: name for found, name in both.items() if found is not None and found.bit_depth <= deepest}


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
    """The least depth that holds the source's, and at that depth the first there is of 4:2:0, 4:2:2 and 4:4:4.

    4:2:0 is what players expect. Where width or height is odd and the encoder insists on even ones, a row would be lost
    in 4:2:0, so 4:4:4 is taken.
    """
    known = _frame_formats(codec)
    deepest = max((planar.bit_depth for planar in known), default=0)
    enough = min(spec.bit_depth, deepest) if may_round else spec.bit_depth
    # The yuvj names are old spellings of full range; an encoder that lists only those takes nothing else.
    usable = [
        planar
        for planar in known
        if planar.bit_depth >= enough and (spec.full_range or not planar.name.startswith("yuvj"))
    ]
    rows = 4 if spec.first_field is not None else 2  # each field has chroma lines of its own
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


def configure(context: VideoCodecContext, choice: EncoderChoice, spec: VideoSpec) -> None:
    """Tell an encoder, not yet open, about the film: size, time, color tags, settings."""
    context.width = spec.width
    context.height = spec.height
    context.pix_fmt = choice.frame_format
    context.time_base = spec.time_base
    context.framerate = spec.frame_rate or FALLBACK_RATE
    if spec.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = spec.sample_aspect_ratio
    context.color_range = RANGE_FULL if spec.full_range else RANGE_LIMITED
    context.colorspace = spec.matrix
    context.color_primaries = spec.primaries
    context.color_trc = spec.transfer
    if spec.first_field is not None and choice.codec.name in FIELD_CODECS:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = ORDER_CODES[spec.first_field]
    context.flags |= Flags.frame_duration  # a packet lasts as long as its picture, also with a variable rate
    hardware = hardware_encoder(choice.codec.name)
    if hardware is not None and hardware.is_by_qscale and "global_quality" in choice.settings:
        context.flags |= Flags.qscale
    # PyAV asks for slice threads only, and x264 would cut every picture into slices for them.
    context.thread_type = "AUTO"
    context.options = {**choice.settings, **_own_parameters(choice, spec)}


def _own_parameters(choice: EncoderChoice, spec: VideoSpec) -> dict[str, str]:
    """The option that takes an encoder's own words, with ours ahead of the user's: later values win."""
    name = choice.codec.name
    told = None if spec.hdr is None else encoder_parameters(name, spec.hdr)
    words = {**_for_equal_bytes(name), **(told or {})}
    option = OWN_WORDS.get(name)
    if not words or option is None:
        return {}
    return {option: ":".join([*map("=".join, words.items()), *filter(None, [choice.settings.get(option)])])}


def _for_equal_bytes(name: str) -> dict[str, str]:
    """What makes an encoder give the same bytes for the same pictures.

    x264 (core 165) looks at memory that nobody has written when it weighs blocks over time with AVX-512: what it makes
    then depends on what was there before. With AVX2 it does not. OpenCV is asked for AVX2, not for AVX-512, which it
    can be told to do without while x264 does not.
    """
    return {"asm": "avx2"} if name.startswith("libx264") and cv2.checkHardwareSupport(AVX2) else {}


def open_encoder(context: VideoCodecContext, choice: EncoderChoice, spec: VideoSpec) -> None:
    """Open a configured encoder.

    Raises:
        OptionError: it refuses the size, the time base or a setting, or does not know one.
    """
    if _is_too_small(choice.codec, spec):
        least = f"expected at least {X265_MIN_SIDE}×{X265_MIN_SIDE} pixels, found {spec.width}×{spec.height}"
        raise OptionError(f"`codec` libx265: {least}; leave it out (libx264 takes any size)")
    try:
        # What it logs on a refusal would be the better reason. But while libav's log is listened to, a decoder's thread
        # that logs waits for the interpreter's lock, and whoever frees that decoder holds it and waits for the thread.
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
