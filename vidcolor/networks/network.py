"""The base class of all networks, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Prediction:
    """The output of a network for a batch, at the network's own output size, with gradients."""

    ab: Tensor
    """(N, 2, h, w), Lab units; h and w divide the picture's height and width."""
    logits: Tensor | None = None
    """(N, Q, h', w') over the bins of ab (:mod:`vidcolor.networks.color_bins`), from networks that classify."""
    rgb: Tensor | None = None
    """R'G'B' (N, 3, H, W), from networks that predict it; its luma is only used in training."""


class ColorNetwork(nn.Module):
    """Base class of all networks: grey and optional hints to ab.

    Args:
        config: the keyword arguments that build the network again; JSON values.
    """

    multiple: int = 32
    """Height and width of the input must be multiples of this."""
    takes_hints: bool = False
    """Whether the network uses hints; if not, they are ignored."""

    strides: tuple[int, ...] = ()
    """Output strides to choose from (:attr:`finest`), coarse to fine; empty: the network has only one."""

    config: dict[str, Any]
    encoder: nn.Module | None
    """The part that starts from ImageNet parameters and may stay frozen; None: there is none."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.encoder = None

    @property
    def finest(self) -> int:
        """The output stride, one of :attr:`strides`; 0 where the network has only one.

        A coarser one takes less time. It is part of ``config``; no parameter depends on it.
        """
        return int(self.config.get("finest", 0))

    @finest.setter
    def finest(self, stride: int) -> None:
        if stride not in self.strides:
            raise ValueError(f"{type(self).__name__} predicts at strides {self.strides}, not at {stride}")
        self.config["finest"] = stride

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Compute the encoder's features of grey (N, 1, H, W), which can be cached while the encoder is frozen.

        Returns:
            Maps (N, C, H / s, W / s) at several strides s.

        Raises:
            NotImplementedError: the network has no encoder.
        """
        raise NotImplementedError(f"{type(self).__name__} has no encoder")

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict color at the network's own output size; the loss functions work on this.

        Args:
            grey: (N, 1, H, W), gamma-encoded, in [0, 1]; H and W are multiples of :attr:`multiple`.
            hints: (N, 3, H, W): a and b in units of AB_SCALE, multiplied by the confidence, and the confidence in
                [0, 1]. None: no hints.
            features: the result of :meth:`encode` for ``grey``; None: it is computed.
        """
        raise NotImplementedError

    def forward(self, grey: Tensor, hints: Tensor | None = None) -> Tensor:
        """Predict color at full size: ab (N, 2, H, W), Lab units; the arguments are those of :meth:`predict`."""
        ab = self.predict(grey, hints).ab.float()
        if ab.shape[-2:] == grey.shape[-2:]:
            return ab
        return F.interpolate(ab, size=grey.shape[-2:], mode="bilinear", align_corners=False)
