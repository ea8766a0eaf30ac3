"""Degrade the grey input of the network as old film and its copies are degraded; the true colors stay.

The order is that of a film: development and lens (tone, contrast, softness), age (fading), projection (uneven
exposure), grain, dust and scratches, and last a JPEG. All of it runs on the device of the pictures. The choices for
each picture come from a generator on the CPU; noise for each pixel comes from a generator on the device, seeded by the
first, so that a batch is reproducible on the same kind of device.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

UNTOUCHED = 0.25  # of the pictures; each damage is done to half of the others
MAX_GAMMA = 0.25  # exponent 2^±this
MAX_CONTRAST = 0.3  # factor 2^±this about the middle grey
MAX_FADE = 0.15  # of the range lost at black and at white
MAX_FLICKER = 0.2  # of the brightness, up or down, differing over the picture
MAX_GRAIN = 0.06  # standard deviation
MAX_DUST = 2e-3  # of the cells of 2 × 2 pixels
DUST_SHARE = 0.2  # of the damaged pictures
SCRATCHES = 2  # in each picture that has any
MAX_SCRATCH = 0.4  # of the range
JPEG_SHARE = 0.4  # of the damaged pictures
JPEG_QUALITY = (20, 90)

JPEG_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantization of luma at quality 50: ITU-T T.81, table K.1."""


def damage(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Degrade three quarters of the pictures, each differently.

    Args:
        grey: float (N, 1, H, W) in [0, 1], on any device.
        generator: A generator on the CPU.
    """
    damaged = torch.nonzero(torch.rand(len(grey), generator=generator) >= UNTOUCHED)[:, 0]
    if len(damaged) == 0:
        return grey
    chosen = damaged.to(grey.device)
    worn = _wear(grey[chosen], generator).clamp_(0, 1)
    in_jpeg = torch.nonzero(torch.rand(len(damaged), generator=generator) < JPEG_SHARE)[:, 0]
    if len(in_jpeg) > 0:
        low, high = JPEG_QUALITY
        quality = torch.randint(low, high + 1, (len(in_jpeg),), generator=generator)
        in_jpeg = in_jpeg.to(grey.device)
        worn[in_jpeg] = jpeg(worn[in_jpeg], quality)
    return grey.index_copy(0, chosen, worn)


def _wear(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Apply all degradations but JPEG to each picture of (N, 1, H, W), by random amounts of which many are zero."""
    n, _, height, width = grey.shape

    def amount(limit: float, share: float = 0.5) -> Tensor:
        used = torch.rand(n, 1, 1, 1, generator=generator) < share
        return (torch.rand(n, 1, 1, 1, generator=generator) * limit * used).to(grey)

    def sign() -> Tensor:
        return ((torch.rand(n, 1, 1, 1, generator=generator) < 0.5) * 2 - 1).to(grey)

    grey = grey ** (2 ** (sign() * amount(MAX_GAMMA)))
    factor = 2 ** (sign() * amount(MAX_CONTRAST))
    black, white = amount(MAX_FADE), 1 - amount(MAX_FADE)
    grey = soften(grey, 1 + int(torch.randint(0, 2, (1,), generator=generator)), amount(1.0))
    grey = ((grey - 0.5) * factor + 0.5).clamp_(0, 1) * (white - black) + black
    uneven = (torch.rand(n, 1, 3, 3, generator=generator) * 2 - 1).to(grey) * amount(MAX_FLICKER)
    grey = grey * (1 + F.interpolate(uneven, size=(height, width), mode="bilinear", align_corners=True))
    grey = grey + grain(grey, amount(MAX_GRAIN), generator)
    grey = grey + dust(grey, amount(MAX_DUST, DUST_SHARE), generator)
    return grey + scratches(grey, amount(MAX_SCRATCH, DUST_SHARE), generator)


def soften(grey: Tensor, radius: int, amount: Tensor) -> Tensor:
    """Blend (N, 1, H, W) with its mean over squares of side 2 · ``radius`` + 1, by ``amount`` (N, 1, 1, 1)."""
    height, width = grey.shape[-2:]
    padded = F.pad(grey, (radius, radius, radius, radius), mode="replicate")
    offsets = range(2 * radius + 1)  # sums of shifted copies: five times as fast as avg_pool2d on the CPU
    rows = sum((padded[..., i : i + height, :] for i in offsets[1:]), padded[..., :height, :])
    soft = sum((rows[..., i : i + width] for i in offsets[1:]), rows[..., :width]) / len(offsets) ** 2
    return torch.lerp(grey, soft, amount)


def grain(like: Tensor, amount: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal noise for (N, 1, H, W), in grains of one or two pixels, with standard deviation ``amount``."""
    size = 1 + int(torch.randint(0, 2, (1,), generator=generator))
    height, width = like.shape[-2:]
    shape = (len(like), 1, -(-height // size), -(-width // size))
    noise = torch.randn(shape, generator=noise_source(generator, like.device), device=like.device, dtype=like.dtype)
    return _enlarge(noise * amount, size)[..., :height, :width]


def dust(like: Tensor, share: Tensor, generator: torch.Generator) -> Tensor:
    """Return dark and light specks of 2 × 2 pixels for (N, 1, H, W), in ``share`` (N, 1, 1, 1) of the cells."""
    height, width = like.shape[-2:]
    shape = (len(like), 1, -(-height // 2), -(-width // 2))
    draw = torch.rand(shape, generator=noise_source(generator, like.device), device=like.device, dtype=like.dtype)
    specks = (draw < share / 2).to(like) - (draw > 1 - share / 2).to(like)
    return _enlarge(specks, 2)[..., :height, :width]


def scratches(like: Tensor, amount: Tensor, generator: torch.Generator) -> Tensor:
    """Return vertical lines of one pixel, up to ``amount`` (N, 1, 1, 1) lighter or darker: (N, 1, 1, W)."""
    n, width = len(like), like.shape[-1]
    columns = torch.randint(0, width, (n, SCRATCHES), generator=generator)
    levels = torch.rand(n, SCRATCHES, generator=generator) * 2 - 1
    lines = torch.zeros(n, width).scatter_(1, columns, levels)
    return lines[:, None, None].to(like) * amount


def _enlarge(maps: Tensor, factor: int) -> Tensor:
    return maps if factor == 1 else maps.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def noise_source(generator: torch.Generator, device: torch.device) -> torch.Generator:
    """Return ``generator`` for the CPU, or a generator on ``device`` seeded by it: noise is then made on the device."""
    if device.type == generator.device.type:
        return generator
    seed = int(torch.randint(0, 2**62, (1,), generator=generator))
    return torch.Generator(device).manual_seed(seed)


def jpeg(grey: Tensor, quality: Tensor) -> Tensor:
    """Compress and decompress grey pictures as baseline JPEG (ITU-T T.81): quantize the DCT of blocks of 8 × 8.

    The entropy coder is lossless and is left out.

    Args:
        grey: float (N, 1, H, W) in [0, 1].
        quality: int64 (N,) in [1, 100], as in the software of the Independent JPEG Group.
    """
    n, _, height, width = grey.shape
    down, right = -height % 8, -width % 8
    levels = F.pad(grey, (0, right, 0, down), mode="replicate") * 255 - 128
    h, w = levels.shape[-2:]
    dct = _cosines().to(grey)
    step = quantization(quality).to(grey)[:, None, :, None]  # (N, 1, 8, 1, 8), for (N, h / 8, 8, w / 8, 8)
    coefficients = torch.matmul(dct, levels.round().view(-1, 8, w)).view(-1, 8) @ dct.T
    coefficients = coefficients.view(n, h // 8, 8, w // 8, 8).div_(step).round_().mul_(step)
    restored = torch.matmul(dct.T, coefficients.view(-1, 8, w)).view(-1, 8) @ dct
    restored = restored.view(n, 1, h, w)[..., :height, :width]
    return restored.add_(128).round_().clamp_(0, 255).div_(255)


def quantization(quality: Tensor) -> Tensor:
    """Return the quantization steps (N, 8, 8) for each quality (N,): table K.1, scaled as in libjpeg."""
    percent = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return ((torch.tensor(JPEG_LUMA) * percent[:, None, None] + 50) // 100).clamp(1, 255)


@cache
def _cosines() -> Tensor:
    """Return the matrix (8, 8) of the orthonormal DCT of 8 values (T.81, A.3.3)."""
    frequency, place = torch.arange(8.0)[:, None], torch.arange(8.0)
    waves = torch.cos((2 * place + 1) * frequency * math.pi / 16) / 2
    waves[0] /= math.sqrt(2)
    return waves
