# SPDX-License-Identifier: Apache-2.0
"""C's float functions of the vendor's kernels: the machine's own where its libm is glibc (spec 5.7).

The vendor's simulators are linked against glibc, whose float functions are not correctly rounded, so only glibc itself
gives their last bit. On another libm the functions are computed in float64 and rounded once, which differs from
glibc's in the last bit of a few results in a thousand (``IS_GLIBC`` is then false).
"""

from __future__ import annotations

import ctypes
import math
import platform
from collections.abc import Callable

import numpy as np

IS_GLIBC = platform.libc_ver()[0] == "glibc"

Function = Callable[[np.ndarray], np.ndarray]
_FLOAT64: dict[str, Callable] = {
    "acosf": np.arccos, "asinf": np.arcsin, "cosf": np.cos, "erff": np.vectorize(math.erf, otypes="d"), "expf": np.exp,
    "logf": np.log, "sinf": np.sin, "tanhf": np.tanh, "powf": np.power,
}

_DOUBT = {"expf": 0.01, "powf": 0.05, "cosf": 0.1, "sinf": 0.1}
"""How near to the middle between two floats, in their distance, glibc may round to the farther one (its stated errors,
0.502 to 0.56, with reserve). For the other functions that can happen anywhere."""


def _library() -> ctypes.CDLL | None:
    if not IS_GLIBC:
        return None
    try:
        return ctypes.CDLL("libm.so.6")
    except OSError:
        return None


_LIBM = _library()


def _function(name: str, operands: int) -> Callable[..., np.ndarray]:
    """The libm function ``name`` of float32 arrays of one shape."""
    exact = _FLOAT64[name]
    if _LIBM is None:
        return lambda *arrays: exact(*(a.astype(np.float64) for a in arrays)).astype(np.float32)
    call = getattr(_LIBM, name)
    call.argtypes, call.restype = [ctypes.c_float] * operands, ctypes.c_float

    def each(*columns: np.ndarray) -> np.ndarray:
        # Quantized networks hold few different values, and a call costs more than finding them.
        key = np.zeros(columns[0].shape, np.uint64)
        for column in columns:
            key = key << np.uint64(32) | column.view(np.uint32)
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        return np.fromiter(map(call, *(c[first].tolist() for c in columns)), np.float32, len(first))[inverse]

    def apply(*arrays: np.ndarray) -> np.ndarray:
        columns = [np.ascontiguousarray(a, np.float32).ravel() for a in np.broadcast_arrays(*arrays)]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        if name not in _DOUBT:
            return each(*columns).reshape(shape)
        with np.errstate(all="ignore"):  # infinities and NaNs are legal
            value = exact(*(c.astype(np.float64) for c in columns))
            found = value.astype(np.float32)
            low = np.where(np.abs(found) > np.abs(value), np.nextafter(found, np.float32(0)), found)
            middle = np.abs(np.abs(value - found) / np.spacing(np.abs(low)) - 0.5)
            doubtful = ~((middle > _DOUBT[name]) & (np.abs(found) > np.finfo(np.float32).tiny))
            if doubtful.any():
                found[doubtful] = each(*(c[doubtful] for c in columns))
        return found.reshape(shape)

    return apply


acosf, asinf, cosf, erff, expf, logf, sinf, tanhf = (
    _function(name, 1) for name in ("acosf", "asinf", "cosf", "erff", "expf", "logf", "sinf", "tanhf"))
powf = _function("powf", 2)
