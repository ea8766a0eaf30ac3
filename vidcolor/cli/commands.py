"""The commands: parse, check, call the library once, show the result.

``vidcolor FILE -o OUT`` means ``vidcolor colorize FILE -o OUT``. The library's modules are imported where they are
used, because they load torch, PyAV and OpenCV, which ``--help`` does not need.
"""

from __future__ import annotations

import difflib
import gc
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcolor._version import __version__
from vidcolor.cli import console
from vidcolor.cli.arguments import check_arguments, name_of, resolve_arguments
from vidcolor.cli.flags import with_flags
from vidcolor.cli.options import (
    PATH,
    NetworkChoice,
    SectionCommand,
    colorize_options,
    debug_option,
    json_option,
    message_options,
    output_option,
    rate_option,
    resume_option,
    scenes_option,
    source_argument,
)
from vidcolor.cli.session import FAILED, Session, exit_codes, signals_raise
from vidcolor.files.paths import check_destination, is_file, is_folder, path_exists
from vidcolor.media.destinations import find_destination
from vidcolor.resume.unfinished import is_finished, remove_empty_folder
from vidcolor.stills.kinds import is_picture

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Predictor
    from vidcolor.media.destinations import Destination
    from vidcolor.media.reader import VideoReader
    from vidcolor.media.sources import FilmInput
    from vidcolor.options import ColorizeOptions


class VidcolorGroup(click.Group):
    """A group with a default command, and with commands that are imported only when they are used."""

    def __init__(self, *args: Any, default: str, lazy: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.default = default
        self.lazy = lazy
        """Name to ``module:attribute`` and a line of help."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command line, whatever standard output can encode."""
        console.replace_unencodable()
        return super().main(*args, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*self.commands, *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, importing it if it is lazy."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command before arguments that begin with no command."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if args and args[0] not in own and args[0] not in self.list_commands(ctx):
            self._catch_typing_error(ctx, args[0])
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def _catch_typing_error(self, ctx: click.Context, name: str) -> None:
        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.75)
        if close and not path_exists(Path(name)):
            raise click.UsageError(f"There is no file or command {name!r}. Did you mean {close[0]!r}?", ctx)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with its messages, signals and exit codes."""
        session = ctx.obj = Session()
        os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 writes to the terminal past libav's log
        with console.logging_to(session.err), signals_raise(), exit_codes(session):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help, without importing those that are lazy."""
        lines = {name: command.get_short_help_str(limit=100) for name, command in self.commands.items()}
        lines |= {name: line for name, (_, line) in self.lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(list(lines.items()))


HELP = """Color black-and-white film. Luma, timing and sound stay as they are.

\b
vidcolor film.mp4 -o out.mp4       a film
vidcolor photo.jpg -o out.jpg      a picture
vidcolor photos/ -o colored/       a folder of pictures and films
vidcolor scan_%06d.png -r 18 -o out.mkv     numbered pictures
... | vidcolor - -o - | ...        pipes
vidcolor film.mp4 --help           all options

A file that begins with a dash, or is named like a command, goes behind two dashes: vidcolor -o out.mp4 -- -film.mp4
"""


@click.group(
    help=HELP,
    cls=VidcolorGroup,
    default="colorize",
    lazy={
        "train": ("vidcolor_training.train_command:train", "Train a network."),
        "evaluate": ("vidcolor_training.evaluate_command:evaluate", "Measure weights on pictures."),
    },
    subcommand_metavar="SOURCE -o OUTPUT | COMMAND ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Color black-and-white film. Luma, timing and sound stay as they are."""


@main.command(cls=SectionCommand)
@source_argument
@output_option
@rate_option
@scenes_option
@resume_option
@colorize_options
@message_options
@click.pass_obj
def colorize(
    session: Session,
    source: str | Path,
    dest: str | Path,
    *,
    rate: Fraction | None,
    options: ColorizeOptions,
    network: NetworkChoice,
) -> None:
    """Color a film, a picture or a folder (the default)."""
    arguments = resolve_arguments(source, dest, rate)
    destination = check_arguments(arguments, overwrite=options.overwrite, resume=options.resume)
    if options.resume and not options.overwrite and isinstance(arguments.dest, Path) and is_finished(arguments.dest):
        remove_empty_folder(arguments.dest)
        return session.display.finished_before(arguments.dest)
    with ExitStack() as opened:
        film: VideoReader | None = None
        with loading_beside(session, network) as loading:
            if isinstance(arguments.source, Path) and is_film(arguments.source):
                film = opened.enter_context(open_film(session, arguments.source, options))
        colorizer, name = loading.result(), name_of(arguments.source).name
        if destination is not None:
            source_film = film or arguments.source
            return colorize_film(session, source_film, destination, name=name, colorizer=colorizer, options=options)
        assert arguments.paths is not None  # a folder or a picture
        return colorize_path(session, *arguments.paths, colorizer=colorizer, options=options)


@main.command(cls=SectionCommand)
@click.option(
    "-o",
    "--output",
    "dest",
    type=PATH,
    default=Path("vidcolor-demo.mp4"),
    show_default=True,
    metavar="PATH",
    help="Where the colored film goes; the grey one, an MP4, goes beside it.",
)
@colorize_options
@message_options
@click.pass_obj
def demo(session: Session, dest: Path, *, options: ColorizeOptions, network: NetworkChoice) -> None:
    """Render a short grey film with sound, and color it."""
    grey = dest.with_name(f"{dest.stem}-grey.mp4")
    destination = find_destination(dest, grey, overwrite=options.overwrite)
    check_destination(grey, overwrite=options.overwrite)
    with loading_beside(session, network) as loading:
        pass
    colorizer = loading.result()
    with session.display.loading("Rendering a grey film"):
        from vidcolor.demo import render_demo

        render_demo(grey)
    colorize_film(session, grey, destination, name=grey.name, colorizer=colorizer, options=options)


@main.command(cls=SectionCommand)
@click.argument("source", metavar="FILE", type=PATH)
@click.option("-o", "--output", "dest", type=PATH, metavar="PATH", help="Where the result would go.")
@click.option("--trial/--no-trial", default=True, help="Color a few short pieces, to estimate time and size.")
@colorize_options
@json_option
@debug_option
@click.pass_obj
def info(
    session: Session,
    source: Path,
    dest: Path | None,
    trial: bool,
    *,
    options: ColorizeOptions,
    network: NetworkChoice,
) -> None:
    """Show what is in a file, what is kept of it, and how long it takes.

    Ends with exit code 1 if the file would not be colored.
    """
    with session.display.loading(f"Looking into {source.name}"):
        from vidcolor.inspect.report import PictureReport, inspect_file

        report = inspect_file(source, dest, options=options, load=network.load if trial else None)
    failed = report.plan.refused is not None
    if isinstance(report, PictureReport):
        session.display.picture_info(replace(report, plan=with_flags(report.plan)))
    else:
        plan, tried, trial_failed = with_flags((report.plan, report.trial, report.trial_failed))
        session.display.film_info(replace(report, plan=plan, trial=tried, trial_failed=trial_failed))
        failed = failed or trial_failed is not None
    if failed:
        raise click.exceptions.Exit(FAILED)


@main.command(cls=SectionCommand)
@json_option
@debug_option
@click.pass_obj
def models(session: Session) -> None:
    """List the installed networks, weights and recipes."""
    with session.display.loading("Looking for networks and weights"):
        networks = network_facts()
        weights = {path.name: weights_facts(path) for path in files_in("vidcolor_weights", ".safetensors")}
        recipes = {path.stem: recipe_facts(path) for path in files_in("vidcolor_training", ".toml")}
    session.display.models({"networks": networks, "weights": weights, "recipes": recipes})


@main.command(cls=SectionCommand)
@click.argument("weights", metavar="WEIGHTS", type=PATH)
@click.option("-o", "--output", "dest", type=PATH, required=True, metavar="FILE.onnx", help="The ONNX file.")
@click.option(
    "--calibrate",
    "pictures",
    type=PATH,
    multiple=True,
    metavar="PICTURE",
    help="A photograph to measure activations on, so that CPUs with VNNI can run large layers in int8. Give a dozen.",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@debug_option
@click.pass_obj
def export(session: Session, weights: Path, dest: Path, pictures: tuple[Path, ...], overwrite: bool) -> None:
    """Export weights to ONNX, which needs no PyTorch."""
    with session.display.loading(f"Exporting {weights.name}"):
        from vidcolor.inference.loading import export_weights

        export_weights(weights, dest, pictures=pictures, overwrite=overwrite)


def is_film(source: Path) -> bool:
    """Return whether a source is a file that is colored as a film, not as a picture."""
    return is_file(source) and not is_picture(source)


def open_film(session: Session, source: Path, options: ColorizeOptions) -> VideoReader:
    """Decode a film's first picture, so that a file without any is refused before the network is loaded."""
    with session.display.loading(f"Looking into {source.name}"):
        from vidcolor.media.opening import open_reader

        return open_reader(source, options)


@contextmanager
def loading_beside(session: Session, network: NetworkChoice) -> Iterator[Future[Predictor]]:
    """Load the network in another thread while the context lasts; its end waits for the network.

    An exception inside the context does not wait.
    """
    with _without_garbage_collection():
        loading = ThreadPoolExecutor(max_workers=1).submit(network.load)
        yield loading
        with session.display.loading("Loading the network"):
            wait([loading])


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Import without garbage collection, which takes a sixth of the time of ``import torch``.

    It would visit torch's half a million objects again and again, and none of them goes before the command ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        click.get_current_context().call_on_close(gc.unfreeze)
        gc.enable()


def colorize_path(
    session: Session, source: Path, dest: Path, *, colorizer: Predictor, options: ColorizeOptions
) -> None:
    """Color a folder or a picture."""
    if is_folder(source):
        return colorize_tree(session, source, dest, colorizer=colorizer, options=options)
    from vidcolor.photograph import colorize_image

    started = time.perf_counter()
    with session.display.loading(f"Coloring {source.name}"):
        notes = colorize_image(source, dest, colorizer=colorizer, options=options)
    return session.display.picture_done(dest, time.perf_counter() - started, with_flags(notes))


def colorize_film(
    session: Session,
    source: FilmInput | VideoReader,
    destination: Destination,
    *,
    name: str,
    colorizer: Predictor,
    options: ColorizeOptions,
) -> None:
    """Color a film and show the result; the command ends with exit code 1 if damage in the film was skipped."""
    from vidcolor.pipeline import color_film

    with session.display.film(name) as (on_progress, on_warning):
        report = color_film(
            source,
            destination,
            colorizer=colorizer,
            options=options,
            on_progress=on_progress,
            on_warning=lambda line: on_warning(with_flags(line)),
        )
    profile = None
    if session.profile:
        from vidcolor.inspect.profile import profile_film

        with session.display.loading("Measuring this machine"):
            profile = profile_film(report, colorizer)
    session.display.film_done(name_of(destination), with_flags(report), profile)
    if report.errors:
        raise click.exceptions.Exit(FAILED)


def colorize_tree(
    session: Session, source: Path, dest: Path, *, colorizer: Predictor, options: ColorizeOptions
) -> None:
    """Color a folder and show the result; the command ends with exit code 1 if any file failed."""
    from vidcolor.folder.coloring import colorize_folder

    with session.display.folder() as (on_file, on_progress, on_warning):
        report = colorize_folder(
            source,
            dest,
            colorizer=colorizer,
            options=options,
            on_file=on_file,
            on_progress=on_progress,
            on_warning=lambda line: on_warning(with_flags(line)),
        )
    session.display.folder_done(dest, with_flags(report))
    if report.failed:
        raise click.exceptions.Exit(FAILED)


def weights_facts(path: Path) -> dict[str, Any]:
    """Return what a weights file says about itself, without its recipe, which is a whole TOML file."""
    from vidcolor.inference.weights_file import describe

    return {"path": str(path), **{key: value for key, value in describe(path).items() if key != "recipe"}}


def network_facts() -> dict[str, dict[str, str]]:
    """Return the name and the summary of each network; none without PyTorch, which their modules import."""
    try:
        from vidcolor.networks import NETWORKS
    except ModuleNotFoundError:
        return {}
    return {name: {"summary": first_line(network.__doc__).replace("``", "")} for name, network in NETWORKS.items()}


def recipe_facts(path: Path) -> dict[str, Any]:
    """Return the path of a recipe, and its first line, which is a comment."""
    comment = first_line(path.read_text(encoding="utf-8")).removeprefix("#")
    return {"path": str(path), "summary": comment.strip()}


def files_in(package: str, suffix: str) -> list[Path]:
    """Return the files with this suffix that come with an installed package, sorted."""
    return sorted(path for folder in import_module(package).__path__ for path in Path(folder).rglob(f"*{suffix}"))


def first_line(text: str | None) -> str:
    """Return the first line of a text."""
    return (text or "").strip().partition("\n")[0]
