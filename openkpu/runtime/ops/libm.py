"""C's float functions of the vendor's kernels: the machine's own where its libm is glibc (spec 5.7).

The vendor's simulators are linked against glibc, whose float functions are not correctly rounded, so only glibc itself
gives their last bit. On another libm the functions are computed in float64 and rounded once, which differs from
glibc's in the last bit of a few results in a thousand (``IS_GLIBC`` is then false).
"""

from __future__ import annotations

import ctypes
import ctypes.util
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


def _library() -> ctypes.CDLL | None:
    if not IS_GLIBC:
        return None
    try:
        return ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
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

    def apply(*arrays: np.ndarray) -> np.ndarray:
        # Quantized networks hold few different values, and a call costs more than finding them.
        columns = [np.ascontiguousarray(a, np.float32).ravel() for a in np.broadcast_arrays(*arrays)]
        key = np.zeros(columns[0].shape, np.uint64)
        for column in columns:
            key = key << np.uint64(32) | column.view(np.uint32)
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        found = np.fromiter(map(call, *(c[first].tolist() for c in columns)), np.float32, len(first))
        return found[inverse].reshape(np.broadcast_shapes(*(a.shape for a in arrays)))

    return apply


acosf, asinf, cosf, erff, expf, logf, sinf, tanhf = (
    _function(name, 1) for name in ("acosf", "asinf", "cosf", "erff", "expf", "logf", "sinf", "tanhf"))
powf = _function("powf", 2)
