"""Predict color for grey pictures of any size and number: pad and batch them for an inference engine."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from vidcolor.color.chroma import colorize_grey
from vidcolor.color.luma import MIN_SHORT_SIDE, at_render_size
from vidcolor.color.neutral import NetworkView
from vidcolor.errors import OptionError, ResourceError
from vidcolor.frames import HINT_CHANNELS, FloatArray
from vidcolor.inference.arrays import grey_levels
from vidcolor.inference.engine import Engine
from vidcolor.options import ColorizeOptions

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import nn

    from vidcolor.inference.one_picture import PictureLike

log = logging.getLogger(__name__)


class Predictor(Protocol):
    """An object that predicts ab for grey pictures; the interface that the pipeline needs."""

    batch_size: int
    """Pictures per call of :meth:`predict` that give the best speed."""

    def predict(self, grey: FloatArray) -> FloatArray:
        """Predict the color of grey pictures, each independent of the others.

        Args:
            grey: (N, h, w) in [0, 1], any size.

        Returns:
            ab, (N, 2, h, w), Lab units.
        """
        ...


class HintPredictor(Predictor, Protocol):
    """A predictor that accepts color hints."""

    takes_hints: bool
    """Whether the network uses hints; if not, hints are refused."""

    def predict(self, grey: FloatArray, hints: FloatArray | None = None) -> FloatArray:
        """Predict the color of grey pictures; arguments and result are those of :meth:`Colorizer.predict`."""
        ...


class Colorizer:
    """A network prepared for inference on one device. Thread-safe.

    It cannot be pickled or copied: other processes load the weights themselves. A process that is forked after the
    first prediction must not use it, because the threads of the engine do not survive a fork: start processes by
    ``spawn`` or ``forkserver``, or load the weights after the fork.

    Args:
        network: a :class:`vidcolor.networks.ColorNetwork` or a module with its ``forward`` and ``multiple``, which
            PyTorch runs; it is copied and stays as it is. Or an engine.
        device: for a module: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; an engine has its own.
        batch_size: pictures per call of the network; None: the engine's own.
        dtype: for a module, of the parameters and activations; None: the fastest of the device.

    Attributes:
        engine: runs the network.
        fingerprint: a hash of the parameters.
        runs_on: the device type and the arithmetic, for instance ``cpu in int8 and float32``.
        backend: name and version of the library that computes.

    Raises:
        OptionError: this machine has no such device.
    """

    def __init__(
        self,
        network: nn.Module | Engine,
        *,
        device: str = "auto",
        batch_size: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.engine = prepare(network, device, dtype)
        self.fingerprint = self.engine.fingerprint
        self.runs_on = self.engine.runs_on
        self.backend = self.engine.backend
        self.takes_hints = self.engine.takes_hints
        self.batch_size = batch_size or self.engine.batch_size
        self._halving = Lock()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise TypeError: compiled networks and device memory cannot be pickled or copied."""
        raise TypeError("a Colorizer cannot be pickled or copied; make one in each process: load_colorizer(weights)")

    def predict(self, grey: FloatArray, hints: FloatArray | None = None) -> FloatArray:
        """Predict the color of grey pictures, each independent of the others.

        If the device runs out of memory, the batch size is halved for this call and all that follow.

        Args:
            grey: (N, h, w), gamma-encoded: floating point in [0, 1], or uint8 or uint16 from black at 0 to white at
                the type's maximum; any N and any size (:func:`vidcolor.inference.arrays.grey_levels`). Sizes that are
                not a multiple of the network's stride are padded by replicated edges.
            hints: float32 (N, 3, h, w): a and b in units of AB_SCALE, multiplied by the confidence, and the confidence
                in [0, 1] (:meth:`vidcolor.networks.ColorNetwork.predict`). None: no hints.

        Returns:
            ab, float32 (N, 2, h, w), Lab units.

        Raises:
            OptionError: hints are given and the network takes none.
            ResourceError: the memory does not suffice for a single picture.
            TypeError: ``grey`` has another data type.
            ValueError: ``grey`` has another shape, or values outside [0, 1]; or the hints have another shape.
        """
        grey = grey_levels(grey)
        if not len(grey):
            return np.empty((0, 2, *grey.shape[1:]), np.float32)
        if hints is not None:
            self._check_hints(hints, (len(grey), HINT_CHANNELS, *grey.shape[1:]))
        colored: list[FloatArray] = []
        start = 0
        while start < len(grey):
            batch = slice(start, start + self.batch_size)
            ab = self._try_batch(grey[batch], None if hints is None else hints[batch])
            if ab is not None:
                colored.append(ab)
                start += len(ab)
        return np.concatenate(colored)

    @overload
    def colorize(self, picture: Image, *, options: ColorizeOptions = ...) -> Image: ...

    @overload
    def colorize(self, picture: npt.NDArray[Any], *, options: ColorizeOptions = ...) -> npt.NDArray[Any]: ...

    def colorize(self, picture: PictureLike, *, options: ColorizeOptions = ColorizeOptions()) -> PictureLike:
        """Color one picture in memory.

        Its luma (BT.601, of the gamma-encoded sRGB values) stays. A picture that has colors of its own is returned as
        it is, with a warning in the log, unless ``keep_color`` is ``never``; a tint is dropped.

        Args:
            picture: grey (H, W) or (H, W, 1), R'G'B' (H, W, 3) or R'G'B'A (H, W, 4), in sRGB: floating point in [0, 1],
                uint8 or uint16; or a Pillow image of 8 bits per channel.
            options: ``render_size``, ``saturation`` and ``keep_color`` are used.

        Returns:
            R'G'B' (H, W, 3), or R'G'B'A with the alpha of the picture, of the same data type; for a Pillow image a
            Pillow image, upright and in sRGB.

        Raises:
            TypeError: the picture has another data type or mode.
            ValueError: the picture has another shape, no pixels, or values outside [0, 1].
            ResourceError: the memory does not suffice.
        """
        from vidcolor.inference.one_picture import OnePicture  # Pillow, which films do not need

        taken = OnePicture.of(picture)
        if taken.colors.says_keep(options.keep_color):
            log.warning("the picture has colors of its own and keeps them; `keep_color` never colors it anew")
            return taken.colored(taken.levels)
        grey = taken.grey
        view = NetworkView.of(at_render_size(grey, options.render_size))
        ab = view.neutralized(self.predict(view.shown[None])[0])
        return taken.colored(colorize_grey(grey, ab, saturation=options.saturation))

    def _try_batch(self, grey: FloatArray, hints: FloatArray | None) -> FloatArray | None:
        """Predict one batch; if memory does not suffice, halve ``batch_size`` and return None."""
        device, shape = self.runs_on.split()[0], f"{grey.shape[2]}×{grey.shape[1]}"
        try:
            return self._predict_batch(grey, hints)
        except MemoryError as exc:
            if len(grey) == 1:
                hint = "choose a smaller `render_size`, or `fit_render_size`"
                raise ResourceError(f"the memory of {device} does not hold one picture of {shape}; {hint}") from exc
        halved = len(grey) // 2
        with self._halving:
            if halved < self.batch_size:  # otherwise another thread has halved it already
                line = "the memory of %s does not hold %d pictures of %s: %d at a time from here"
                log.warning(line, device, len(grey), shape, halved)
                self.batch_size = halved
        return None

    def _check_hints(self, hints: FloatArray, expected: tuple[int, ...]) -> None:
        """Raise OptionError or ValueError unless the network takes hints and they have the shape ``expected``."""
        if not self.takes_hints:
            raise OptionError("hints: these weights are of a network that takes none; choose others with `weights`")
        if hints.shape != expected:
            raise ValueError(f"expected hints of shape {expected}, got {hints.shape}")

    def _predict_batch(self, grey: FloatArray, hints: FloatArray | None) -> FloatArray:
        """Pad one batch to a multiple of the stride, run the network, and crop the result."""
        h, w = grey.shape[1:]
        multiple = self.engine.multiple
        pad_h, pad_w = -h % multiple, -w % multiple
        top, left = pad_h // 2, pad_w // 2
        padding = ((top, pad_h - top), (left, pad_w - left))
        inputs = [np.pad(grey, ((0, 0), *padding), mode="edge")[:, None]]
        if hints is not None:
            inputs.append(np.pad(hints, ((0, 0), (0, 0), *padding)))  # confidence 0 outside the picture
        return np.ascontiguousarray(self.engine.run(inputs)[:, :, top : top + h, left : left + w])


def prepare(network: nn.Module | Engine, device: str, dtype: torch.dtype | None) -> Engine:
    """Return the engine for a network; the arguments are those of :class:`Colorizer`."""
    if isinstance(network, Engine):
        return network
    from vidcolor.inference.torch_engine import TorchEngine

    return TorchEngine(network, device, dtype)


def largest_render_size(colorizer: Predictor, wanted: int, aspect: float) -> int:
    """Find the largest short side for which one picture fits into memory, by trying ever smaller ones.

    Args:
        colorizer: is run on black pictures.
        wanted: short side in pixels to begin with; each further one is 3/4 of the one before.
        aspect: width / height of the pictures, or its inverse.

    Returns:
        The short side in pixels, at most ``wanted``, at least :data:`vidcolor.color.luma.MIN_SHORT_SIDE`.

    Raises:
        ResourceError: no size fits.
    """
    size = wanted
    while True:
        long_side = round(size * max(aspect, 1 / aspect))
        try:
            colorizer.predict(np.zeros((1, size, long_side), np.float32))
        except ResourceError:
            smaller = size * 3 // 4
            if smaller < MIN_SHORT_SIDE:
                raise
            size = smaller
        else:
            return size
