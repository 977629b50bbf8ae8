# SPDX-License-Identifier: Apache-2.0
"""Bodies of v3 and v4 operators: a table of fields for each, from which the loader reads and the writer writes.

A record is a list of ``name:kind``. ``name`` is a field of the operator's class, empty for what nobody reads; the kinds
are the format's (``v3.fields``, ``v4.fields``). Arrays (kinds of ``ARRAYS``) come last: their shapes follow from the
rest, so the operator's own checks read them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .model import Layer
from .reader import Reader

ARRAYS = {"f4": "<f4", "i4": "<i4", "u1": "u1"}


class Operator(NamedTuple):
    """How an operator lies in the file, and what makes a layer of it.

    Attributes
    ----------
    record : its fields; what ``build`` reads by itself is not in it.
    build : checks the fields and makes the layer.
    write : the body of a layer at a position of the file; None where the record is the whole body.
    """

    record: str
    build: Callable[[Any], Layer]
    write: Callable[[Any, int], bytes] | None = None


@lru_cache(maxsize=256)
def _items(record: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.split(":") for item in record.split())
    return tuple((name, kind) for name, kind in pairs)


class RecordReader(Reader):
    """A reader of one body.

    Attributes
    ----------
    args : the fields that have been read: ``name`` for values, ``name.kind`` for what describes a tensor.
    """

    def read_record(self, record: str) -> None:
        """Read everything in front of the arrays into ``args``."""
        self.args: dict[str, Any] = {}
        self._arrays = [item for item in _items(record) if item[1] in ARRAYS]
        for name, kind in _items(record)[: len(_items(record)) - len(self._arrays)]:
            self.read_field(name, kind)

    def read_field(self, name: str, kind: str) -> None:
        """Read one field into ``args``."""
        raise NotImplementedError

    def constant(self, name: str, *shape: int) -> np.ndarray:
        """The next array of the record, which is called ``name``."""
        expected, kind = self._arrays.pop(0)
        assert name == expected, f"the record has {expected} here"
        return self.array(name, ARRAYS[kind], *shape)


def write_record(layer: Layer, record: str, encode: Callable[[Any, str], bytes]) -> bytes:
    """The bytes of a layer's fields; ``encode`` knows the kinds that are no arrays."""
    body = b""
    for name, kind in _items(record):
        value = getattr(layer, name) if name else None
        if kind in ARRAYS:
            assert value is not None
            body += np.ascontiguousarray(value, ARRAYS[kind]).tobytes()
        else:
            body += encode(value, kind)
    return body
