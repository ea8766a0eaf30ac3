"""Open a film: from a file, a pipe or numbered pictures, decoded by software or hardware."""

from __future__ import annotations

from functools import partial

from av.codec.hwaccel import HWAccel

from vidcolor.media.hwaccel import open_on_device
from vidcolor.media.pipes import PipeInput
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import FilmInput
from vidcolor.options import ColorizeOptions
from vidcolor.stages import Stage


def open_reader(film: FilmInput, options: ColorizeOptions = ColorizeOptions()) -> VideoReader:
    """Open a film and decode its first picture.

    A pipe is opened in another thread, because libav would swallow Ctrl-C while it waits for the pipe's first bytes.

    Args:
        film: a file, a pipe, or numbered pictures.
        options: ``deinterlace``, ``on_error``, ``hwaccel`` and ``keep_start`` are used.

    Raises:
        InputError: the film cannot be read.
        OptionError: the device is not there, or does not decode this film as software does.
    """

    def read(accelerator: HWAccel | None) -> VideoReader:
        return VideoReader(
            film,
            deinterlace=options.deinterlace,
            on_error=options.on_error,
            accelerator=accelerator,
            keep_start=options.keep_start,
        )

    if not isinstance(film, PipeInput):
        return open_on_device(read, options.hwaccel)
    with Stage("open", map(partial(open_on_device, read), [options.hwaccel]), depth=1) as opening:
        try:
            return next(opening)
        except BaseException:
            film.interrupt()
            raise
