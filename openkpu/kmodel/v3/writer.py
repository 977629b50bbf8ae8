# SPDX-License-Identifier: Apache-2.0
"""Writer of kmodel v3: the mirror of the loader, by the same tables (spec/kmodel-format.md section 3)."""

from __future__ import annotations

import struct

from ..model import Layer, Model
from ..record import write_record
from .fields import encode
from .operators import LAYER_TYPES, OPERATORS

_NUMBERS = {name: number for number, name in LAYER_TYPES.items()}


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
        headers.append(struct.pack("<2I", _NUMBERS[layer.name], len(body)))
        bodies.append(body)
        position += len(body)
    return b"".join([head, *headers, *bodies])


def _body(layer: Layer, position: int) -> bytes:
    operator = OPERATORS[layer.name]
    if operator.write is not None:
        return operator.write(layer, position)
    return bytes(4) + write_record(layer, operator.record, encode)
