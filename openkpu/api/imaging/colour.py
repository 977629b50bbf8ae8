# SPDX-License-Identifier: Apache-2.0
"""Colour thresholds as OpenMV has them: LAB for RGB565 images (L 0...100, A and B -128...127), gray values else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from openkpu.api.imaging import pixels

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab_from_rgb(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) int16 L, A, B of (..., 3) sRGB values 0...255 (D65)."""
    linear = np.asarray(rgb, np.float64) / 255
    linear = np.where(linear > 0.04045, ((linear + 0.055) / 1.055) ** 2.4, linear / 12.92)
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787037 * xyz + 16 / 116)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    return np.clip(np.floor(lab + 0.5), (0, -128, -128), (100, 127, 127)).astype(np.int16)


def rgb_from_lab(lab: Sequence[float]) -> tuple[int, int, int]:
    """(R, G, B) 0...255 of one (L, A, B)."""
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 0.206893, f ** 3, (f - 16 / 116) / 7.787037) * _WHITE
    linear = np.linalg.solve(_TO_XYZ, xyz)
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    red, green, blue = (int(v) for v in np.floor(srgb * 255 + 0.5))
    return red, green, blue


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    words = np.arange(65536, dtype=np.uint16)
    return lab_from_rgb(pixels.rgb_from_565(words[None])[0])


def lab_from_565(words: np.ndarray) -> np.ndarray:
    """(H, W, 3) int16 L, A, B of RGB565 words."""
    return _table()[words]


def channels(values: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """(channel, lowest, highest possible value) of gray values, or of L, A and B of RGB565 words."""
    if values.dtype == np.uint8:
        return [(values, 0, 255)]
    lab = lab_from_565(values)
    return [(lab[..., 0], 0, 100), (lab[..., 1], -128, 127), (lab[..., 2], -128, 127)]


def normalised(thresholds) -> list[tuple[int, ...]]:
    """A list of thresholds from one or several, each (low, high) or (L low, high, A low, high, B low, high)."""
    if len(thresholds) and not isinstance(thresholds[0], (tuple, list)):
        thresholds = [thresholds]
    return [tuple(int(v) for v in threshold) for threshold in thresholds]


def within(values: np.ndarray, threshold: Sequence[int], invert: bool = False) -> np.ndarray:
    """(H, W) bool: where all given channels lie between their bounds, ends included; missing channels do not matter."""
    inside = np.ones(values.shape, bool)
    for (channel, _, _), low, high in zip(channels(values), threshold[::2], threshold[1::2], strict=False):
        low, high = min(low, high), max(low, high)
        inside &= (channel >= low) & (channel <= high)
    return ~inside if invert else inside


def any_within(values: np.ndarray, thresholds, invert: bool = False) -> np.ndarray:
    """Where at least one of the thresholds holds."""
    found = np.zeros(values.shape, bool)
    for threshold in normalised(thresholds):
        found |= within(values, threshold)
    return ~found if invert else found
