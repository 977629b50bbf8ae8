# SPDX-License-Identifier: Apache-2.0
"""The YOLO v2 region layer of the vendor's firmwares, in float32 as they compute it (spec/driver-api.md appendix A).

Dialects: "M" is ``KPU.run_yolo2`` of MaixPy, "C" CanMV's old ``regionlayer_yolo2``, "N" its new ``Yolo2.run``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arithmetic.libm import expf

F32 = np.float32
BOX_ENTRIES = 5  # x, y, w, h, objectness; the classes follow


@dataclass(frozen=True)
class Box:
    """A detection. ``x``, ``y`` (left, top), ``w``, ``h`` in image pixels: left and top are clamped at 0, right and
    bottom may lie beyond the image. ``probability`` is the float32 value."""

    x: int
    y: int
    w: int
    h: int
    class_id: int
    probability: float


def region_layer(output: np.ndarray, anchors: Sequence[float], threshold: float, nms: float,
                 net_size: tuple[int, int], image_size: tuple[int, int], dialect: str = "M",
                 classes: int | None = None) -> list[Box]:
    """Boxes in the head map of a YOLO v2 network.

    Parameters
    ----------
    output : float32 (channels, H, W), raw; not changed. Channel of anchor n, entry e: n*(5 + K) + e.
    anchors : w0, h0, w1, h1, ... in grid cells.
    threshold, nms : compared with strict ">" as float32.
    net_size, image_size : (width, height) in pixels.
    dialect : "M", "C" or "N".
    classes : K; default channels // anchors - 5. 0 means that the objectness alone counts.

    Returns
    -------
    In box order: anchor, then row, then column (never by probability).

    Raises
    ------
    ValueError
        The channels do not hold 5 + K entries per anchor.
    """
    if not anchors or len(anchors) % 2:
        raise ValueError(f"anchors come in pairs of width and height, not {len(anchors)} numbers")
    count = len(anchors) // 2
    channels, height, width = output.shape
    if classes is None:
        classes = channels // count - BOX_ENTRIES
    if classes < 0 or channels != count * (BOX_ENTRIES + classes):
        raise ValueError(f"{channels} channels are not {count} anchors times 5 + classes; "
                         "give as many anchors as the network was trained with")
    entries = output.astype(F32).reshape(count, BOX_ENTRIES + classes, height, width)
    with np.errstate(all="ignore"):
        boxes = _boxes(entries, np.asarray(anchors, F32).reshape(count, 2), dialect)
        boxes = _correct(boxes, net_size, image_size)
        scores = _scores(entries, F32(threshold), dialect)
        defined = np.isfinite(boxes).all(axis=1) & ~np.isnan(scores).any(axis=1)
        scores[~defined] = 0
        _suppress(boxes, scores, F32(nms))
        return _emit(boxes, scores, F32(threshold), image_size)


def _sigmoid(x: np.ndarray, dialect: str) -> np.ndarray:
    e = expf(-x)
    if dialect == "M":
        return (1 / (1 + e.astype(np.float64))).astype(F32)
    return F32(1) / (F32(1) + e)


def _boxes(entries: np.ndarray, anchors: np.ndarray, dialect: str) -> np.ndarray:
    """Centre and size relative to the network's input, float32 (boxes, 4)."""
    _, _, height, width = entries.shape
    x = (np.arange(width, dtype=F32) + _sigmoid(entries[:, 0], dialect)) / F32(width)
    y = (np.arange(height, dtype=F32)[:, None] + _sigmoid(entries[:, 1], dialect)) / F32(height)
    w = expf(entries[:, 2]) * anchors[:, 0, None, None] / F32(width)
    h = expf(entries[:, 3]) * anchors[:, 1, None, None] / F32(height)
    return np.stack([x, y, w, h], axis=-1).reshape(-1, 4)


def _scores(entries: np.ndarray, threshold: np.float32, dialect: str) -> np.ndarray:
    """Probability of every class, float32 (boxes, max(K, 1)); below the threshold 0."""
    objectness = _sigmoid(entries[:, 4], dialect)
    if entries.shape[1] == BOX_ENTRIES:
        return objectness.reshape(-1, 1)
    logits = entries[:, BOX_ENTRIES:]
    e = expf(logits - logits.max(axis=1, keepdims=True))
    total = np.add.accumulate(e, axis=1)[:, -1:]
    p = objectness[:, None] * (e / total)
    p = np.where(p > threshold, p, np.where(np.isnan(p), p, F32(0)))
    return np.moveaxis(p, 1, -1).reshape(-1, logits.shape[1])


def _correct(boxes: np.ndarray, net_size: tuple[int, int], image_size: tuple[int, int]) -> np.ndarray:
    """From letter-boxed network coordinates to coordinates relative to the image."""
    nw, nh = net_size
    iw, ih = image_size
    if F32(nw) / F32(iw) < F32(nh) / F32(ih):
        used_w, used_h = nw, ih * nw // iw
    else:
        used_w, used_h = iw * nh // ih, nh
    out = boxes.copy()
    for axis, net, used in ((0, nw, used_w), (1, nh, used_h)):
        scale = F32(used) / F32(net)
        out[:, axis] = ((boxes[:, axis].astype(np.float64) - (net - used) / 2 / net) / np.float64(scale)).astype(F32)
        out[:, axis + 2] = boxes[:, axis + 2] * (F32(net) / F32(used))
    return out


def _overlap(box: np.ndarray, others: np.ndarray, axis: int) -> np.ndarray:
    half, halves = box[axis + 2] / F32(2), others[:, axis + 2] / F32(2)
    return np.minimum(box[axis] + half, others[:, axis] + halves) - np.maximum(box[axis] - half,
                                                                               others[:, axis] - halves)


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    dx, dy = _overlap(box, others, 0), _overlap(box, others, 1)
    intersection = np.where((dx < 0) | (dy < 0), F32(0), dx * dy)
    return intersection / (box[2] * box[3] + others[:, 2] * others[:, 3] - intersection)


def _suppress(boxes: np.ndarray, scores: np.ndarray, nms: np.float32) -> None:
    """Non-maximum suppression per class; suppressed scores become 0."""
    for p in scores.T:
        order = np.argsort(-p, kind="stable")
        order = order[p[order] != 0]
        for i, b in enumerate(order):
            if p[b] != 0:
                later = order[i + 1:]
                p[later[_iou(boxes[b], boxes[later]) > nms]] = 0


def _pixel(x: np.float32) -> int:
    """The K210's float to unsigned conversion: truncates, saturates at 0 and 2**32 - 1."""
    return int(min(max(float(x), 0), 2**32 - 1))


def _emit(boxes: np.ndarray, scores: np.ndarray, threshold: np.float32, image_size: tuple[int, int]) -> list[Box]:
    iw, ih = F32(image_size[0]), F32(image_size[1])
    best = scores.argmax(axis=1)
    found = []
    for b in np.flatnonzero(scores[np.arange(len(scores)), best] > threshold):
        x, y, w, h = boxes[b]
        half_w, half_h = w * iw / F32(2), h * ih / F32(2)
        left, top = _pixel(x * iw - half_w), _pixel(y * ih - half_h)
        right, bottom = _pixel(x * iw + half_w), _pixel(y * ih + half_h)
        found.append(Box(left, top, right - left, bottom - top, int(best[b]), float(scores[b, best[b]])))
    return found
