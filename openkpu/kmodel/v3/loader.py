# SPDX-License-Identifier: Apache-2.0
"""Loader of kmodel v3 (spec/kmodel-format.md section 3)."""

from __future__ import annotations

from ..model import KpuConv, Layer, Model, TensorSpec
from ..reader import MAX_LAYERS, TRUNCATED, Context, Memory, Reader
from ..shapes import with_map_shapes
from .fields import Body
from .operators import K210_CONV, LAYER_TYPES, OPERATORS
from .operators.kpu import conv_end
from .operators.reduction import FullyConnected

VERSION = "kmodel v3"
HEADER_BYTES = 28
TAIL_PADDING = 7
"""Bytes of padding behind the last body that real files may lack (section 3.1)."""


def _tables(data: memoryview, context: Context) -> tuple[tuple[int, ...], list[tuple[int, int]], list[tuple[int, int]]]:
    """(flags, main memory), output entries and (type, body size) pairs."""
    r = Reader(context, data, 0, len(data), "header")
    _, flags, arch, layers, _, main, outputs = r.fields(
        "version:I flags:I arch:I layers_length:I max_start_address:I main_mem_usage:I output_count:I")
    if arch != 0:
        r.fail("arch", f"= {arch} is not 0 (K210)", offset=8)
    if flags > 1:
        context.warn(f"flags = {flags:#x} has unknown bits, which are ignored")
    r.within("layers_length", layers, 1, MAX_LAYERS)
    r.within("output_count", outputs, 1, MAX_LAYERS)
    out_table = r.array("output table", "<u4", outputs, 2).tolist()
    headers = r.array("layer table", "<u4", layers, 2).tolist()
    return (flags, main), [tuple(o) for o in out_table], [tuple(h) for h in headers]


def measure(data: memoryview, context: Context) -> int:
    """Bytes of the model at the start of ``data`` (section 8, raw flash)."""
    (flags, _), outputs, headers = _tables(data, context)
    position = HEADER_BYTES + 8 * (len(outputs) + len(headers))
    end = position + sum(size for _, size in headers)
    for kind, size in headers:
        if kind == K210_CONV and position + 24 <= len(data):
            end = max(end, conv_end(Reader(context, data, position, position + 24, "K210_CONV"), bool(flags & 1)))
        position += size
    return end


def load(data: memoryview, source: str, *, byte_swapped: bool = False) -> Model:
    """Parse and check a whole v3 model; ModelError says what is wrong."""
    context = Context(source, VERSION)
    (flags, main), outputs, headers = _tables(data, context)
    head = Reader(context, data, 20, HEADER_BYTES, "header")
    memory = Memory(context)
    memory.add(head, "main_mem_usage", "main", main)
    specs = [_output(head, memory, i, *entry) for i, entry in enumerate(outputs)]

    eight_bit = bool(flags & 1)
    position = HEADER_BYTES + 8 * (len(outputs) + len(headers))
    layers: list[Layer] = []
    end = position
    for i, (kind, size) in enumerate(headers):
        place = f"layer {i} {LAYER_TYPES.get(kind, kind)}"
        slack = TAIL_PADDING if i == len(headers) - 1 else 0
        if position + size > len(data) + slack:
            context.fail(f"{place} at byte {position:#x}: body_size = {size} ends behind the file ({len(data)} bytes)",
                         offset=position, field="body_size", advice=TRUNCATED)
        name = LAYER_TYPES.get(kind, "")
        base = {"index": i, "name": name, "offset": position, "size": size}
        body = Body(context, data, position, min(position + size, len(data)), place, memory, base, eight_bit)
        if name not in OPERATORS:
            body.fail("type", f"= {kind} has no known body",
                      advice="this layer is not supported: convert the network again with nncase 0.1 to 1.9, or copy "
                             "the file again")
        body.read_record(OPERATORS[name].record)
        layer = OPERATORS[name].build(body)
        layers.append(layer)
        position += size
        end = max(end, position)
        if isinstance(layer, KpuConv):
            end = max(end, layer.weights_offset + layer.weights.size, layer.batch_norm_offset + layer.batch_norm.size,
                      layer.activation_offset + layer.activation.size)
    end = min(end, len(data))
    if end < len(data):
        context.warn(f"{len(data) - end} bytes behind the model are ignored")
    inputs = (_input(context, layers[0]),)
    return Model(source=source, version=3, image=bytes(data[:end]), pools=memory.pools, inputs=inputs,
                 outputs=with_map_shapes(specs, layers), layers=tuple(layers), eight_bit=eight_bit,
                 byte_swapped=byte_swapped, warnings=tuple(context.warnings))


def _output(r: Reader, memory: Memory, index: int, address: int, size: int) -> TensorSpec:
    if size == 0 or size % 4:
        r.fail(f"output {index} size", f"= {size} is not a positive multiple of 4")
    return TensorSpec(index, memory.tensor(r, f"output {index} address", "main", address, "<f4", (size // 4,)))


def _input(context: Context, first: Layer) -> TensorSpec:
    if isinstance(first, KpuConv):
        return TensorSpec(0, first.input)
    if isinstance(first, FullyConnected):
        t = first.input
        return TensorSpec(0, type(t)(t.pool, t.offset, t.dtype, (1, *t.shape)))
    context.fail(f"cannot determine the input: the first layer is {first.name}, neither KL_K210_CONV nor "
                 "KL_FULLY_CONNECTED", offset=first.offset, field="type")
