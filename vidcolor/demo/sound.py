"""Synthesize the sound of the demo film: wind and birds, then waves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.frames import FloatArray

SAMPLE_RATE = 48000
CROSSFADE_SECONDS = 0.06

Wave = npt.NDArray[np.floating[Any]]


def demo_sound(
    rng: np.random.Generator, meadow_seconds: float, beach_seconds: float, swell_seconds: float
) -> FloatArray:
    """Return the sound of both shots: (2, samples) in [-1, 1] at :data:`SAMPLE_RATE`.

    Args:
        rng: source of randomness.
        meadow_seconds: length of the first shot.
        beach_seconds: length of the second shot.
        swell_seconds: time between waves.
    """
    total = round((meadow_seconds + beach_seconds) * SAMPLE_RATE)
    time = np.arange(total) / SAMPLE_RATE
    turned = math.pi / 2 * ((time - meadow_seconds) / CROSSFADE_SECONDS + 0.5).clip(0, 1)
    meadow = _wind(rng, total) + _birds(rng, total, meadow_seconds)
    sound = np.cos(turned) * meadow + np.sin(turned) * _waves(rng, time - meadow_seconds, swell_seconds)
    ends = (time / 0.15).clip(0, 1) * ((time[-1] - time) / 0.3).clip(0, 1)
    return np.asarray(sound * ends * 0.5 / np.abs(sound).max(), np.float32)


def _noise(rng: np.random.Generator, samples: int, loudness: Callable[[Wave], Wave]) -> Wave:
    """Generate noise (2, samples) of unit variance; ``loudness`` maps frequencies in Hz to amplitudes."""
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal((2, samples))) * loudness(frequency)
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / noise.std())


def _wind(rng: np.random.Generator, samples: int) -> Wave:
    breath = 1 + 0.35 * _noise(rng, samples, lambda f: f * np.exp(-f / 0.4))
    return 0.10 * breath.clip(0.2, None) * _noise(rng, samples, lambda f: f / (f + 80) / (1 + (f / 420) ** 1.6))


def _birds(rng: np.random.Generator, samples: int, seconds: float) -> Wave:
    """Generate the songs of two birds in turn, one on each side."""
    song = np.zeros((2, samples))
    for start, pitch, pan in ((0.35, 4200, 0.25), (0.95, 3300, 0.8), (1.55, 4300, 0.3), (2.0, 3350, 0.75)):
        for syllable in range(int(rng.integers(3, 6))):
            begin = round((start + 0.085 * syllable) * SAMPLE_RATE)
            note = _chirp(rng, pitch * rng.uniform(0.94, 1.06))[: max(0, round(seconds * SAMPLE_RATE) - begin)]
            sides = math.cos(pan * math.pi / 2), math.sin(pan * math.pi / 2)
            song[:, begin : begin + len(note)] += np.outer(sides, note)
    return song


def _chirp(rng: np.random.Generator, pitch: float) -> Wave:
    """Generate a note of 50 to 70 ms that sweeps up or down with a trill."""
    time = np.arange(round(rng.uniform(0.05, 0.07) * SAMPLE_RATE)) / SAMPLE_RATE
    part = time / time[-1]
    frequency = pitch * (1 + rng.choice((-0.22, 0.28)) * part + 0.04 * np.sin(2 * math.pi * 55 * time))
    phase = 2 * math.pi * np.cumsum(frequency) / SAMPLE_RATE
    return np.asarray(0.13 * np.sin(math.pi * part) ** 1.5 * (np.sin(phase) + 0.15 * np.sin(2 * phase)))


def _waves(rng: np.random.Generator, time: Wave, swell_seconds: float) -> Wave:
    """Generate the rumble of waves, and the hiss of foam after it."""
    swell = (0.5 + 0.5 * np.sin(2 * math.pi * time / swell_seconds - 0.4)) ** 2
    foam = (0.5 + 0.5 * np.sin(2 * math.pi * time / swell_seconds - 1.2)) ** 3
    rumble = _noise(rng, len(time), lambda f: f / (f + 40) / (1 + (f / 260) ** 1.4))
    hiss = _noise(rng, len(time), lambda f: (f / (f + 900)) / (1 + (f / 5000) ** 2))
    return np.asarray((0.06 + 0.16 * swell) * rumble + (0.015 + 0.075 * foam) * hiss)
