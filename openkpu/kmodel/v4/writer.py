# SPDX-License-Identifier: Apache-2.0
"""Writer of kmodel v4: the mirror of the loader, by the same tables (spec/kmodel-format.md section 4)."""

from __future__ import annotations

import struct

from ..model import Layer, Model
from ..record import write_record
from .fields import encode, encode_range, encode_shape
from .operators import OPCODES, OPERATORS

IDENTIFIER = 0x4B4D444C
K210 = 1
_NUMBERS = {name: number for number, name in OPCODES.items()}


def write(model: Model) -> bytes:
    """The bytes of a model; ``load`` gives the model back.

    Takes models of version 4: tensors in the pools main, const and kpu, operators of ``v4.ops``.
    """
    const = model.pools["const"].data if "const" in model.pools else None
    constants = b"" if const is None else const.tobytes()
    head = struct.pack("<10I", IDENTIFIER, 4, 0, K210, len(constants), model.pools["main"].size, len(model.layers),
                       len(model.inputs), len(model.outputs), 0)
    head += b"".join(encode_range(s.tensor) for s in model.inputs)
    head += b"".join(encode_shape(s.tensor.shape) for s in model.inputs)
    head += b"".join(encode_range(s.tensor) for s in model.outputs) + constants
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
    return write_record(layer, operator.record, encode)
