"""Hardware encoders: their requirements, bit depths and quality settings.

None of them has a ``crf``. It is mapped to the quality scales of FFmpeg's wrappers (``libavcodec/nvenc.c``,
``qsvenc.c``, ``videotoolboxenc.c``):

==============  ========================================================================================================
NVENC           ``rc=vbr`` with ``cq``, 1 to 51 (AV1: 63), less is better; 0 would be automatic. Bit rates are ignored
                then. More than 10 bits are truncated to 10 without a warning.
Quick Sync      ``global_quality``, 1 to 51, less is better: "intelligent constant quality", without a largest bit rate
VideoToolbox    ``global_quality`` in units of ``FF_QP2LAMBDA`` with the flag ``qscale``, 1 to 100, more is better; on
                Apple silicon only. The crf range 0 to 51 is mapped linearly to the full scale.
==============  ========================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

QP2LAMBDA = 118  # FF_QP2LAMBDA
WORST_CRF = 51
STAND_INS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
_NAME = re.compile(rf"(?P<codec>{'|'.join(STAND_INS)})_(?P<kind>nvenc|qsv|videotoolbox)")


@dataclass(frozen=True)
class HardwareEncoder:
    """One hardware encoder."""

    needs: str
    """The hardware that it requires, for messages."""
    stand_in: str
    """A software encoder for the same codec."""
    quality: Callable[[float], dict[str, str]]
    """Returns the settings for a constant rate factor."""
    max_bit_depth: int
    """The bit depth that is encoded, even if deeper pixel formats are accepted."""
    is_by_qscale: bool = False
    """Whether ``global_quality`` requires the flag ``qscale``."""


def hardware_encoder(codec_name: str) -> HardwareEncoder | None:
    """Return the facts about a hardware encoder; None for software encoders and for unknown hardware."""
    match = _NAME.fullmatch(codec_name)
    if match is None:
        return None
    stand_in = STAND_INS[match["codec"]]
    if match["kind"] == "nvenc":
        return HardwareEncoder("an NVIDIA card with its driver", stand_in, _nvenc_quality, max_bit_depth=10)
    if match["kind"] == "qsv":
        return HardwareEncoder("Intel graphics with its driver", stand_in, _quick_sync_quality, max_bit_depth=12)
    apple = "Apple silicon, or on other Apple computers a bit rate (`encoder_options` b=8M)"
    return HardwareEncoder(apple, stand_in, _videotoolbox_quality, max_bit_depth=10, is_by_qscale=True)


def _nvenc_quality(crf: float) -> dict[str, str]:
    return {"rc": "vbr", "cq": f"{max(crf, 1):g}"}


def _quick_sync_quality(crf: float) -> dict[str, str]:
    return {"global_quality": f"{max(round(crf), 1)}"}


def _videotoolbox_quality(crf: float) -> dict[str, str]:
    quality = min(max(round(100 * (1 - crf / WORST_CRF)), 1), 100)
    return {"global_quality": f"{quality * QP2LAMBDA}"}
