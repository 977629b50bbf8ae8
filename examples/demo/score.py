# SPDX-License-Identifier: Apache-2.0
"""Count what a detector found: matching of detections with true boxes, precision, recall and average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from draw import Box


@dataclass(frozen=True)
class Found(Box):
    """One detection: a box and its probability."""

    probability: float


@dataclass(frozen=True)
class Score:
    """Counts of one class at one probability threshold, and the average precision over all thresholds."""

    objects: int
    detections: int
    correct: int
    average_precision: float

    @property
    def precision(self) -> float:
        return self.correct / self.detections if self.detections else float("nan")

    @property
    def recall(self) -> float:
        return self.correct / self.objects if self.objects else float("nan")


def iou(a: Box, b: Box) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - common)


def matches(found: Sequence[Found], truths: Sequence[Box], overlap: float = 0.5) -> list[bool]:
    """For each detection, whether it is right: same class, IoU >= `overlap`, and no likelier one took the object."""
    right = [False] * len(found)
    free = set(range(len(truths)))
    for d in sorted(range(len(found)), key=lambda d: -found[d].probability):
        best = max((t for t in free if truths[t].kind == found[d].kind), default=None,
                   key=lambda t: iou(found[d], truths[t]))
        if best is not None and iou(found[d], truths[best]) >= overlap:
            right[d] = True
            free.remove(best)
    return right


def average_precision(probabilities: np.ndarray, right: np.ndarray, objects: int) -> float:
    """Area under the precision-recall curve, precision made monotone (PASCAL VOC since 2010)."""
    if not objects or not len(right):
        return 0.0 if objects else float("nan")
    hits = np.cumsum(right[np.argsort(-probabilities, kind="stable")])
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float((precision * np.diff(hits, prepend=0)).sum() / objects)


def score(pictures: Sequence[tuple[Sequence[Found], Sequence[Box]]], kind: int | None, threshold: float) -> Score:
    """Score one class, or all of them (`kind` None), over pictures of (detections at any probability, true boxes).

    Precision and recall count the detections above `threshold`, average precision counts all.
    """
    probabilities, right, objects = [], [], 0
    for found, truths in pictures:
        wanted = [d for d in found if kind in (None, d.kind)]
        probabilities += [d.probability for d in wanted]
        right += matches(wanted, truths)
        objects += sum(kind in (None, t.kind) for t in truths)
    p, r = np.array(probabilities), np.array(right, bool)
    above = p > threshold
    return Score(objects, int(above.sum()), int(r[above].sum()), average_precision(p, r, objects))
