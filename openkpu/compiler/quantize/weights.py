# SPDX-License-Identifier: Apache-2.0
"""Weights in integers: a scale per output channel, rounded one input after the other against the calibration data.

The sums that a layer should give are known (float network), and so are the codes that it will get (integer network up
to here). The weights first take up what can be corrected linearly (ridge regression towards the trained weights), then
are rounded in the order of their inputs' energy, each rounding's error passed on to the weights that are still free
(optimal brain quantization with the layer's own second moments, as GPTQ does). Means of the error go to the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """How strongly the weights are fitted.

    Attributes
    ----------
    ridge : pull towards the trained weights, relative to the inputs' energy; infinite: the file's own weights and
        biases are kept.
    rounding : pass rounding errors on.
    """

    ridge: float = 0.03
    rounding: bool = True


def moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Second moments of inputs (B, K, S), means taken off, among themselves and with targets (B, O, S); both means."""
    mean_x, mean_y = x.mean(axis=2, dtype=np.float64), y.mean(axis=2, dtype=np.float64)
    xc = x - mean_x[:, :, None].astype(x.dtype)
    yc = y - mean_y[:, :, None].astype(y.dtype)
    turned = xc.transpose(0, 2, 1)
    return (xc @ turned).astype(np.float64), (yc @ turned).astype(np.float64), mean_x, mean_y


def fitted(w: np.ndarray, x: np.ndarray, y: np.ndarray, bias: np.ndarray, top: int,
           fit: Fit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole weights (B, O, K), their step (B, O) and bias (B, O) for which steps * whole @ x + bias is nearest to y.

    Parameters
    ----------
    w, bias : the trained ones, (B, O, K) and (B, O); B independent problems (a depthwise layer's channels, or 1).
    x, y : float32 inputs (B, K, S) in codes without zero points, and sums (B, O, S).
    top : largest whole weight.
    """
    h, g, mean_x, mean_y = moments(x, y)
    samples, k = x.shape[2], x.shape[1]
    energy = np.diagonal(h, axis1=1, axis2=2)
    level = energy.mean(axis=1)[:, None]
    better = w
    if fit.ridge < 1e6:
        pull = fit.ridge * (1 + 4 * k / max(samples, 1)) * np.maximum(energy, level * 0.01 + 1e-9)
        better = np.linalg.solve(h + _diagonal(pull), (g + w * pull[:, None]).transpose(0, 2, 1)).transpose(0, 2, 1)
    step = _steps(better, top, energy)
    if fit.ridge == np.inf:
        step = _own_steps(better, top, step)
    step = np.maximum(step, _sum_limit(better, top))
    if fit.rounding and k <= 3000:
        whole = _round(better, step, top, h + _diagonal(np.broadcast_to(0.01 * level + 1e-9, energy.shape)), energy)
    else:
        whole = np.clip(np.rint(better / step[..., None]), -top - 1, top)
    if fit.ridge == np.inf:
        return whole.astype(np.int64), step, bias.astype(np.float64)
    shift = mean_y - np.einsum("bok,bk->bo", whole * step[..., None], mean_x)
    idle = energy.sum(axis=1) == 0
    return whole.astype(np.int64), step, np.where(idle[:, None], bias, shift)


def _diagonal(values: np.ndarray) -> np.ndarray:
    return values[:, :, None] * np.eye(values.shape[1])


def _steps(w: np.ndarray, top: int, energy: np.ndarray) -> np.ndarray:
    """The step of each row that loses least: the largest weight need not be the last code."""
    largest = np.maximum(np.abs(w).max(axis=2), 1e-30)
    best, best_cost = largest / top, np.full(w.shape[:2], np.inf)
    for shrink in (1.0, 0.97, 0.94, 0.9, 0.86, 0.82, 0.78) if top < 1000 else (1.0,):
        step = largest * shrink / top
        q = np.clip(np.rint(w / step[..., None]), -top - 1, top)
        cost = ((q * step[..., None] - w) ** 2 * (energy[:, None] + 1e-12)).sum(axis=2)
        better = cost < best_cost
        best, best_cost = np.where(better, step, best), np.where(better, cost, best_cost)
    return best


def _own_steps(w: np.ndarray, top: int, otherwise: np.ndarray) -> np.ndarray:
    """The largest step of which all weights of a row are multiples, up to ``top`` times."""
    largest = np.maximum(np.abs(w).max(axis=2), 1e-30)
    found = otherwise.copy()
    for count in range(min(top, 127), 0, -1):
        times = w * (count / largest[..., None])
        found = np.where((np.abs(times - np.rint(times)) < 0.01).all(axis=2), largest / count, found)
    return found


def _sum_limit(w: np.ndarray, top: int) -> np.ndarray:
    """The smallest steps with which no sum of 16-bit weights can leave the 36 bits of section 5.2."""
    return np.abs(w).sum(axis=2) * (255 / 2.0**34 if top > 1000 else 0)


def _round(w: np.ndarray, step: np.ndarray, top: int, h: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Rounded in order of the inputs' energy, each error passed on."""
    order = np.argsort(-energy, axis=1, kind="stable")
    b = np.arange(len(w))[:, None]
    inverse = np.linalg.inv(h[b[:, :, None], order[:, :, None], order[:, None, :]])
    upper = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2).transpose(0, 2, 1)
    left = np.take_along_axis(w, order[:, None], 2)
    q = np.empty(w.shape)
    k, size = w.shape[2], 64
    for begin in range(0, k, size):
        end = min(begin + size, k)
        errors = np.empty((*w.shape[:2], end - begin))
        for i in range(begin, end):
            q[..., i] = np.clip(np.rint(left[..., i] / step), -top - 1, top)
            errors[..., i - begin] = (left[..., i] - q[..., i] * step) / upper[:, None, i, i]
            left[..., i:end] -= errors[..., i - begin, None] * upper[:, None, i, i:end]
        left[..., end:] -= errors @ upper[:, begin:end, end:]
    result = np.empty_like(q)
    np.put_along_axis(result, np.broadcast_to(order[:, None], q.shape), q, 2)
    return result
