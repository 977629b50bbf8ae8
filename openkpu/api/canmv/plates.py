# SPDX-License-Identifier: Apache-2.0
"""Licence plates: seven small linear heads on the recogniser's output (spec/driver-api.md sections 2.2.7, 2.3.5)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from openkpu.api.canmv.files import flash_part, read_model_file
from openkpu.api.errors import KPUArgumentError, KPUModelError, KPURunError

HEADS = (31, 24, 34, 34, 34, 34, 34)
"""Logits per character: province, letter, then letters or digits."""


class Plates:
    """Weights of the heads: for each head W (n, L), then b (n), float32 little-endian."""

    def __init__(self, data: bytes):
        count = len(data) // 4
        per_input, rest = divmod(count - sum(HEADS), sum(HEADS))
        if len(data) % 4 or rest or per_input < 1:
            raise KPUArgumentError("size error!", argument="path",
                                   hint=f"{len(data)} bytes are no weights of the seven heads: 4 * {sum(HEADS)} * "
                                        "(L + 1) bytes are needed, 1498500 for the usual L = 1664")
        self.length = per_input
        values = np.frombuffer(data, "<f4")
        self._heads, start = [], 0
        for n in HEADS:
            weights = values[start:start + n * per_input].reshape(n, per_input)
            start += n * per_input
            self._heads.append((weights, values[start:start + n]))
            start += n

    def recognise(self, output: np.ndarray) -> list[tuple[float, ...]]:
        """Seven tuples of logits; the sums are float32 in index order."""
        length = output.size // len(HEADS)
        if length != self.length:
            raise KPURunError("Model Buffer maybe dirty!", hint=f"output 0 has {output.size} numbers, {length} per "
                              f"character, but the weights are for {self.length}")
        result = []
        for head, (weights, bias) in enumerate(self._heads):
            chunk = output[head * length:(head + 1) * length]
            total = np.add.accumulate(weights * chunk, axis=1)[:, -1]
            result.append(tuple((total + bias).astype(float).tolist()))
        return result


class Lpr:
    """``maix.KPU.Lpr``: helper bound to a KPU."""

    def __init__(self, parent):
        self._parent = parent
        self._plates: Plates | None = None
        self._name, self._size, self._digest = "", 0, b""

    def load(self, path=None, size=0) -> None:
        """``load(path)`` or ``load(offset, size)``."""
        if isinstance(path, str):
            data, name = read_model_file(path), str(Path(path))
        elif hasattr(path, "__index__") and not isinstance(path, bool):
            if path <= 0:
                raise ValueError("offset error!")
            if size <= 0:
                raise ValueError("weight file size error")
            data, name = flash_part(path, size), f"flash:0x{path:08X}"
        else:
            raise ValueError('load("path" / offset, size)')
        if not data:
            raise KPUModelError("weight file size error", code=2005, source=path, hint="the file is empty")
        self._plates, self._name, self._size = Plates(data), name, len(data)
        self._digest = hashlib.sha256(data).digest()

    def run(self) -> list[tuple[float, ...]]:
        """Logits of the seven characters, from output 0 of the KPU's last run."""
        if self._plates is None:
            raise KPURunError("Please call init before run", hint="call lpr.load(path) first")
        return self._plates.recognise(self._parent._output("Please load/run kmodel before"))

    def deinit(self) -> None:
        """Free the weights."""
        self._plates = None

    def attr(self) -> dict:
        """Size, name and digest of the weights."""
        return {"weight": {"size": self._size, "name": self._name, "sha256": bytearray(self._digest)},
                "self": id(self), "parent": id(self._parent)}
