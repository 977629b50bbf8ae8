# SPDX-License-Identifier: Apache-2.0
"""Results of image methods: tuples whose fields are methods too, as OpenMV's objects are."""

from __future__ import annotations

import json

import numpy as np


class Record(tuple):
    """Base of the result types; ``fields`` are the names of the tuple's entries.

    An entry is read as ``r[0]`` or ``r.x()``; a slice is a tuple.
    """

    fields: tuple[str, ...] = ()

    def __new__(cls, *values, **more):
        record = super().__new__(cls, values)
        record.__dict__.update({f"_{name}": value for name, value in more.items()})
        return record

    def __init__(self, *values, **more):
        """Fields and further values are set by ``__new__``."""

    def __init_subclass__(cls) -> None:
        for position, name in enumerate(cls.fields):
            if name not in cls.__dict__:
                setattr(cls, name, _field(position, name))

    def rect(self) -> tuple[int, int, int, int]:
        """(x, y, w, h)."""
        return tuple(self[:4])

    def corners(self) -> tuple[tuple[int, int], ...]:
        """The four corners, clockwise from the top left."""
        return self.__dict__.get("_corners") or _box(*self[:4])

    def __repr__(self) -> str:
        return json.dumps(dict(zip(self.fields, self, strict=False)))


def _box(x, y, w, h):
    return (x, y), (x + w - 1, y), (x + w - 1, y + h - 1), (x, y + h - 1)


def _field(position: int, name: str):
    def value(self):
        return self[position]

    value.__name__, value.__doc__ = name, f"Entry {position}."
    return value


class Blob(Record):
    """A patch of one colour; ``code`` has a bit for each threshold it fits, ``count`` is how many were merged."""

    _centre: np.ndarray
    _moments: tuple[float, ...]
    _elongation: float
    fields = ("x", "y", "w", "h", "pixels", "cx", "cy", "rotation", "code", "count")

    def area(self) -> int:
        """Pixels of the bounding box."""
        return self[2] * self[3]

    def density(self) -> float:
        """Pixels of the blob by pixels of its box."""
        return self[4] / self.area()

    extent = density

    def cxf(self) -> float:
        """Centre, not rounded."""
        return float(self._centre[0])

    def cyf(self) -> float:
        """Centre, not rounded."""
        return float(self._centre[1])

    def rotation_deg(self) -> int:
        """Direction in degrees."""
        return int(self[7] * 57.29578)

    def elongation(self) -> float:
        """0 round ... 1 a line."""
        return self._elongation

    def compactness(self) -> float:
        """As ``density``."""
        return self.density()

    def roundness(self) -> float:
        """1 minus ``elongation``."""
        return 1 - self._elongation

    def solidity(self) -> float:
        """As ``density``."""
        return self.density()

    def perimeter(self) -> int:
        """Of the bounding box."""
        return 2 * (self[2] + self[3])


class Code(Record):
    """A QR code."""

    fields = ("x", "y", "w", "h", "payload", "version", "ecc_level", "mask", "data_type", "eci")

    def is_numeric(self) -> bool:
        """Whether the text is a number."""
        return self[4].isdigit()

    def is_alphanumeric(self) -> bool:
        """Whether the text has letters and digits only."""
        return self[4].isalnum()

    def is_binary(self) -> bool:
        """Whether it is neither."""
        return not self.is_alphanumeric()

    def is_kanji(self) -> bool:
        """False."""
        return False


class BarCode(Record):
    """A bar code; ``type`` is one of the ``image`` constants, EAN13 where the reader does not tell."""

    fields = ("x", "y", "w", "h", "payload", "type", "rotation", "quality")


class Tag(Record):
    """An AprilTag of family TAG36H11; the camera's position is not computed."""

    fields = ("x", "y", "w", "h", "id", "family", "cx", "cy", "rotation", "decision_margin", "hamming", "goodness",
              "x_translation", "y_translation", "z_translation", "x_rotation", "y_rotation", "z_rotation")


class Circle(Record):
    """A circle."""

    fields = ("x", "y", "r", "magnitude")

    def circle(self) -> tuple[int, int, int]:
        """(x, y, r)."""
        return tuple(self[:3])


class Line(Record):
    """A line; ``theta`` in degrees 0...179 and ``rho`` as in the Hough transform."""

    fields = ("x1", "y1", "x2", "y2", "length", "magnitude", "theta", "rho")

    def line(self) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2)."""
        return tuple(self[:4])


class Rect(Record):
    """A quadrangle."""

    fields = ("x", "y", "w", "h", "magnitude")
