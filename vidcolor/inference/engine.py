"""The interface of an inference engine: a network that is ready to run on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vidcolor.frames import FloatArray


@runtime_checkable
class Engine(Protocol):
    """A network that is ready to run on one device. Thread-safe."""

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
    backend: str
    """Name and version of the library that computes, for instance ``OpenVINO 2026.4.1``."""

    @property
    def multiple(self) -> int:
        """Height and width of the input are multiples of this."""
        ...

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

    def count_operations(self, size: tuple[int, int]) -> int:
        """Count the operations for one picture of ``size`` = (width, height), without hints.

        Multiplications and additions of convolutions, matrix products and attention are counted; all others together
        are less than 1 % of these.
        """
        ...

    def operations_per_second(self) -> float:
        """Measure multiplications and additions per second of one layer in the engine's arithmetic; takes .3 s."""
        ...
