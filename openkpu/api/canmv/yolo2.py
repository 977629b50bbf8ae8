# SPDX-License-Identifier: Apache-2.0
"""``maix.KPU.Yolo2``: the region layer whose geometry comes from the model (spec/driver-api.md section 2.3.4)."""

from __future__ import annotations

from openkpu.api.errors import KPUArgumentError, KPURunError
from openkpu.yolo2 import BOX_ENTRIES, region_layer


class Yolo2:
    """Helper bound to a KPU."""

    def __init__(self, parent):
        self._parent = parent
        self._anchors: list[float] | None = None
        self._threshold, self._nms = 0.5, 0.3

    def init(self, anchor=None, threshold=0.5, nms_value=0.3, *, nms=None) -> None:
        """Anchors (w, h pairs in grid cells), least probability, largest overlap (also named ``nms``)."""
        if anchor is None:
            raise ValueError("need input anchor")
        if len(anchor) % 2 or not len(anchor):
            raise ValueError("The number of anchors should be a multiple of 2")
        self._anchors = [float(v) for v in anchor]
        self._threshold, self._nms = float(threshold), float(nms_value if nms is None else nms)
        for name, value in (("threshold", self._threshold), ("nms_value", self._nms)):
            if not 0 <= value <= 1:
                raise KPUArgumentError(f"{name} only support 0 to 1", argument=name, hint=f"it is {value}")

    def run(self) -> list[list]:
        """Boxes ``[x, y, w, h, class, prob]`` in output 0 of the last run; possibly empty."""
        if self._parent is None:
            raise KPURunError("Wrong uasge, please read the docs", hint="make the helper with kpu.Yolo2()")
        if self._anchors is None:
            raise KPURunError("Please call init before run", hint="call yolo.init(anchor, threshold, nms_value)")
        values = self._parent._output("Please load/run kmodel before")
        network = self._parent._network
        shape = network.output_shape(0)
        if shape is None or network.input_shape is None:
            raise KPURunError("Parse model for yolo run failed", source=network.source,
                              hint="output 0 of the model is no feature map")
        width, height, channels = shape
        anchors = len(self._anchors) // 2
        classes = channels // anchors - BOX_ENTRIES
        if classes < 0 or channels % anchors:
            raise KPURunError("Yolo2 region layer init failed", source=network.source,
                              hint=f"output 0 has {channels} channels, not {anchors} anchors times 5 + classes")
        size = network.input_shape[:2]
        return self._parent._boxes(region_layer(values.reshape(channels, height, width), self._anchors,
                                                self._threshold, self._nms, size, size, "N", classes))

    def deinit(self) -> None:
        """Forget the anchors."""
        self._anchors = None

    def attr(self) -> dict:
        """The parameters and the ids of this helper and its KPU."""
        anchors = self._anchors or []
        return {"args": {"threshold": self._threshold, "nms_value": self._nms, "anchor_num": len(anchors) // 2,
                         "anchor": list(anchors)}, "self": id(self), "parent": id(self._parent)}
