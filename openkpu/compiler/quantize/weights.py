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
    ridge : pull towards the trained weights, relative to the inputs' energy and per sample shortage.
    rounding : pass rounding errors on.
    """

    ridge: float = 0.03
    rounding: bool = True


def moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Second moments of centred inputs (K, S) among themselves and with targets (O, S), and both means."""
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    xc = x - mean_x[:, None]
    return xc @ xc.T, (y - mean_y[:, None]) @ xc.T, mean_x, mean_y


def corrected(w: np.ndarray, h: np.ndarray, g: np.ndarray, samples: int, fit: Fit) -> np.ndarray:
    """(O, K) weights that give the targets from the inputs as they will be, near the trained ones ``w``."""
    energy = np.diag(h)
    pull = (fit.ridge + 4 * len(h) / max(samples, 1) * fit.ridge) * np.maximum(energy, energy.mean() * 0.01 + 1e-12)
    return np.linalg.solve(h + np.diag(pull), (g + w * pull).T).T


def steps(w: np.ndarray, top: int, h: np.ndarray | None) -> np.ndarray:
    """(O,) the step of each row that loses least: the largest weight need not be the last code."""
    largest = np.maximum(np.abs(w).max(axis=1), 1e-30)
    if top > 1000:
        return largest / top
    energy = np.ones(w.shape[1]) if h is None else np.diag(h) + 1e-12
    best, best_cost = largest / top, np.full(len(w), np.inf)
    for shrink in (1.0, 0.97, 0.94, 0.9, 0.86, 0.82, 0.78):
        step = largest * shrink / top
        q = np.clip(np.rint(w / step[:, None]), -top - 1, top)
        cost = ((q * step[:, None] - w) ** 2 * energy).sum(axis=1)
        better = cost < best_cost
        best, best_cost = np.where(better, step, best), np.where(better, cost, best_cost)
    return best


def round_weights(w: np.ndarray, step: np.ndarray, top: int, h: np.ndarray, fit: Fit) -> np.ndarray:
    """(O, K) whole numbers in -top-1..top whose sums over the inputs come closest to those of ``w``."""
    if not fit.rounding or len(h) > 3000:
        return np.clip(np.rint(w / step[:, None]), -top - 1, top).astype(np.int64)
    energy = np.diag(h)
    damped = h + np.eye(len(h)) * (0.01 * energy.mean() + 1e-12)
    order = np.argsort(-energy, kind="stable")
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left = w[:, order].copy()
    q = np.empty(w.shape, np.int64)
    size = 64
    for begin in range(0, len(order), size):
        end = min(begin + size, len(order))
        errors = np.empty((len(w), end - begin))
        for k in range(begin, end):
            q[:, k] = np.clip(np.rint(left[:, k] / step), -top - 1, top)
            errors[:, k - begin] = (left[:, k] - q[:, k] * step) / upper[k, k]
            left[:, k:end] -= errors[:, k - begin, None] * upper[k, k:end]
        left[:, end:] -= errors @ upper[begin:end, end:]
    result = np.empty_like(q)
    result[:, order] = q
    return result
