"""Writer of kmodel v4: the mirror of the loader, by the same tables (spec/kmodel-format.md section 4)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import gcd
from typing import Any

import numpy as np

from ...hw.descriptor import replace
from ...hw.fields import ROW_BYTES
from ..model import KPU_POOL, KpuConv, Layer, Model, Tensor
from .ops import Window
from .records import DTYPES, ENUMERATIONS, NUMBERS, POOLS, RECORDS

IDENTIFIER = 0x4B4D444C
K210 = 1
TABLE_ALIGN = 256
"""Where the vendor's compiler puts the tables of a KPU layer, counted from the file's start (section 4.6)."""


def write(model: Model) -> bytes:
    """The bytes of a model; ``load`` gives the model back.

    Takes models of version 4: tensors in the pools main, const and kpu, operators of ``v4.ops``.
    """
    const = model.pools["const"].data if "const" in model.pools else None
    constants = b"" if const is None else const.tobytes()
    head = struct.pack("<10I", IDENTIFIER, 4, 0, K210, len(constants), model.pools["main"].size, len(model.layers),
                       len(model.inputs), len(model.outputs), 0)
    head += b"".join(_range(s.tensor) for s in model.inputs) + b"".join(_shape(s.tensor.shape) for s in model.inputs)
    head += b"".join(_range(s.tensor) for s in model.outputs) + constants
    position = len(head) + 8 * len(model.layers)
    headers, bodies = [], []
    for layer in model.layers:
        body = _body(layer, position)
        body += bytes(-(position + len(body)) % 8)
        headers.append(struct.pack("<2I", NUMBERS[layer.name], len(body)))
        bodies.append(body)
        position += len(body)
    return b"".join([head, *headers, *bodies])


def _body(layer: Layer, position: int) -> bytes:
    if layer.name in _SPECIAL:
        return _SPECIAL[layer.name](layer, position)
    parts = []
    for item in RECORDS[layer.name].split():
        name, kind = item.split(":")
        parts.append(_field(getattr(layer, name) if name else None, kind))
    return b"".join(parts)


def _field(value: Any, kind: str) -> bytes:
    if kind in ENUMERATIONS:
        return struct.pack("<I", ENUMERATIONS[kind].index(value))
    if len(kind) == 1:
        return struct.pack("<" + kind, value)
    if kind in _DIMENSION:
        return struct.pack("<i", value.shape[_DIMENSION[kind]])
    return _ENCODERS[kind](value)


_DIMENSION = {"rows": 0, "cols": 1, "channels": 1, "height": 2, "width": 3, "depth": 3}


def _range(t: Tensor | None) -> bytes:
    """A memory range; maps in the AI RAM take whole rows. None gives the empty range."""
    if t is None:
        return bytes(16)
    size = t.map_rows * t.shape[0] * ROW_BYTES if t.pool == KPU_POOL else t.nbytes
    dtype = DTYPES.index("<f4" if t.dtype == np.float32 else "u1")
    return struct.pack("<4I", POOLS.index(t.pool), dtype, t.offset, size)


def _shape(shape: tuple[int, ...]) -> bytes:
    return struct.pack("<4i", *shape)


def _window(w: Window) -> bytes:
    return struct.pack("<10i", *w.pad_h, *w.pad_w, *w.kernel, *w.stride, *w.dilation)


def _value(value: np.number) -> bytes:
    return struct.pack("<I", 0) + value.tobytes().ljust(4, b"\0")


_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "range": _range,
    "shape": lambda t: _shape(t.shape),
    "dims": _shape,
    "clamp": lambda c: struct.pack("<2f", *c),
    "window": _window,
    "pads": lambda p: struct.pack("<8i", *(n for pair in p for n in pair)),
    "masks": lambda _: bytes(20),
    "flag": lambda f: struct.pack("<B3x", bool(f)),
    "value": _value,
    "f4": lambda a: np.ascontiguousarray(a, "<f4").tobytes(),
    "i4": lambda a: np.ascontiguousarray(a, "<i4").tobytes(),
    "u1": lambda a: np.ascontiguousarray(a, "u1").tobytes(),
}


def _concat(layer: Any, _: int) -> bytes:
    """Widths of the parts as multiples of their greatest common divisor, the inner size."""
    inner = gcd(*(p.shape[1] for p in layer.parts))
    head = _range(layer.out) + struct.pack("<3I", inner, layer.out.shape[0], len(layer.parts))
    return head + b"".join(map(_range, layer.parts)) + b"".join(
        struct.pack("<i", p.shape[1] // inner) for p in layer.parts)


def _program(layer: Any, _: int) -> bytes:
    code = b"".join(bytes((op,)) + (b"" if value is None else struct.pack("<f", value)) for op, value in layer.program)
    return _range(layer.input) + _range(layer.out) + code


def _conv(layer: KpuConv, position: int) -> bytes:
    """Range, batches, record, then the tables; the record's address fields say how many bytes to skip before each."""
    head = _range(layer.main_out) + struct.pack("<2i", layer.batches, 0)
    at = position + len(head) + 96
    skips, tables = [], b""
    for table in (layer.batch_norm, layer.activation, layer.weights):
        skips.append(-(at + len(tables)) % TABLE_ALIGN)
        tables += bytes(skips[-1]) + table.tobytes()
    d = replace(layer.descriptor, bwsx_base_addr=skips[0], active_addr=skips[1], para_start_addr=skips[2])
    return head + struct.pack("<12Q", *d.pack()) + tables


_SPECIAL: dict[str, Callable[[Any, int], bytes]] = {
    "concat": _concat, "nnil_unary_method": _program, "kpu_conv2d": _conv,
}
