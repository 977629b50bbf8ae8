# SPDX-License-Identifier: Apache-2.0
"""Detections of a whole model: the YOLO v2 head decoded, and its boxes in pixels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .inputs import Prepared
from .kmodel import Model
from .yolo2 import Box, region_layer


@dataclass(frozen=True)
class Detection:
    """A box in picture pixels; ``probability`` is the detector's own."""

    left: float
    top: float
    right: float
    bottom: float
    class_id: int
    probability: float


def head_shape(model: Model, anchors: Sequence[float]) -> tuple[int, int, int]:
    """(C, H, W) of the detector head, output 0; InputError if it cannot be one for these anchors."""
    spec = model.outputs[0]
    shape = spec.map_shape or spec.shape[-3:]
    count = len(anchors) // 2
    if len(shape) != 3 or spec.dtype != np.float32 or len(model.inputs[0].shape) != 4:
        raise InputError(f"--yolo2: output 0 of {model.source} is no float feature map (C, H, W) of a picture")
    if shape[0] % count or shape[0] // count < 5:
        raise InputError(f"--yolo2: output 0 of {model.source} has {shape[0]} channels, which are not {count} anchors "
                         "times 5 + classes; give as many anchors as the network was trained with")
    return shape


def detect(model: Model, output: np.ndarray, anchors: Sequence[float], threshold: float, nms: float) -> list[Box]:
    """Boxes in pixels of the network's input; ``output`` has the elements of output 0 in any shape."""
    height, width = model.inputs[0].shape[-2:]
    return region_layer(output.reshape(head_shape(model, anchors)), anchors, threshold, nms, (width, height),
                        (width, height))


def placed(boxes: Sequence[Box], prepared: Prepared) -> list[Detection]:
    """The boxes in pixels of the picture that the input was made of, the likeliest first."""
    return [Detection(*prepared.to_picture(box.x, box.y), *prepared.to_picture(box.x + box.w, box.y + box.h),
                      box.class_id, box.probability)
            for box in sorted(boxes, key=lambda b: -b.probability)]
