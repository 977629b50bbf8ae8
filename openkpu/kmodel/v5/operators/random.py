# SPDX-License-Identifier: Apache-2.0
"""Random numbers (spec/kmodel-format.md 5.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....arithmetic import random
from ...kernels import kernel
from ...model import Layer, Tensor
from ..frame import FLOAT, Frame, Function


@dataclass(frozen=True, eq=False, kw_only=True)
class RandomNormal(Layer):
    """float32 from a generator that starts anew at ``seed`` in every run."""

    out: Tensor
    mean: float
    deviation: float
    seed: float


def _random(cls: type, *parameters: str) -> Callable[[Frame], Layer]:
    def build(f: Frame) -> Layer:
        a = f.args
        values = {name: float(f.reader.finite(name, a[name])) for name in (*parameters, "seed")}
        f.reader.within("seed", int(values["seed"]), 0, (1 << 63) - 1)
        return cls(**f.base(), out=f.out(a["s"], f.only("datatype", a["dt"], FLOAT), None), **values)
    return build


@kernel(RandomNormal)
def random_normal(op: RandomNormal) -> np.ndarray:
    return random.normal(op.out.count, op.mean, op.deviation, op.seed)


@dataclass(frozen=True, eq=False, kw_only=True)
class RandomUniform(Layer):
    """float32 from a generator that starts anew at ``seed`` in every run."""

    out: Tensor
    low: float
    high: float
    seed: float


@kernel(RandomUniform)
def random_uniform(op: RandomUniform) -> np.ndarray:
    return random.uniform(op.out.count, op.low, op.high, op.seed)


FUNCTIONS = {
    "RANDOM_NORMAL": Function({3: "dt s mean:f deviation:f seed:f"}, "out", _random(RandomNormal, "mean", "deviation")),
    "RANDOM_UNIFORM": Function({3: "dt s low:f high:f seed:f"}, "out", _random(RandomUniform, "low", "high")),
}
