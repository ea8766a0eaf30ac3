"""The interface of an inference engine: a network that is ready to run on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vidcolor.frames import FloatArray


@runtime_checkable
class Engine(Protocol):
    """A network that is ready to run on one device. Thread-safe."""

    multiple: int
    """Height and width of the input are multiples of this."""
    takes_hints: bool
    """Whether the network has an input for hints."""
    fingerprint: str
    """A hash of the parameters; equal for equal parameters only."""
    runs_on: str
    """The device type and the arithmetic, for instance ``cpu in float32``."""
    batch_size: int
    """Pictures per call that give the best speed."""
    is_on_cpu: bool
    """Whether it shares the CPU with the other stages of a film."""

    def run(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Run the network once.

        Args:
            maps: grey float32 (N, 1, H, W) in [0, 1], and perhaps hints (N, 3, H, W)
                (:meth:`vidcolor.networks.ColorNetwork.predict`).

        Returns:
            ab, float32 (N, 2, H, W), Lab units.

        Raises:
            MemoryError: the memory of the device does not suffice.
        """
        ...
