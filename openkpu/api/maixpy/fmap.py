# SPDX-License-Identifier: Apache-2.0
"""``kpu_fmap``: what ``KPU.forward`` and ``KPU.get_output`` return (spec/driver-api.md section 1.7.5)."""

from __future__ import annotations

import numpy as np


class kpu_fmap(np.ndarray):
    """A feature map in (c, y, x) order: unsigned 8-bit activations or float32 values.

    Indexing and slicing see one flat sequence, as on the board; ``numpy.asarray(fmap)`` and the buffer protocol give
    (ch, h, w). The data is the map's own: later runs do not change it.
    """

    def __new__(cls, data: np.ndarray, index: int, reported_width: int | None = None):
        """``data``: uint8 or float32, (ch, h, w); ``reported_width`` overrides ``w()`` (strict mode's byte count)."""
        self = np.array(data, dtype=np.uint8 if data.dtype == np.uint8 else np.float32, order="C").view(cls)
        self._index = index
        self._width = data.shape[2] if reported_width is None else reported_width
        self._freed = False
        return self

    def __array_finalize__(self, source) -> None:
        self._index = getattr(source, "_index", 0)
        self._width = getattr(source, "_width", 0)
        self._freed = getattr(source, "_freed", False)

    def _alive(self) -> np.ndarray:
        if self._freed:
            raise ValueError("fmap was freed -- it was given to fmap_free(); call forward() again")
        return self.view(np.ndarray)

    def free(self) -> None:
        """No access from now on; twice is harmless. The memory goes with the last array or buffer made from the map."""
        self._freed = True

    def size(self) -> int:  # type: ignore[override]  # a method here as on the device, an attribute in numpy
        """Bytes."""
        return self._alive().nbytes

    def index(self) -> int:
        """Number of the layer."""
        self._alive()
        return self._index

    def w(self) -> int:
        """Width, or the element count of a result that is no convolution's."""
        self._alive()
        return self._width

    def h(self) -> int:
        """Height."""
        return self._alive().shape[1]

    def ch(self) -> int:
        """Channels."""
        return self._alive().shape[0]

    def typecode(self) -> str:
        """"B" or "f"."""
        return "B" if self._alive().dtype == np.uint8 else "f"

    def __len__(self) -> int:
        return self._alive().size

    def __iter__(self):
        return iter(self._alive().reshape(-1).tolist())

    def __getitem__(self, key):
        flat = self._alive().reshape(-1)
        if isinstance(key, slice):
            return tuple(flat[key].tolist())
        return flat[_element(key, flat.size)].item()

    def __setitem__(self, key, value) -> None:
        flat = self._alive().reshape(-1)
        if not isinstance(key, slice):
            flat[_element(key, flat.size)] = self._stored(value)
            return
        values = self._stored(value)
        if values.ndim and values.shape != flat[key].shape:
            raise OSError(f"cannot grow or shrink image -- the slice has {flat[key].size} elements, the list "
                          f"{values.size}")
        flat[key] = values

    def _stored(self, value) -> np.ndarray:
        values = np.asarray(value)
        if self.dtype == np.uint8:
            return (values.astype(np.int64) & 0xFF).astype(np.uint8)
        return values.astype(np.float32)

    def __repr__(self) -> str:
        return (f'{{"fmap": "data"=0x{self._alive().ctypes.data:x}, "size"={self.size()}, "index": {self.index()}, '
                f'"w": {self.w()}, "h": {self.h()}, "ch": {self.ch()}, "typecode": {self.typecode()}}}')

    __str__ = __repr__


def _element(key, count: int) -> int:
    if not hasattr(key, "__index__"):
        raise TypeError(f"fmap indices must be integers or slices, not {type(key).__name__}")
    index = key.__index__()
    if not -count <= index < count:
        raise IndexError(f"index {index} is out of range: the fmap has {count} elements")
    return index
