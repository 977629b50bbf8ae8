# SPDX-License-Identifier: Apache-2.0
"""Gated recurrent units, in the order of the vendor's loops (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

import numpy as np

from . import libm
from .elementwise import sigmoid
from .sums import ordered_matmul

F32 = np.float32


def gru(x: np.ndarray, w: np.ndarray, r: np.ndarray, b: np.ndarray, start: np.ndarray, direction: str,
        linear_before_reset: bool) -> tuple[np.ndarray, np.ndarray]:
    """A GRU with the gates in ONNX's order z, r, h.

    x: (steps, batch, input); w: (directions, 3*hidden, input); r: (directions, 3*hidden, hidden); b: (directions,
    6*hidden); start: (directions, batch, hidden). Result: every state (steps, directions, batch, hidden), the last ones
    (directions, batch, hidden).
    """
    steps, batch, _ = x.shape
    directions, hidden = w.shape[0], w.shape[1] // 3
    states = np.empty((steps, directions, batch, hidden), F32)
    last = np.empty((directions, batch, hidden), F32)
    for d in range(directions):
        inputs, recurrent, bias = (a[d].reshape(n, hidden, -1) for a, n in ((w, 3), (r, 3), (b, 6)))
        h = start[d]

        def product(values: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
            return ordered_matmul(values, matrix.T, F32(0)) + offset[:, 0]

        order = range(steps)[::-1] if (direction == "reverse") != (d == 1) else range(steps)
        for i in order:
            z, reset = (sigmoid(product(x[i], inputs[g], bias[g]) + product(h, recurrent[g], bias[3 + g]))
                        for g in (0, 1))
            if linear_before_reset:
                past = reset * product(h, recurrent[2], bias[5])
            else:
                past = product(reset * h, recurrent[2], bias[5])
            h = (1 - z) * libm.tanhf(product(x[i], inputs[2], bias[2]) + past) + z * h
            states[i, d] = h
        last[d] = h
    return states, last
