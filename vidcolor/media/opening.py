"""Open a film: from a file, a pipe or numbered pictures, decoded by software or hardware."""

from __future__ import annotations

from functools import partial

from av.codec.hwaccel import HWAccel

from vidcolor.media.hwaccel import open_on_device
from vidcolor.media.interlacing import Deinterlacing
from vidcolor.media.pipes import PipeInput
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import FilmInput
from vidcolor.options import OnError
from vidcolor.stages import Stage


def open_reader(
    film: FilmInput, deinterlace: Deinterlacing | None = None, on_error: OnError = "stop", hwaccel: str = "none"
) -> VideoReader:
    """Open a film and decode its first picture.

    A pipe is opened in another thread, because libav would swallow Ctrl-C while it waits for the pipe's first bytes.

    Args:
        film: a file, a pipe, or numbered pictures.
        deinterlace: as in :class:`~vidcolor.options.ColorizeOptions`.
        on_error: likewise.
        hwaccel: likewise.

    Raises:
        InputError: the film cannot be read.
        OptionError: the device is not there, or does not decode this film as software does.
    """

    def read(accelerator: HWAccel | None) -> VideoReader:
        return VideoReader(film, deinterlace=deinterlace, on_error=on_error, accelerator=accelerator)

    if not isinstance(film, PipeInput):
        return open_on_device(read, hwaccel)
    with Stage("open", map(partial(open_on_device, read), [hwaccel]), depth=1) as opening:
        try:
            return next(opening)
        except BaseException:
            film.interrupt()
            raise
