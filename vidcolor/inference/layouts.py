"""Weights as oneDNN wants them for a size of picture, made once and shared by the threads that ask a network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor

Activation = tuple[str, list[float], str]
"""What follows a layer: a name in oneDNN's words, its numbers, and the way to compute it."""
IDENTITY: Activation = ("none", [], "")
SIZES = 2
"""Of pictures, for which a layer keeps its weights laid out."""
_laying_out = Lock()  # for all layers: several threads may ask one network, and the first two would do it twice


class Layouts:
    """The weights of a layer, laid out by ``lay_out`` for each size of a picture.

    Which layout is the best depends on the size, so the weights are laid out when the first picture comes. They are
    kept for :data:`SIZES` sizes: an encoder sees every picture in two. How many pictures came first must not decide: a
    film that is resumed meets other batches, and is to get the same colors.
    """

    def __init__(self, lay_out: Callable[[torch.Size], Tensor]) -> None:
        self._lay_out = lay_out
        self._made: OrderedDict[torch.Size, Tensor] = OrderedDict()

    def of(self, size: torch.Size) -> Tensor:
        """The weights for one picture of this size."""
        with _laying_out:
            if size not in self._made:
                if len(self._made) == SIZES:
                    self._made.popitem(last=False)
                self._made[size] = self._lay_out(size)
            return self._made[size]
