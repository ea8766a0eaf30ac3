"""The weights of R', G' and B' in luma, by the matrix of a film."""

from __future__ import annotations

from typing import NamedTuple

from vidcolor.color.h273 import UNSPECIFIED
from vidcolor.errors import InputError
from vidcolor.frames import VideoSpec


class LumaWeights(NamedTuple):
    """Weights of R' and B' in luma: Y' = kr R' + (1 − kr − kb) G' + kb B'.

    Then Cb = (B' − Y') / (2 − 2 kb) and Cr = (R' − Y') / (2 − 2 kr).
    """

    kr: float
    kb: float


BT709 = LumaWeights(0.2126, 0.0722)
BT601 = LumaWeights(0.299, 0.114)
WEIGHTS_BY_MATRIX = {
    1: BT709,
    4: LumaWeights(0.30, 0.11),  # FCC 1953
    5: BT601,
    6: BT601,
    7: LumaWeights(0.212, 0.087),  # SMPTE 240M
    9: LumaWeights(0.2627, 0.0593),  # BT.2020, non-constant luminance
}
"""ITU-T H.273 MatrixCoefficients to weights."""


def luma_weights(spec: VideoSpec) -> LumaWeights:
    """Return the weights of a film's matrix.

    If the matrix is unspecified, the size decides as in mpv: BT.709 from 1280 columns or above 576 rows, otherwise
    BT.601.

    Raises:
        InputError: the matrix has no constant weights.
    """
    if spec.matrix == UNSPECIFIED:
        return BT709 if spec.width >= 1280 or spec.height > 576 else BT601
    if spec.matrix not in WEIGHTS_BY_MATRIX:
        raise InputError(
            f"expected Y'CbCr with constant weights (H.273 matrix {', '.join(map(str, WEIGHTS_BY_MATRIX))}), "
            f"found matrix {spec.matrix}; convert the film to BT.709 first"
        )
    return WEIGHTS_BY_MATRIX[spec.matrix]
