"""Detect that an adversarial training has collapsed."""

from __future__ import annotations

from dataclasses import dataclass

FINISHED_DISCRIMINATOR = 0.01  # loss_D below this: the discriminator is always right, and its gradient vanishes
MIN_COLORFULNESS, MAX_COLORFULNESS = 0.1, 2.0  # of the truth's
PATIENCE = 3  # checks in a row


@dataclass
class CollapseGuard:
    """A counter of bad checks. PATIENCE of them in a row are a collapse.

    Networks begin with grey predictions: too little color counts only after a check with enough of it.
    """

    bad_checks: int = 0
    was_colorful: bool = False
    best_score: float = float("inf")

    def observe(self, *, loss_d: float | None, colorfulness_over_truth: float) -> str | None:
        """Count one check; return the fault after PATIENCE bad checks in a row, else None.

        Args:
            loss_d: Mean loss of the discriminator since the last check; None without a discriminator, and for
                Wasserstein critics, whose loss has no bound.
            colorfulness_over_truth: Mean colorfulness of the predictions over that of the truth.
        """
        self.was_colorful |= colorfulness_over_truth >= MIN_COLORFULNESS
        fault = _fault(loss_d, colorfulness_over_truth, least=MIN_COLORFULNESS if self.was_colorful else 0.0)
        self.bad_checks = self.bad_checks + 1 if fault else 0
        return fault if self.bad_checks >= PATIENCE else None

    def is_best(self, *, mse_over_grey: float, colorfulness_over_truth: float) -> bool:
        """Return whether the error plus the distance of colorfulness from the truth's is the smallest so far."""
        score = mse_over_grey + abs(1 - colorfulness_over_truth)
        if not score < self.best_score:  # NaN is not better either
            return False
        self.best_score = score
        return True


def _fault(loss_d: float | None, colorfulness: float, *, least: float) -> str | None:
    if loss_d is not None and loss_d < FINISHED_DISCRIMINATOR:
        return f"the discriminator is never fooled any more (loss_D {loss_d:.2g})"
    if not least <= colorfulness <= MAX_COLORFULNESS:
        return f"colorfulness is {colorfulness:.2f} of the truth's"
    return None
