"""Noticing that an adversarial training has collapsed."""

from __future__ import annotations

from dataclasses import dataclass

FINISHED_DISCRIMINATOR = 0.01  # loss_D below this: it is never fooled, and its gradient says nothing any more
MIN_COLORFULNESS, MAX_COLORFULNESS = 0.1, 2.0  # of the truth's
PATIENCE = 3  # checks in a row


@dataclass
class CollapseGuard:
    """Counts bad checks. A collapse is PATIENCE of them in a row.

    A network begins grey: it can be too pale only once it has been colorful.
    """

    bad_checks: int = 0
    was_colorful: bool = False
    best_score: float = float("inf")

    def observe(self, *, loss_d: float | None, colorfulness_over_truth: float) -> str | None:
        """Take one check's figures; returns what is wrong once it has been wrong for PATIENCE checks, else None.

        ``loss_d``: the mean since the last check; None where its size says nothing: without a discriminator, and with
        a Wasserstein critic, which has no bound.
        """
        self.was_colorful |= colorfulness_over_truth >= MIN_COLORFULNESS
        fault = _fault(loss_d, colorfulness_over_truth, least=MIN_COLORFULNESS if self.was_colorful else 0.0)
        self.bad_checks = self.bad_checks + 1 if fault else 0
        return fault if self.bad_checks >= PATIENCE else None

    def is_best(self, *, mse_over_grey: float, colorfulness_over_truth: float) -> bool:
        """Whether these figures are the best so far: error, plus the distance of the colorfulness from the truth's."""
        score = mse_over_grey + abs(1 - colorfulness_over_truth)
        if not score < self.best_score:  # nor is a score that is no number
            return False
        self.best_score = score
        return True


def _fault(loss_d: float | None, colorfulness: float, *, least: float) -> str | None:
    if loss_d is not None and loss_d < FINISHED_DISCRIMINATOR:
        return f"the discriminator is never fooled any more (loss_D {loss_d:.2g})"
    if not least <= colorfulness <= MAX_COLORFULNESS:
        return f"colorfulness is {colorfulness:.2f} of the truth's"
    return None
