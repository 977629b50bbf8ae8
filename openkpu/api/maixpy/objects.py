# SPDX-License-Identifier: Apache-2.0
"""Objects of the ``KPU`` module: ``kpu_net``, ``kpu_yolo2``, ``kpu_yolo2_find`` (spec/driver-api.md 1.2-1.6)."""

from __future__ import annotations

import numpy as np

from openkpu.api.maixpy.fmap import kpu_fmap
from openkpu.api.network import Network
from openkpu.yolo2 import Box


class kpu_yolo2:
    """Parameters of the region layer, stored as float32."""

    def __init__(self, threshold: float, nms_value: float, anchors: list[float]):
        self._threshold, self._nms = float(np.float32(threshold)), float(np.float32(nms_value))
        self._anchors = tuple(np.asarray(anchors, np.float32).astype(float).tolist())

    def anchor(self) -> tuple[float, ...]:
        """w0, h0, w1, h1, ... in grid cells."""
        return self._anchors

    def threshold(self) -> float:
        """Least probability."""
        return self._threshold

    def nms_value(self) -> float:
        """Largest overlap."""
        return self._nms

    def anchor_number(self) -> int:
        """Number of anchors."""
        return len(self._anchors) // 2

    def __repr__(self) -> str:
        anchors = ", ".join(f"{v:f}" for v in self._anchors)
        return (f'{{"threshold":{self._threshold:f}, "nms_value":{self._nms:f}, '
                f'"anchor_number":{self.anchor_number()}, "anchor":"({anchors})"}}')


class kpu_net:
    """A loaded model; also a context manager that releases it."""

    def __init__(self, network: Network):
        model = network.model
        self._network = network
        self._size = model.size
        self._yolo: kpu_yolo2 | None = None
        self._shapes: dict[int, tuple[int, int, int]] = {}
        self._layers = 0
        self._last: kpu_fmap | None = None

    def model_addr(self) -> int | None:
        """Flash offset, or None if loaded from a file."""
        return self._network.source if isinstance(self._network.source, int) else None

    def model_size(self) -> int:
        """Bytes of the model."""
        return self._size

    def model_path(self) -> str | None:
        """Path, or None if loaded from flash."""
        return None if isinstance(self._network.source, int) else self._network.source

    def net_arg(self) -> kpu_yolo2 | None:
        """The YOLO parameters, or None."""
        return self._yolo

    def _deinit(self) -> None:
        self._yolo = self._last = None
        self._shapes = {}
        self._network.release()

    def __del__(self) -> None:
        network = getattr(self, "_network", None)
        if network is not None:
            if network.board.strict:
                print("kpu_net __del__", end="\r\n")
            self._deinit()

    def __enter__(self) -> kpu_net:
        return self

    def __exit__(self, *exception) -> None:
        self._deinit()

    def __repr__(self) -> str:
        arguments = '"(null)"' if self._yolo is None else repr(self._yolo)
        return (f'{{"model_addr": {self.model_addr() or 0}, "model_size": {self._size}, '
                f'"model_path": "{self.model_path() or "(null)"}", "net_args": {arguments}}}')


class kpu_yolo2_find:
    """One detection; members are methods. Also a sequence (x, y, w, h, classid, value)."""

    def __init__(self, box: Box, index: int, count: int):
        self._box, self._index, self._count = box, index, count

    def x(self) -> int:
        """Left, pixels of the model's input."""
        return self._box.x

    def y(self) -> int:
        """Top."""
        return self._box.y

    def w(self) -> int:
        """Width."""
        return self._box.w

    def h(self) -> int:
        """Height."""
        return self._box.h

    def rect(self) -> tuple[int, int, int, int]:
        """(x, y, w, h)."""
        return self._box.x, self._box.y, self._box.w, self._box.h

    def classid(self) -> int:
        """Most probable class."""
        return self._box.class_id

    def value(self) -> float:
        """Its probability."""
        return self._box.probability

    def index(self) -> int:
        """Position in the list."""
        return self._index

    def objnum(self) -> int:
        """Length of the list."""
        return self._count

    def _tuple(self) -> tuple:
        return (*self.rect(), self.classid(), self.value())

    def __len__(self) -> int:
        return 6

    def __iter__(self):
        return iter(self._tuple())

    def __getitem__(self, key):
        return self._tuple()[key]

    def __repr__(self) -> str:
        return (f'{{"x":{self.x()}, "y":{self.y()}, "w":{self.w()}, "h":{self.h()}, "value":{self.value():f}, '
                f'"classid":{self.classid()}, "index":{self.index()}, "objnum":{self.objnum()}}}')
