# SPDX-License-Identifier: Apache-2.0
"""Rows and labels become figures. The order of the rows does not matter: pictures are taken in the dataset's."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import UsageError
from .dataset import Dataset, Sample
from .decode import BEST, Box
from .extra import needed
from .worker import Row

Figures = dict[str, Any]

EXACT = 1e300  # dB are infinite where there is no noise; JSON has no infinity


def measure(dataset: Dataset, rows: Mapping[str, Row], metrics: Sequence[str]) -> Figures:
    """The metrics of the model over the pictures that could be used, and of the float network beside them."""
    pairs = [(s, rows[s.name]) for s in dataset.samples if s.name in rows and rows[s.name]["status"] == "ok"]
    figures: Figures = {}
    for prefix, place in (("", figures), ("reference_", figures.setdefault("reference", {}))):
        if "map" in metrics and all(row[f"{prefix}boxes"] for _, row in pairs):
            place |= boxes(dataset, pairs, f"{prefix}boxes")
        for metric, count in (("top1", 1), ("top5", BEST)):
            if metric in metrics and all(row[f"{prefix}best"] for _, row in pairs):
                place[metric] = share(pairs, f"{prefix}best", count)
    if "sqnr" in metrics:
        figures["sqnr"] = sqnr([row for _, row in pairs])
    if not figures["reference"]:
        del figures["reference"]
    return figures


def share(pairs: Sequence[tuple[Sample, Row]], column: str, count: int) -> float:
    """Share of the pictures whose class is among the first ``count``."""
    right = [s.label in json.loads(row[column])[:count] for s, row in pairs]
    return sum(right) / len(right) if right else math.nan


def sqnr(rows: Sequence[Row]) -> list[float]:
    """dB per output, over all pictures together."""
    signal, noise = (np.array([json.loads(row[name]) for row in rows], np.float64) for name in ("signal", "noise"))
    return [10 * math.log10(s / n) if s and n else EXACT if not n else -EXACT
            for s, n in zip(signal.sum(0), noise.sum(0), strict=True)]


def boxes(dataset: Dataset, pairs: Sequence[tuple[Sample, Row]], column: str) -> Figures:
    """COCO's average precision: over overlaps of 0.5 to 0.95 ("map"), at 0.5 ("map50"), and at 0.5 per class."""
    coco, evaluation = needed("pycocotools.coco", "--metric map"), needed("pycocotools.cocoeval", "--metric map")
    found: list[list[Box]] = [json.loads(row[column]) for _, row in pairs]
    count = max([len(dataset.classes), *(t.class_id + 1 for s, _ in pairs for t in s.truths or ()),
                 *(b[4] + 1 for one in found for b in one)])
    names = [dataset.classes[i] if i < len(dataset.classes) else f"class {i}" for i in range(count)]
    truth, detections = coco.COCO(), []
    truth.dataset = {"info": {}, "images": [], "annotations": [],
                     "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)]}
    for number, ((sample, row), one) in enumerate(zip(pairs, found, strict=True), 1):
        width, height = int(row["width"]), int(row["height"])
        truth.dataset["images"].append({"id": number, "width": width, "height": height})
        for t in sample.truths or ():
            left, top, w, h = (v * size for v, size in zip(t.box, (width, height) * 2, strict=True)) if t.relative \
                else t.box
            truth.dataset["annotations"].append(
                {"id": len(truth.dataset["annotations"]) + 1, "image_id": number, "category_id": t.class_id + 1,
                 "bbox": [left, top, w, h], "area": w * h, "iscrowd": int(t.crowd)})
        detections += [{"image_id": number, "category_id": kind + 1, "score": probability,
                        "bbox": _within(left, top, right, bottom, width, height)}
                       for left, top, right, bottom, kind, probability in one]
    if not truth.dataset["annotations"]:
        raise UsageError("--metric map: the dataset has no true box; give pictures with YOLO .txt, or COCO's .json")
    with contextlib.redirect_stdout(io.StringIO()):  # both print what they do
        truth.createIndex()
        result = truth.loadRes(detections) if detections else None
        if result is None:
            return {"map": 0.0, "map50": 0.0, "classes": dict.fromkeys(names, 0.0)}
        judge = evaluation.COCOeval(truth, result, "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2]  # overlaps, recalls, classes; all areas, 100 detections
    return {"map": _mean(precision), "map50": _mean(precision[0]),
            "classes": {name: _mean(precision[0][:, k]) for k, name in enumerate(names)}}


def _within(left: float, top: float, right: float, bottom: float, width: int, height: int) -> list[float]:
    """x, y, w, h of a box cut at the picture's edge, as true boxes are."""
    left, top = max(left, 0.0), max(top, 0.0)
    return [left, top, max(min(right, width) - left, 0.0), max(min(bottom, height) - top, 0.0)]


def _mean(precision: np.ndarray) -> float | None:
    """COCO's mean: classes without objects have -1 and do not count; None if none counts."""
    counted = precision[precision > -1]
    return float(counted.mean()) if counted.size else None
