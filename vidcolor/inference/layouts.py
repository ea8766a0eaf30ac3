"""Cache the weights of a layer in the memory layouts that oneDNN prefers for each input size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor

Activation = tuple[str, list[float], str]
"""The activation that oneDNN fuses into a layer: its name, its scalars and its algorithm."""
NO_ACTIVATION: Activation = ("none", [], "")
MAX_LAYOUTS = 2
"""Input sizes for which a layer keeps its weights; an encoder sees each picture at two sizes."""
_reorder_lock = Lock()  # for all layers, so that two threads that share a network do not reorder the same weights twice


class LayoutCache:
    """The weights of one layer, reordered for the input sizes that were used last. Thread-safe.

    The best layout depends on the size of one picture. It must not depend on the batch size of the first call, because
    a resumed film starts with other batches and must get the same colors.

    Args:
        reorder: returns the weights in the layout for one picture of a size, a shape without the batch dimension.
    """

    def __init__(self, reorder: Callable[[torch.Size], Tensor]) -> None:
        self._reorder = reorder
        self._cached: OrderedDict[torch.Size, Tensor] = OrderedDict()

    def get(self, size: torch.Size) -> Tensor:
        """Return the weights for pictures of a size, a shape without the batch dimension."""
        with _reorder_lock:
            if size not in self._cached:
                if len(self._cached) == MAX_LAYOUTS:
                    self._cached.popitem(last=False)
                self._cached[size] = self._reorder(size)
            return self._cached[size]
