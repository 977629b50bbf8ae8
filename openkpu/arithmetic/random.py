# SPDX-License-Identifier: Apache-2.0
"""Random numbers as the vendor's kernels draw them: the engine and the distributions of GNU's C++ library."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import libm

F32 = np.float32
MODULUS, FACTOR = (1 << 31) - 1, 16807


def _canonical(seed: float) -> Iterator[np.float32]:
    """Numbers in [0, 1): a Lehmer generator (``minstd_rand0``), one step each."""
    state = int(seed) % MODULUS or 1
    while True:
        state = state * FACTOR % MODULUS
        value = F32(state - 1) / F32(MODULUS - 1)
        yield min(value, np.nextafter(F32(1), F32(0)))


def uniform(count: int, low: float, high: float, seed: float) -> np.ndarray:
    """float32 (count,) of ``std::uniform_real_distribution``."""
    numbers = _canonical(seed)
    return np.fromiter((next(numbers) for _ in range(count)), F32, count) * (F32(high) - F32(low)) + F32(low)


def normal(count: int, mean: float, deviation: float, seed: float) -> np.ndarray:
    """float32 (count,) of ``std::normal_distribution``: Marsaglia's polar method, two numbers per accepted pair."""
    numbers = _canonical(seed)
    found: list[np.float32] = []
    while len(found) < count:
        x, y = F32(2) * next(numbers) - F32(1), F32(2) * next(numbers) - F32(1)
        square = x * x + y * y
        if 0 < square <= 1:
            scale = np.sqrt(F32(-2) * libm.logf(np.array(square)) / square)
            found += [y * scale, x * scale]
    return np.array(found[:count], F32) * F32(deviation) + F32(mean)
