# SPDX-License-Identifier: Apache-2.0
"""Functions of one number, as expressions: what stands between two layers.

An expression is kept as its steps, so that it can be evaluated, recognised by its values (is it linear, does it scale
with its argument, where are its corners) and, where the KPU cannot have it, run on the host operator by operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _erf(x: np.ndarray) -> np.ndarray:
    """Abramowitz and Stegun 7.1.26 refined by no table: |error| < 1.5e-7, below any step of eight bits."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - poly * np.exp(-x * x))


UNARY: dict[str, Callable[..., np.ndarray]] = {
    "abs": np.abs, "ceil": np.ceil, "cos": np.cos, "exp": np.exp, "floor": np.floor, "log": np.log, "neg": np.negative,
    "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "square": np.square, "sqrt": np.sqrt, "tanh": np.tanh,
    "sigmoid": _sigmoid, "round": np.rint, "erf": _erf, "softplus": lambda x: np.logaddexp(0, x),
    "reciprocal": lambda x: 1 / x, "sign": np.sign,
}
BINARY: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.minimum, "max": np.maximum,
    "pow": np.power,
}

Operand = int | float
"""An earlier step's number (0 is the argument) or a constant."""


@dataclass(frozen=True)
class Function:
    """Steps ``(operator, operands)``; the last one's value is the result. No steps: the identity."""

    steps: tuple[tuple[str, tuple[Operand, ...]], ...] = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        values: list[Any] = [x if x.dtype.kind == "f" else x.astype(np.float64)]
        with np.errstate(all="ignore"):
            for op, operands in self.steps:
                args = [values[a] if isinstance(a, int) else a for a in operands]
                values.append((UNARY.get(op) or BINARY[op])(*args))
        return values[-1]

    def then(self, op: str, *operands: Operand | Function) -> Function:
        """This function's value fed to another operator; ``Function`` operands are functions of the same argument."""
        steps, numbers = list(self.steps), []
        for operand in operands:
            if not isinstance(operand, Function):
                numbers.append(operand)
                continue
            if operand == self:
                numbers.append(len(self.steps))
                continue
            place = {0: 0}
            for i, (inner, args) in enumerate(operand.steps, 1):
                step = inner, tuple(place[a] if isinstance(a, int) else a for a in args)
                if step not in steps:
                    steps.append(step)
                place[i] = steps.index(step) + 1
            numbers.append(place[len(operand.steps)])
        return Function((*steps, (op, tuple(numbers))))

    @cached_property
    def affine(self) -> tuple[float, float] | None:
        """(slope, value at 0) if the function is a line."""
        y = self(_PROBE)
        at0 = float(self(np.zeros(1))[0])
        slope = float(self(np.ones(1))[0]) - at0
        return (slope, at0) if _near(y, slope * _PROBE + at0) else None

    @cached_property
    def slopes(self) -> tuple[float, float] | None:
        """(left, right) slope if f(a x) = a f(x) for every a > 0: ReLU, leaky ReLU, identity."""
        left, right = -float(self(-np.ones(1))[0]), float(self(np.ones(1))[0])
        if not (np.isfinite(left) and np.isfinite(right)):
            return None
        return (left, right) if _near(self(_PROBE), np.where(_PROBE < 0, left * _PROBE, right * _PROBE)) else None

    @cached_property
    def clamped(self) -> tuple[float, float, float] | None:
        """(slope, low, high) if the function is max(low, min(high, slope x)) with low <= 0 <= high and slope > 0."""
        low, high = (float(self(np.array([edge]))[0]) for edge in (-1e6, 1e6))
        slope = float(self(np.array([1e-3]))[0]) * 1e3
        if not (np.isfinite(low) and np.isfinite(high) and low <= 0 < high and slope > 0):
            return None
        return (slope, low, high) if _near(self(_PROBE), np.clip(slope * _PROBE, low, high)) else None


_PROBE = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-2, 2, 401), [-300.0, 300.0, -1e-3, 1e-3]])
IDENTITY = Function()
RELU = Function((("max", (0, 0.0)),))
SIGMOID = Function((("sigmoid", (0,)),))


def clamp(low: float, high: float) -> Function:
    """max(low, min(high, x)); infinite bounds are left out."""
    f = IDENTITY
    if np.isfinite(low):
        f = f.then("max", f, float(low))
    return f.then("min", f, float(high)) if np.isfinite(high) else f


def leaky(alpha: float) -> Function:
    """x for x > 0, else alpha x."""
    positive, negative = IDENTITY.then("max", IDENTITY, 0.0), IDENTITY.then("min", IDENTITY, 0.0)
    scaled = negative.then("mul", negative, float(alpha))
    return positive.then("add", positive, scaled)


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(a - b) <= 1e-5 * np.abs(b) + 1e-9))
