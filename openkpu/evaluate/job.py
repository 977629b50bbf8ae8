# SPDX-License-Identifier: Apache-2.0
"""What is asked of every picture: plain data that travels to other processes and computers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace

METRICS = {
    "map": "COCO's mean average precision of boxes, and at an overlap of 0.5",
    "top1": "share of pictures whose likeliest class is the right one",
    "top5": "share whose right class is among the five likeliest",
    "sqnr": "signal to quantization noise of the outputs in dB, against --reference",
}


@dataclass(frozen=True)
class Job:
    """One evaluation.

    Attributes
    ----------
    model : bytes of the model, or of its package.
    source : its name in messages.
    member, release, strict_math : as ``openkpu.kmodel.load`` takes them.
    backend, config, chip_rounding : the device, the RTL's size, how halves are rounded on the host.
    fit : how pictures come to the model's size.
    metrics : keys of ``METRICS``.
    anchors, threshold, nms : of a YOLO v2 head, no anchors for other models.
    decoder, function : Python text and the name of its function for other detectors (``decode.py``).
    reference : bytes of the float network's file, b"" for none; ``scale``, ``mean``, ``std``, ``bgr`` as for
        ``openkpu compile``.
    """

    model: bytes
    source: str
    member: str | None = None
    release: str | None = None
    strict_math: bool = False
    backend: str = "functional"
    config: str = "full"
    chip_rounding: bool = False
    fit: str = "stretch"
    metrics: tuple[str, ...] = ()
    anchors: tuple[float, ...] = ()
    threshold: float = 0.02
    nms: float = 0.3
    decoder: str = ""
    function: str = ""
    reference: bytes = b""
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits of everything that the results depend on; names of files are not part of it.

        Neither is the back end: all give the same numbers.
        """
        digest = hashlib.sha256()
        for f in fields(self):
            if f.name not in ("source", "backend", "config"):
                value = getattr(self, f.name)
                digest.update(f.name.encode() + (value if isinstance(value, bytes) else repr(value).encode()) + b"\0")
        return digest.hexdigest()[:12]

    def on(self, backend: str) -> Job:
        """The same on another back end."""
        return replace(self, backend=backend)
