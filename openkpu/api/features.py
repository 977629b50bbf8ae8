# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of features and activations, in float32 as the firmware computes it (sections 1.13, 1.14, 2.2.6)."""

from __future__ import annotations

import numpy as np

F32 = np.float32


def encode_face(features, saturate: bool = False) -> bytearray:
    """Clamp to +-0.25, scale by 512, truncate, low byte; +0.25 wraps to -128 unless ``saturate``."""
    x = np.asarray(features, F32)
    x = np.minimum(np.where(np.isnan(x), F32(-0.25), np.maximum(x, F32(-0.25))), F32(0.25)) * F32(512)
    n = np.trunc(x).astype(np.int32)
    if saturate:
        n = np.minimum(n, 127)
    return bytearray((n & 0xFF).astype(np.uint8).tobytes())


def compare_faces(a: np.ndarray, b: np.ndarray) -> float:
    """100 * (0.5 + 0.5 * cosine) of two int8 vectors; NaN if one is zero."""
    a, b = a.astype(np.int64), b.astype(np.int64)
    half_dot = F32(int(a @ b)) * F32(0.5)
    with np.errstate(all="ignore"):
        cosine = np.float64(half_dot) / np.sqrt(np.float64(int(a @ a) * int(b @ b)))
        return float(F32((cosine + 0.5) * 100))


def running_sum(values: np.ndarray) -> np.float32:
    """Sum in index order, rounded to float32 after every addition."""
    return np.add.accumulate(values.astype(F32))[-1] if len(values) else F32(0)


def normalise(values: np.ndarray) -> np.ndarray:
    """x / sqrt(sum x^2) in float32; an all-zero vector gives NaN."""
    x = values.astype(F32).reshape(-1)
    with np.errstate(all="ignore"):
        return x / np.sqrt(running_sum(x * x))


def similarity(a, b) -> float:
    """(0.5 + 0.5 * dot) * 100, the dot product in float32 in index order, the rest in float64."""
    dot = running_sum(np.asarray(a, F32) * np.asarray(b, F32))
    return float(F32((0.5 + 0.5 * np.float64(dot)) * 100))


def sigmoid(x) -> float:
    """1 / (1 + exp(-x)) in float32."""
    with np.errstate(over="ignore"):
        return float(F32(1) / (F32(1) + np.exp(-F32(x))))


def softmax(values) -> list[float]:
    """exp(x - max) / sum in float32, summed in index order."""
    x = np.asarray(values, F32)
    e = np.exp(x - x.max())
    return (e / running_sum(e)).astype(float).tolist()
