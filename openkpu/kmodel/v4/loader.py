# SPDX-License-Identifier: Apache-2.0
"""Loader of kmodel v4 (spec/kmodel-format.md section 4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..model import KPU_POOL, Layer, Model, TensorSpec
from ..reader import MAX_LAYERS, TRUNCATED, Context, Memory, Reader
from ..shapes import with_map_shapes
from ..v3.loader import TAIL_PADDING
from .fields import Body, Range
from .operators import OPCODES, OPERATORS

VERSION = "kmodel v4"
HEADER_BYTES = 40
MAX_TABLE = 256
"""Inputs or outputs of a model."""


class _Header(NamedTuple):
    main: int
    constants: int
    inputs: int
    outputs: int
    nodes: list[tuple[int, int]]
    constants_start: int
    bodies_start: int


def _header(data: memoryview, context: Context) -> _Header:
    r = Reader(context, data, 0, len(data), "header")
    _, _, flags, target, constants, main, nodes, inputs, outputs, _ = r.fields(
        "identifier:I version:I flags:I target:I constants:I main_mem:I nodes:I inputs:I outputs:I reserved:I")
    if target not in (0, 1):
        r.fail("target", f"= {target} is neither 0 (CPU) nor 1 (K210)", offset=12,
               advice="convert the network again for the K210")
    if flags:
        context.warn(f"flags = {flags:#x} is not 0, which is ignored")
    r.within("nodes", nodes, 1, MAX_LAYERS)
    r.within("inputs", inputs, 1, MAX_TABLE)
    r.within("outputs", outputs, 1, MAX_TABLE)
    r.need(16 * (2 * inputs + outputs), "input and output tables")
    start = r.need(constants, "constants")
    headers = [(opcode, size) for opcode, size in r.array("node table", "<u4", nodes, 2).tolist()]
    return _Header(main, constants, inputs, outputs, headers, start, r.pos)


def measure(data: memoryview, context: Context) -> int:
    """Bytes of the model at the start of ``data`` (section 8, raw flash)."""
    header = _header(data, context)
    return header.bodies_start + sum(size for _, size in header.nodes)


def load(data: memoryview, source: str, *, byte_swapped: bool = False) -> Model:
    """Parse and check a whole v4 model; ModelError says what is wrong."""
    context = Context(source, VERSION)
    header = _header(data, context)
    memory = Memory(context)
    tables = Body(context, data, HEADER_BYTES, header.constants_start, "table", memory)
    memory.add(tables, "main_mem", "main", header.main)
    memory.add(tables, "constants", "const", header.constants,
               np.frombuffer(data, "u1", header.constants, header.constants_start))
    ranges = [tables.range(f"input {i}") for i in range(header.inputs)]
    inputs = [_input(tables, i, found) for i, found in enumerate(ranges)]
    outputs = [_output(tables, i) for i in range(header.outputs)]

    layers: list[Layer] = []
    position = header.bodies_start
    for i, (opcode, size) in enumerate(header.nodes):
        name = OPCODES.get(opcode, f"{opcode:#x}")
        place = f"node {i} {name}"
        end = position + size
        if end > len(data) + (TAIL_PADDING if i == len(header.nodes) - 1 else 0):
            context.fail(f"{place} at byte {position:#x}: body_size = {size} ends behind the file ({len(data)} bytes)",
                         offset=position, field="body_size", advice=TRUNCATED)
        base = {"index": i, "name": name, "offset": position, "size": size}
        body = Body(context, data, position, min(end, len(data)), place, memory, base)
        if name not in OPERATORS:
            body.fail("opcode", "is unknown", advice="this operator is not supported: convert the network again with "
                                                     "nncase 0.2, or copy the file again")
        body.read_record(OPERATORS[name].record)
        layers.append(OPERATORS[name].build(body))
        position = end
    end = min(position, len(data))
    if end < len(data):
        context.warn(f"{len(data) - end} bytes behind the model are ignored")
    return Model(source=source, version=4, image=bytes(data[:end]), pools=memory.pools, inputs=tuple(inputs),
                 outputs=with_map_shapes(outputs, layers), layers=tuple(layers), byte_swapped=byte_swapped,
                 warnings=tuple(context.warnings))


def _input(tables: Body, index: int, found: Range) -> TensorSpec:
    shape = tables.shape(f"input {index} shape")
    if found.pool == KPU_POOL:
        if found.dtype != "u1":
            tables.fail(found.field, "is float32 in the KPU's RAM, which holds uint8 only")
        return TensorSpec(index, tables.memory.kpu(tables, found.field, found.start, shape))
    return TensorSpec(index, tables.placed(found, shape, found.dtype, write=True))


def _output(tables: Body, index: int) -> TensorSpec:
    found = tables.range(f"output {index}")
    return TensorSpec(index, tables.vector(found, found.dtype))
