# SPDX-License-Identifier: Apache-2.0
"""Gated recurrent units (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....arithmetic import recurrent
from ...kernels import kernel
from ...model import Layer, Tensor
from ..frame import FLOAT, Frame, Function

DIRECTIONS = ("forward", "reverse", "bidirectional")


@dataclass(frozen=True, eq=False, kw_only=True)
class Gru(Layer):
    """float32, gates in the order z, r, h: ``input`` (steps, batch, n), ``weights`` (directions, 3*hidden, n),
    ``recurrence`` (directions, 3*hidden, hidden), ``bias`` (directions, 6*hidden), ``start`` and ``last`` (directions,
    batch, hidden), ``out`` (steps, directions, batch, hidden)."""

    input: Tensor
    weights: Tensor
    recurrence: Tensor
    bias: Tensor
    start: Tensor
    out: Tensor
    last: Tensor
    direction: str
    linear_before_reset: bool

    WRITES = ("out", "last")


def _gru(f: Frame) -> Layer:
    a = f.args
    steps, batch, size = f.rank("input shape", a["s_in"], 3)
    directions, gates, columns = f.rank("weight shape", a["s_w"], 3)
    hidden = gates // 3
    if gates % 3 or columns != size or directions != (2 if a["direction"] == "bidirectional" else 1):
        f.fail("weight shape", f"= {a['s_w']} does not suit the input {a['s_in']}, {a['direction']}")
    f.work(steps * directions * batch * gates * (size + hidden))
    state = directions, batch, hidden

    def read(field: str, *shape: int) -> Tensor:
        return f.tensor(field, FLOAT, shape, None)
    return Gru(**f.base(), input=read("in", *a["s_in"]), weights=read("weights", *a["s_w"]),
               recurrence=read("recurrence", directions, gates, hidden), bias=read("bias", directions, 2 * gates),
               start=read("start", *state), out=f.out((steps, *state), FLOAT, None),
               last=f.out(state, FLOAT, None, "last"), direction=a["direction"],
               linear_before_reset=a["linear_before_reset"])


@kernel(Gru)
def gru(op: Gru, x: np.ndarray, weights: np.ndarray, recurrence: np.ndarray, bias: np.ndarray,
        start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return recurrent.gru(x, weights, recurrence, bias, start, op.direction, op.linear_before_reset)


FUNCTIONS = {
    "GRU": Function(
        {9: "s_in s_w direction:direction linear_before_reset:bool"},
        "last out start bias recurrence weights in", _gru),
}
ENUMERATIONS: dict[str, tuple] = {"direction": DIRECTIONS}
