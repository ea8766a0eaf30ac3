"""The options that commands share; commands get them as frozen records."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial, reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from vidcolor.cli import console
from vidcolor.cli.session import Session
from vidcolor.options import ColorizeOptions, EncodeOptions, KeepColor

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Predictor

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)
PIPE = "-"
"""Stands for standard input or output; a file of that name is ``./-``."""
MAX_RATE = 1000  # pictures per second


class SectionOption(click.Option):
    """An option that is listed under a heading in the help."""

    def __init__(self, *args: Any, section: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.section = section


class SectionCommand(click.Command):
    """A command whose help lists its options under their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options in the help, by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def key_values(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Parse options of the form ``KEY=VALUE``; of two values for a key, the later one counts."""
    pairs = [value.partition("=") for value in values]
    for key, equals, text in pairs:
        if not (key and equals):
            raise click.BadParameter(f"expected KEY=VALUE, got {key + equals + text!r}", ctx, param)
    return {key: text for key, _, text in pairs}


def device_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Check the form of the name of a device, or of several; whether it exists is for the engine to find out."""
    if not re.fullmatch(r"auto|all|mps|npu|gpu(:\d+)?|(cpu|cuda(:\d+)?)(,(cpu|cuda(:\d+)?))*", value):
        known = "auto, all, cpu, cuda, cuda:N, mps, gpu, gpu:N, npu or several such as cuda:0,cuda:1"
        raise click.BadParameter(f"expected {known}, got {value!r}", ctx, param)
    return value


@dataclass(frozen=True, kw_only=True)
class NetworkChoice:
    """The weights file and the device for the network."""

    weights: Path | None
    device: str
    batch_size: int | None

    def load(self) -> Predictor:
        """Load the network; takes seconds.

        Raises:
            WeightsError: the weights file is missing, damaged, or does not fit its network.
            OptionError: the device does not exist on this machine.
        """
        from vidcolor.inference.loading import load_colorizer

        return load_colorizer(self.weights, device=self.device, batch_size=self.batch_size)


def option(section: str, *names: str, **settings: Any) -> Decorator:
    """Return the decorator for an option under a heading, with its default in the help."""
    return click.option(*names, cls=SectionOption, section=section, **{"show_default": True, **settings})


def stacked(options: Sequence[Decorator]) -> Decorator:
    """Return one decorator for many options; the help lists them in this order."""
    return lambda command: reduce(lambda decorated, decorate: decorate(decorated), reversed(options), command)


def number_or_auto(unit: str) -> Callable[[click.Context, click.Parameter, str], int | None]:
    """Return a callback that parses a whole number, or ``auto`` as None."""

    def parse(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
        try:
            return None if value == "auto" else int(value)
        except ValueError:
            raise click.BadParameter(f"expected a number of {unit} or auto, got {value!r}", ctx, param) from None

    return parse


color = partial(option, "Color")
color_options = stacked(
    (
        color(
            "--render-size",
            callback=number_or_auto("pixels"),
            default=str(ColorizeOptions.render_size),
            metavar="PIXELS|auto",
            help="Short side of what the network sees. auto: 256, or less if memory does not suffice.",
        ),
        color(
            "--smoothing",
            type=float,
            default=ColorizeOptions.smoothing,
            metavar="0..1",
            help="Average colors over time; 0 leaves every frame as the network colors it.",
        ),
        color(
            "--anchor-every",
            callback=number_or_auto("frames"),
            default="auto",
            metavar="N|auto",
            help="Let the network color every N-th frame of a shot; the others get theirs along the motion. auto: as "
            "far apart as the motion allows; every frame with --smoothing 0.",
        ),
        color(
            "--saturation",
            type=float,
            default=ColorizeOptions.saturation,
            metavar="FACTOR",
            help="Makes all colors stronger or weaker.",
        ),
        color("--negative", is_flag=True, help="Photographs are scans of negatives: invert them first."),
        color(
            "--keep-color",
            "--keep-colour",
            "keep_color",
            type=click.Choice(get_args(KeepColor)),
            default=ColorizeOptions.keep_color,
            help="Which shots and pictures keep the colors that they have. auto: those with colors of their own, not "
            "with a tint such as sepia; always: all that are not grey; never: none.",
        ),
    )
)

network = partial(option, "Network")
network_options = stacked(
    (
        network(
            "--weights",
            type=PATH,
            metavar="PATH",
            show_default="the weights that come with vidcolor",
            help="Weights file to use: .safetensors, or .onnx, which OpenVINO runs.",
        ),
        network(
            "--device",
            callback=device_name,
            default="auto",
            metavar="NAME[,NAME...]|all",
            help="Where the network runs: auto, cpu, cuda, cuda:N or mps. Several, such as cuda:0,cuda:1, share the "
            "work; all: every CUDA device there is. With .onnx weights: auto, cpu, gpu, gpu:N or npu, of Intel.",
        ),
        network(
            "--batch-size",
            type=click.IntRange(min=1),
            metavar="N",
            show_default="chosen for the device",
            help="Pictures in one call of the network.",
        ),
    )
)

reading = partial(option, "Reading of films")
reading_options = stacked(
    (
        reading(
            "--deinterlace",
            type=click.Choice(["frame", "field"]),
            show_default="fields stay as they are",
            help="Deinterlace: to one picture for each frame, or one for each field at twice the rate.",
        ),
        reading(
            "--on-error",
            type=click.Choice(["stop", "keep-grey"]),
            default=ColorizeOptions.on_error,
            help="Where a film is damaged: stop; or go on, with the picture before in place of one that cannot be "
            "decoded, and end with exit code 1.",
        ),
        reading(
            "--keep-start",
            is_flag=True,
            help="Begin where the film's own clock begins, such as at 35001 s of a broadcast, instead of at 0.",
        ),
        reading(
            "--hwaccel",
            default=ColorizeOptions.hwaccel,
            metavar="NAME|auto|none",
            help="Decode by hardware, as ffmpeg names it: cuda, vaapi, videotoolbox, d3d11va ... The pictures are the "
            "same; auto: if there is any that can.",
        ),
    )
)

encoding = partial(option, "Encoding of films")
encode_options = stacked(
    (
        encoding(
            "--format",
            metavar="NAME",
            show_default="by the output's ending; matroska for -",
            help="Container, as ffmpeg names it: matroska, nut, mpegts, yuv4mpegpipe ...",
        ),
        encoding(
            "--codec",
            default=EncodeOptions.codec,
            metavar="NAME",
            help="Encoder, as ffmpeg names it: libx265, libsvtav1, ffv1, prores_ks, hevc_nvenc, hevc_qsv ...",
        ),
        encoding(
            "--audio-codec",
            metavar="NAME",
            show_default="such sound is left out",
            help="Encoder for sound that the container cannot hold as it is, as ffmpeg names it: aac, libopus ...",
        ),
        encoding(
            "--crf",
            type=float,
            metavar="NUMBER",
            show_default="18 where the encoder has it",
            help="Constant rate factor: lower is better and larger. For hardware, the nearest that it has.",
        ),
        encoding(
            "--preset",
            metavar="NAME",
            show_default="the encoder's own",
            help="Speed against size, as the encoder names it.",
        ),
        encoding(
            "--pix-fmt",
            metavar="NAME",
            show_default="4:2:0 at the source's depth",
            help="Pixel format, as ffmpeg names it.",
        ),
        encoding(
            "--encoder-option",
            "encoder_options",
            callback=key_values,
            multiple=True,
            metavar="KEY=VALUE",
            show_default=False,
            help="Any further option of the encoder; may be repeated.",
        ),
    )
)


def records_from_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Call the command with ``options`` and ``network`` instead of the single values.

    Options have the names of the fields that they fill.

    Raises:
        OptionError: a value is out of range.
    """

    @wraps(command)
    def with_records(*args: Any, **values: Any) -> Any:
        def taken(record: type[Any]) -> dict[str, Any]:
            return {name: values.pop(name) for name in [field.name for field in fields(record)] if name in values}

        if values["render_size"] is None:
            values |= {"render_size": ColorizeOptions.render_size, "fit_render_size": True}
        encode = EncodeOptions(**taken(EncodeOptions))
        options = ColorizeOptions(encode=encode, **taken(ColorizeOptions))
        return command(*args, options=options, network=NetworkChoice(**taken(NetworkChoice)), **values)

    return with_records


def path_or_pipe(ctx: click.Context, param: click.Parameter, value: str) -> str | Path:
    """Parse a path; :data:`PIPE` stays a string, since as a path it would be equal to ``./-``.

    If the output is a pipe, the session is changed so that no message goes to standard output.
    """
    if param.name == "dest":
        ctx.ensure_object(Session).stdout_is_film = value == PIPE
    return value if value == PIPE else Path(value)


def frame_rate(ctx: click.Context, param: click.Parameter, value: str | None) -> Fraction | None:
    """Parse frames per second: ``18``, ``23.976`` or ``24000/1001``."""
    try:
        rate = None if value is None else Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"expected a number or a ratio such as 24000/1001, got {value!r}") from None
    if rate is not None and not 0 < rate <= MAX_RATE:
        raise click.BadParameter(f"expected more than 0 and at most {MAX_RATE} frames per second, got {value!r}")
    return rate


source_argument = click.argument("source", callback=path_or_pipe)
output_option = click.option(
    "-o",
    "--output",
    "dest",
    required=True,
    metavar="PATH",
    callback=path_or_pipe,
    help="Where the result goes; - is standard output.",
)
rate_option = click.option(
    "-r",
    "--rate",
    metavar="FPS",
    callback=frame_rate,
    show_default="25",
    help="Frames per second of numbered pictures, as in scan_%06d.png.",
)
scenes_option = click.option(
    "--scenes",
    type=PATH,
    metavar="FILE",
    help="File with the start of each shot of the film: read if it exists, else written, to be edited.",
)
resume_option = click.option(
    "--resume", is_flag=True, help="Go on with what an interrupted run has finished; a folder's finished files stay."
)
overwrite_option = click.option("-y", "--overwrite", is_flag=True, help="Replace an output that exists.")


def colorize_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options on coloring; the command gets ``options: ColorizeOptions`` and ``network: NetworkChoice``."""
    groups = (overwrite_option, color_options, network_options, reading_options, encode_options)
    return stacked(groups)(records_from_options(command))


def message_flag(*names: str, help_line: str, log_level: int | None = None) -> Decorator:
    """Return the decorator for a flag that is kept in the session instead of passed to the command."""

    def keep(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if not value:
            return
        session = ctx.ensure_object(Session)
        setattr(session, str(param.name), True)
        for other in ("json", "profile"):
            if session.quiet and getattr(session, other):
                raise click.UsageError(f"--quiet and --{other} exclude each other.", ctx)
        if log_level is not None:
            console.set_log_level(log_level)

    flag = partial(option, "Messages", is_flag=True, expose_value=False, show_default=False)
    return flag(*names, callback=keep, help=help_line)


quiet_option = message_flag("-q", "--quiet", help_line="Show nothing but errors.", log_level=logging.ERROR)
json_option = message_flag("--json", help_line="For scripts: JSON objects on standard output, one a line.")
debug_option = message_flag(
    "--debug", help_line="Log in detail, and show the traceback of an error.", log_level=logging.DEBUG
)
profile_option = message_flag(
    "--profile", help_line="After a film: the time of each stage, and the least that it could be on this machine."
)
message_options = stacked((quiet_option, json_option, debug_option, profile_option))
