"""Writer of kmodel v3: the mirror of the loader, by the same tables (spec/kmodel-format.md section 3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ...hw.descriptor import replace
from ...hw.fields import ROW_BYTES
from ..model import KpuConv, Layer, Model
from .records import KLF_MAIN_MEM_OUT, NUMBERS, RECORDS

HEADER_BYTES = 28
TABLE_ALIGN = 128
ACTIVATION_ALIGN = 256
"""Where the vendor's compiler puts the tables of a KPU layer, counted from the file's start (hardware 4.5)."""


def write(model: Model) -> bytes:
    """The bytes of a model; ``load`` gives the model back.

    Takes models of version 3: tensors in the pool main and the AI RAM, operators of ``v3.ops``.
    """
    end = max((t.layouts[-1].base + t.map_rows for layer in model.kpu_layers for t in (layer.input, layer.kpu_out)),
              default=0)
    head = struct.pack("<7I", 3, int(model.eight_bit), 0, len(model.layers), end, model.pools["main"].size,
                       len(model.outputs))
    head += b"".join(struct.pack("<2I", s.tensor.offset, s.tensor.nbytes) for s in model.outputs)
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
    name = layer.name.removeprefix("KL_")
    if name in _SPECIAL:
        return _SPECIAL[name](layer, position)
    parts = [bytes(4)]
    for item in RECORDS[name].split():
        field, kind = item.split(":")
        parts.append(_field(getattr(layer, field) if field else None, kind))
    return b"".join(parts)


def _field(value: Any, kind: str) -> bytes:
    if len(kind) == 1:
        return struct.pack("<" + kind, value)
    if kind[0] == "d":
        return struct.pack("<I", value.shape[int(kind[1:])])
    return _ENCODERS[kind](value)


_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "address": lambda t: struct.pack("<I", t.offset),
    "row": lambda t: struct.pack("<I", t.offset // ROW_BYTES),
    "count": lambda t: struct.pack("<I", t.count),
    "zero": lambda _: bytes(4),
    "f4": lambda a: np.ascontiguousarray(a, "<f4").tobytes(),
    "u1": lambda a: np.ascontiguousarray(a, "u1").tobytes(),
}


def _concat(layer: Any, _: int) -> bytes:
    parts = b"".join(struct.pack("<2I", p.offset, p.count) for p in layer.parts)
    return struct.pack("<3I", 0, layer.out.offset, len(layer.parts)) + parts


def _channelwise_dequantize(layer: Any, _: int) -> bytes:
    pairs = np.stack([layer.scale, layer.bias], 1).astype("<f4")
    return struct.pack("<5I", 0, layer.input.offset, layer.out.offset, *layer.input.shape) + pairs.tobytes()


def _conv(layer: KpuConv, position: int) -> bytes:
    """Offsets, record, then weights, batch norm and activation."""
    body, offsets = b"", []
    start = position + 24 + 96
    for table, alignment in ((layer.weights, TABLE_ALIGN), (layer.batch_norm, TABLE_ALIGN),
                             (layer.activation, ACTIVATION_ALIGN)):
        body += bytes(-(start + len(body)) % alignment)
        offsets.append(start + len(body))
        body += table.tobytes()
    flags, out = (KLF_MAIN_MEM_OUT, layer.main_out.offset) if layer.main_out is not None else (0, 0)
    d = replace(layer.descriptor, bwsx_base_addr=0, active_addr=0, para_start_addr=0)
    return struct.pack("<6I", flags, out, position + 24, *offsets) + struct.pack("<12Q", *d.pack()) + body


_SPECIAL: dict[str, Callable[[Any, int], bytes]] = {
    "CONCAT": _concat, "QUANTIZED_CONCAT": _concat, "CHANNELWISE_DEQUANTIZE": _channelwise_dequantize,
    "K210_CONV": _conv,
}
