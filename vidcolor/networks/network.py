"""What every network of vidcolor is: grey and hints in, a prediction of color out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

HINT_CHANNELS = 3  # a, b, confidence


@dataclass(frozen=True)
class Prediction:
    """What a network says about a batch, at its own size, with its gradient.

    ``ab``: (N, 2, h, w), Lab units; h and w divide the picture's height and width.
    ``logits``: (N, Q, h', w') over the network's ab bins, of networks that classify.
    ``rgb``: (N, 3, H, W) R'G'B', of networks that speak in it; its luma is the network's own and only used in training.
    """

    ab: Tensor
    logits: Tensor | None = None
    rgb: Tensor | None = None


class ColorNetwork(nn.Module):
    """The base of all networks.

    ``config`` holds the keywords that build it again; JSON can say them. ``encoder`` is the part that starts from
    ImageNet parameters and may stay frozen, or None.
    """

    multiple: int = 32
    """Height and width of the input must be multiples of this."""
    takes_hints: bool = False
    """False: hints are ignored, and the network is not trained on them."""

    strides: tuple[int, ...] = ()
    """Of the sizes that the network can speak at, coarse to fine; empty: it knows one alone."""

    config: dict[str, Any]
    encoder: nn.Module | None

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.encoder = None

    @property
    def finest(self) -> int:
        """The stride of the finest level that speaks, one of :attr:`strides`; a coarser one costs less. 0: no choice.

        It is part of ``config``, and no parameter depends on it.
        """
        return int(self.config.get("finest", 0))

    @finest.setter
    def finest(self, stride: int) -> None:
        if stride not in self.strides:
            raise ValueError(f"{type(self).__name__} speaks at strides {self.strides}, not at {stride}")
        self.config["finest"] = stride

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Semantics of grey (N, 1, H, W), that can be cached while the encoder is frozen: maps (N, C, H/s, W/s).

        Raises:
            NotImplementedError: a network without an encoder.
        """
        raise NotImplementedError(f"{type(self).__name__} has no encoder")

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, semantics: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Color at the network's own size; what training looks at.

        Args:
            grey: (N, 1, H, W), gamma-encoded, in [0, 1]; H and W multiples of :attr:`multiple`.
            hints: (N, 3, H, W): a and b in units of AB_SCALE, times the confidence; and the confidence, in [0, 1].
                None means none.
            semantics: what :meth:`encode` gave for ``grey``; None: it is asked.
        """
        raise NotImplementedError

    def forward(self, grey: Tensor, hints: Tensor | None = None) -> Tensor:
        """Color for grey pictures: ab (N, 2, H, W) in Lab units; the arguments are those of :meth:`predict`."""
        ab = self.predict(grey, hints).ab.float()
        if ab.shape[-2:] == grey.shape[-2:]:
            return ab
        return F.interpolate(ab, size=grey.shape[-2:], mode="bilinear", align_corners=False)
