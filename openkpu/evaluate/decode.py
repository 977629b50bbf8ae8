# SPDX-License-Identifier: Apache-2.0
"""What a model's outputs say: boxes in pixels of the picture, likeliest classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..detect import detect, placed
from ..errors import UsageError
from ..inputs import Prepared
from ..kmodel import Model
from .job import Job

BEST = 5

Box = tuple[float, float, float, float, int, float]
"""Left, top, right, bottom in pixels of the picture, class, probability."""

Decoder = Callable[[Sequence[np.ndarray], Prepared], list[Box]]


def decoder(job: Job, model: Model) -> Decoder | None:
    """How the job decodes boxes; None if it does not."""
    if job.decoder:
        return _from_text(job, model)
    if not job.anchors:
        return None

    def yolo2(outputs: Sequence[np.ndarray], prepared: Prepared) -> list[Box]:
        output = np.asarray(outputs[0], np.float32)
        found = placed(detect(model, output, job.anchors, job.threshold, job.nms), prepared)
        return [(d.left, d.top, d.right, d.bottom, d.class_id, d.probability) for d in found]

    return yolo2


def _from_text(job: Job, model: Model) -> Decoder:
    """The user's own function: ``decode(outputs, size)`` gives (left, top, right, bottom, class, probability) in pixels
    of the network's input, ``size`` (width, height)."""
    names: dict[str, object] = {"__name__": "decoder"}
    try:
        exec(compile(job.decoder, job.function or "decoder", "exec"), names)
        function = names[job.function]
    except Exception as error:
        raise UsageError(f"--decode: the file cannot be used ({type(error).__name__}: {error}); it must define "
                         f"{job.function}(outputs, size)") from error
    if not callable(function):
        raise UsageError(f"--decode: {job.function} is no function")
    height, width = model.inputs[0].shape[-2:]

    def own(outputs: Sequence[np.ndarray], prepared: Prepared) -> list[Box]:
        try:
            found = [(*prepared.to_picture(float(left), float(top)), *prepared.to_picture(float(right), float(bottom)),
                      int(kind), float(probability))
                     for left, top, right, bottom, kind, probability in function(list(outputs), (width, height))]
        except Exception as error:
            raise UsageError(f"--decode: {job.function} failed ({type(error).__name__}: {error}); it gets the outputs "
                             "and (width, height) and gives (left, top, right, bottom, class, probability)") from error
        return sorted(found, key=lambda b: -b[5])

    return own


def best(output: np.ndarray) -> list[int]:
    """The likeliest classes, the first first; equal ones in the order of their numbers."""
    return [int(i) for i in np.argsort(-output.reshape(-1).astype(np.float64), kind="stable")[:BEST]]
