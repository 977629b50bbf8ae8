"""Loader of kmodel v4 (spec/kmodel-format.md section 4)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from ..kpu_record import make_conv, read_record, table_sizes
from ..model import KPU_POOL, KpuConv, KpuUpload, Layer, Model, Tensor, TensorSpec
from ..reader import MAX_DIMENSION, MAX_ELEMENTS, MAX_LAYERS, TRUNCATED, Context, Memory, Reader
from ..shapes import with_map_shapes
from ..v3.loader import TAIL_PADDING
from . import ops
from .body import Body, Range, Shape
from .records import OPCODES, RESIZE_MODES

VERSION = "kmodel v4"
HEADER_BYTES = 40
MAX_SKIP = 4096
MAX_PARTS = 4096
MAX_PROGRAM = 1024
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
        body = Body(context, data, position, min(end, len(data)), place, memory)
        if name not in _PARSERS:
            body.fail("opcode", "is unknown", advice="this operator is not supported: convert the network again with "
                                                     "nncase 0.2, or copy the file again")
        layers.append(_PARSERS[name](body, {"index": i, "name": name, "offset": position, "size": size}))
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
    return TensorSpec(index, tables.tensor(found, shape, found.dtype, write=True))


def _output(tables: Body, index: int) -> TensorSpec:
    found = tables.range(f"output {index}")
    return TensorSpec(index, tables.vector(found, found.dtype))


def _binary(b: Body, base: dict) -> ops.Binary:
    operands = _binary_operands(b, "<f4")
    return ops.Binary(**base, **operands, clamp=b.clamps())


def _binary_operands(b: Body, dtype: str) -> dict:
    x, y, out = b.range("input_a"), b.range("input_b"), b.range("output")
    op = b.choice("binary_op", b.fields("op:I")[0], ops.BINARY_OPS)
    shapes = b.shape("in_a_shape"), b.shape("in_b_shape"), b.shape("out_shape")
    for dims in zip(*shapes, strict=True):
        if dims[0] not in (1, dims[2]) or dims[1] not in (1, dims[2]):
            b.fail("shapes", f"= {shapes} don't broadcast")
    return {"a": b.tensor(x, shapes[0], dtype), "b": b.tensor(y, shapes[1], dtype),
            "out": b.tensor(out, shapes[2], dtype, write=True), "op": op}


def _quantized_binary(b: Body, base: dict) -> ops.QuantizedBinary:
    operands = _binary_operands(b, "u1")
    return ops.QuantizedBinary(**base, **operands, **b.requantize(
        "a_offset a_mul a_shift b_offset b_mul b_shift out_offset out_mul out_shift"))


def _concat(b: Body, base: dict) -> ops.Concat:
    out = b.range("output")
    inner, outer, count = b.fields("inner_size:I outer_size:I inputs_count:I")
    b.within("inputs_count", count, 1, MAX_PARTS)
    ranges = [b.range(f"input {i}") for i in range(count)]
    dims = b.dims("dims", *b.array("dims", "<i4", count).tolist())
    parts = tuple(b.bytes_of(r, outer, inner * d) for r, d in zip(ranges, dims, strict=True))
    return ops.Concat(**base, parts=parts, out=b.bytes_of(out, outer, inner * sum(dims), write=True))


def _conv2d_head(b: Body, dtype: str) -> tuple[dict, Shape, int]:
    """Operands, weight shape (OC, IC/groups, KH, KW) and output channels of conv2d and quantized_conv2d."""
    x, out = b.range("input"), b.range("output")
    n, ic, h, w = b.shape("in_shape")
    groups, oc = b.dims("groups, out_channels", *b.fields("groups:i out_channels:i"))
    if ic % groups or oc % groups:
        b.fail("groups", f"= {groups} does not divide {ic} input and {oc} output channels")
    window = b.window()
    oh, ow = b.windowed(h, w, window)
    weights = (oc, ic // groups, *window.kernel)
    b.work(n * oh * ow * prod(weights))
    operands = {"input": b.tensor(x, (n, ic, h, w), dtype), "out": b.tensor(out, (n, oc, oh, ow), dtype, write=True),
                "groups": groups, "window": window}
    return operands, weights, oc


def _conv2d(b: Body, base: dict) -> ops.Conv2d:
    operands, shape, oc = _conv2d_head(b, "<f4")
    return ops.Conv2d(**base, **operands, clamp=b.clamps(), weights=b.array("weights", "<f4", *shape),
                      bias=b.array("bias", "<f4", oc))


def _quantized_conv2d(b: Body, base: dict) -> ops.QuantizedConv2d:
    operands, shape, oc = _conv2d_head(b, "u1")
    operands |= b.requantize("in_offset filter_offset out_mul out_shift out_offset")
    return ops.QuantizedConv2d(**base, **operands, bias=b.array("bias", "<i4", oc),
                               weights=b.array("weights", "u1", *shape))


def _conv2d_transpose(b: Body, base: dict) -> ops.Conv2dTranspose:
    x, out = b.range("input"), b.range("output")
    in_shape, out_shape = b.shape("in_shape"), b.shape("out_shape")
    (groups,) = b.dims("groups", *b.fields("groups:i"))
    ic, oc = in_shape[1], out_shape[1]
    if ic % groups or oc % groups or in_shape[0] != out_shape[0]:
        b.fail("groups", f"= {groups} does not suit the shapes {in_shape} and {out_shape}")
    window = b.window()
    clamp = b.clamps()
    weights = (groups, oc // groups, ic // groups, *window.kernel)
    b.work(in_shape[0] * in_shape[2] * in_shape[3] * prod(weights))
    return ops.Conv2dTranspose(**base, input=b.tensor(x, in_shape, "<f4"), groups=groups, window=window, clamp=clamp,
                               out=b.tensor(out, out_shape, "<f4", write=True),
                               weights=b.array("weights", "<f4", *weights), bias=b.array("bias", "<f4", oc))


def _quantize(b: Body, base: dict) -> ops.Quantize:
    x, out = b.range("input"), b.range("output")
    zero, scale = b.fields("zero_point:i scale:f")
    source, target = b.vector(x, "<f4"), b.vector(out, "u1", write=True)
    _equal_length(b, source, target)
    return ops.Quantize(**base, input=source, out=target, zero_point=zero, scale=b.finite("scale", scale))


def _dequantize(b: Body, base: dict) -> ops.Dequantize:
    x, out = b.range("input"), b.range("output")
    zero, scale = b.fields("zero_point:i scale:f")
    source, target = b.vector(x, "u1"), b.vector(out, "<f4", write=True)
    _equal_length(b, source, target)
    return ops.Dequantize(**base, input=source, out=target, zero_point=zero, scale=b.finite("scale", scale, zero=False))


def _equal_length(b: Body, source: Tensor, target: Tensor) -> None:
    if source.count != target.count:
        b.fail("output", f"has {target.count} elements, but the input has {source.count}")


def _matmul(b: Body, base: dict) -> ops.Matmul:
    x, y, out = b.range("input_a"), b.range("input_b"), b.range("output")
    rows, cols, b_cols = b.fields("a_rows:i a_cols:i b_cols:i")
    clamp = b.clamps()
    operands = _matmul_tensors(b, (x, y, out), (rows, cols, b_cols), "<f4")
    return ops.Matmul(**base, **operands, clamp=clamp, bias=b.array("bias", "<f4", b_cols))


def _quantized_matmul(b: Body, base: dict) -> ops.QuantizedMatmul:
    x, y, out = b.range("input_a"), b.range("input_b"), b.range("output")
    rows, cols, b_cols = b.fields("a_rows:i a_cols:i b_cols:i")
    factors = b.requantize("a_offset b_offset out_mul out_shift out_offset")
    operands = _matmul_tensors(b, (x, y, out), (rows, cols, b_cols), "u1")
    return ops.QuantizedMatmul(**base, **operands, **factors, bias=b.array("bias", "<i4", b_cols))


def _matmul_tensors(b: Body, ranges: tuple[Range, Range, Range], sizes: Shape, dtype: str) -> dict:
    for size in sizes:
        b.within("a_rows, a_cols, b_cols", size, 1, MAX_ELEMENTS)
    rows, cols, b_cols = sizes
    b.work(rows * cols * b_cols)
    return {"a": b.tensor(ranges[0], (rows, cols), dtype), "b": b.tensor(ranges[1], (cols, b_cols), dtype),
            "out": b.tensor(ranges[2], (rows, b_cols), dtype, write=True)}


def _memory_copy(b: Body, base: dict) -> ops.MemoryCopy:
    x, out = b.range("input"), b.range("output")
    if x.size != out.size or x.size < 4:
        b.fail("output", f"has {out.size} bytes, but the input has {x.size}")
    words = x.size // 4 * 4
    source, target = (r._replace(size=words) for r in (x, out))
    return ops.MemoryCopy(**base, input=b.bytes_of(source, words), out=b.bytes_of(target, words, write=True))


def _pad(b: Body, base: dict) -> ops.Pad:
    x, out = b.range("input"), b.range("output")
    shape = b.shape("in_shape")
    flat = b.fields("n0:i n1:i c0:i c1:i h0:i h1:i w0:i w1:i")
    pads = tuple(zip(flat[::2], flat[1::2], strict=True))
    value = b.array("pad_value", "u1", 8)[4:]
    for size, (before, after) in zip(shape, pads, strict=True):
        if min(before, 0) + min(after, 0) <= -size or max(before, after) > MAX_DIMENSION:
            b.fail("paddings", f"= {pads} don't suit the shape {shape}")
    target = b.dims("padded shape", *(size + sum(p) for size, p in zip(shape, pads, strict=True)))
    dtype = np.dtype(x.dtype)
    return ops.Pad(**base, input=b.tensor(x, shape, x.dtype), out=b.tensor(out, target, x.dtype, write=True),
                   pads=pads, value=np.frombuffer(value[: dtype.itemsize].tobytes(), dtype)[0])


def _reduce(b: Body, base: dict) -> ops.Reduce:
    x, out = b.range("input"), b.range("output")
    op = b.choice("reduce_op", b.fields("op:I")[0], ops.REDUCE_OPS)
    source, target = b.shape("in_shape"), b.shape("out_shape")
    (init,) = b.fields("init:f")
    if any(o not in (1, i) for i, o in zip(source, target, strict=True)):
        b.fail("out_shape", f"= {target} is no reduction of {source}")
    return ops.Reduce(**base, input=b.tensor(x, source, "<f4"), out=b.tensor(out, target, "<f4", write=True), op=op,
                      init=np.float32(init))


def _reduce_window(cls: type, nhwc: bool, kinds: tuple[str, ...]) -> Callable[[Body, dict], Layer]:
    def parse(b: Body, base: dict) -> Layer:
        x, out = b.range("input"), b.range("output")
        op = b.choice("reduce_op", b.fields("op:I")[0], kinds)
        shape = b.shape("in_shape")
        window = b.window()
        (init,) = b.fields("init:f")
        clamp = b.clamps()
        h, w = shape[1:3] if nhwc else shape[2:]
        oh, ow = b.windowed(h, w, window)
        target = (shape[0], oh, ow, shape[3]) if nhwc else (*shape[:2], oh, ow)
        _window_touches_image(b, (h, w), (oh, ow), window)
        b.work(prod(target) * prod(window.kernel))
        return cls(**base, input=b.tensor(x, shape, "<f4"), out=b.tensor(out, target, "<f4", write=True), op=op,
                   window=window, init=np.float32(init), clamp=clamp)
    return parse


def _window_touches_image(b: Body, image: tuple[int, int], out: tuple[int, int], w: ops.Window) -> None:
    """A mean divides by the pixels inside the image, so no window may miss it."""
    for size, count, pad, kernel, stride, dilation in zip(image, out, (w.pad_h, w.pad_w), w.kernel, w.stride,
                                                          w.dilation, strict=True):
        reach = (kernel - 1) * dilation
        # With gaps wider than the image a window can straddle it; then look at each of its positions.
        for index in {0, count - 1} if dilation <= size else range(count):
            first = index * stride - pad[0]
            nearest = first + -(-max(-first, 0) // dilation) * dilation
            if nearest > first + reach or nearest >= size:
                b.fail("padding", f"= {pad} puts a window outside the image")


def _resize_image(b: Body, base: dict) -> ops.ResizeImage:
    x, out = b.range("input"), b.range("output")
    n, c, h, w = b.shape("in_shape")
    oh, ow = b.dims("out_h, out_w", *b.fields("out_h:i out_w:i"))
    mode, align = b.fields("mode:I align_corners:B")
    b.need(3, "padding")
    return ops.ResizeImage(**base, input=b.tensor(x, (n, c, h, w), x.dtype),
                           out=b.tensor(out, (n, c, oh, ow), x.dtype, write=True),
                           mode=b.choice("mode", mode, RESIZE_MODES), align_corners=bool(align))


def _softmax(b: Body, base: dict) -> ops.Softmax:
    x, out = b.range("input"), b.range("output")
    inner, outer, beta = b.fields("inner_size:i outer_size:i beta:f")
    for size in (inner, outer):
        b.within("inner_size, outer_size", size, 1, MAX_ELEMENTS)
    return ops.Softmax(**base, input=b.tensor(x, (outer, inner), "<f4"),
                       out=b.tensor(out, (outer, inner), "<f4", write=True), beta=b.finite("beta", beta))


def _transpose(b: Body, base: dict) -> ops.Transpose:
    x, out = b.range("input"), b.range("output")
    shape = b.shape("in_shape")
    perm = b.fields("p0:i p1:i p2:i p3:i")
    if sorted(perm) != [0, 1, 2, 3]:
        b.fail("perm", f"= {perm} is no permutation of 0..3")
    return ops.Transpose(**base, input=b.tensor(x, shape, x.dtype), perm=perm,
                         out=b.tensor(out, tuple(shape[p] for p in perm), x.dtype, write=True))


def _strided_slice(b: Body, base: dict) -> ops.StridedSlice:
    x, out = b.range("input"), b.range("output")
    shape = b.shape("in_shape")
    begin, end, strides = (b.fields("n:i c:i h:i w:i") for _ in range(3))
    b.fields("begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i")
    if 0 in strides:
        b.fail("strides", f"= {strides} holds a zero")
    visited = [range(*axis) for axis in zip(begin, end, strides, strict=True)]
    for steps, size in zip(visited, shape, strict=True):
        if not len(steps) or not (0 <= steps[0] < size and 0 <= steps[-1] < size):
            b.fail("begin, end", f"= {begin}, {end} is no part of the shape {shape}")
    return ops.StridedSlice(**base, input=b.tensor(x, shape, x.dtype), begin=begin, end=end, strides=strides,
                            out=b.tensor(out, tuple(len(s) for s in visited), x.dtype, write=True))


def _unary(b: Body, base: dict) -> ops.Unary:
    x, out = b.range("input"), b.range("output")
    op = b.choice("unary_op", b.fields("op:I")[0], ops.UNARY_OPS)
    source, target = b.vector(x, "<f4"), b.vector(out, "<f4", write=True)
    _equal_length(b, source, target)
    return ops.Unary(**base, input=source, out=target, op=op)


def _table_lookup1d(b: Body, base: dict) -> ops.TableLookup1d:
    x, table, out = b.range("input"), b.range("table"), b.range("output")
    source, target = b.vector(x, "u1"), b.vector(out, "u1", write=True)
    _equal_length(b, source, target)
    return ops.TableLookup1d(**base, input=source, table=b.tensor(table, (256,), "u1"), out=target)


# Stack entries popped and pushed by each nnil opcode (section 4.5).
_NNIL = ({0x00: (0, 0), 0x01: (1, 2), 0x02: (1, 0), 0x03: (0, 1), 0x04: (0, 1), 0x05: (0, 1), 0x06: (0, 1),
          0x80: (3, 1), 0xA0: (1, 0)}
         | {code: (1, 1) for code in range(0x20, 0x2A)} | {code: (2, 1) for code in range(0x40, 0x46)})
_NNIL_STACK = 64


def _nnil_unary_method(b: Body, base: dict) -> ops.NnilUnaryMethod:
    x, out = b.range("input"), b.range("output")
    source, target = b.vector(x, "<f4"), b.vector(out, "<f4", write=True)
    _equal_length(b, source, target)
    program: list[tuple[int, np.float32 | None]] = []
    depth = 0
    while not program or program[-1][0] != 0xA0:
        (code,) = b.fields("nnil_opcode:B")
        if code not in _NNIL:
            b.fail("nnil opcode", f"= {code:#x} is unknown", offset=b.pos - 1)
        popped, pushed = _NNIL[code]
        depth -= popped
        if depth < 0 or depth + pushed > _NNIL_STACK or len(program) >= MAX_PROGRAM:
            b.fail("nnil program", f"needs a stack outside 0..{_NNIL_STACK} or more than {MAX_PROGRAM} steps")
        depth += pushed
        program.append((code, np.float32(b.fields("immediate:f")[0]) if code == 0x06 else None))
    b.work(len(program) * source.count)
    return ops.NnilUnaryMethod(**base, input=source, out=target, program=tuple(program))


def _cpu_conv2d_head(b: Body, dtype: str, depthwise: bool) -> tuple[dict, Shape, int]:
    """Operands, weight shape and output channels of the four cpu_*conv2d operators (NHWC)."""
    x, out = b.range("input"), b.range("output")
    n, h, w, c = b.shape("in_shape")
    oc = c if depthwise else b.dims("out_channels", *b.fields("out_channels:i"))[0]
    window = b.window()
    oh, ow = b.windowed(h, w, window)
    weights = (oc, *window.kernel) if depthwise else (oc, *window.kernel, c)
    b.work(n * oh * ow * prod(weights))
    return ({"input": b.tensor(x, (n, h, w, c), dtype), "out": b.tensor(out, (n, oh, ow, oc), dtype, write=True),
             "window": window}, weights, oc)


def _cpu_conv(cls: type, depthwise: bool) -> Callable[[Body, dict], Layer]:
    def parse(b: Body, base: dict) -> Layer:
        operands, shape, oc = _cpu_conv2d_head(b, "<f4", depthwise)
        return cls(**base, **operands, clamp=b.clamps(), weights=b.array("weights", "<f4", *shape),
                   bias=b.array("bias", "<f4", oc))
    return parse


def _cpu_quantized_conv(cls: type, depthwise: bool) -> Callable[[Body, dict], Layer]:
    def parse(b: Body, base: dict) -> Layer:
        operands, shape, oc = _cpu_conv2d_head(b, "u1", depthwise)
        operands |= b.requantize("in_offset filter_offset out_mul out_shift out_offset")
        return cls(**base, **operands, weights=b.array("weights", "u1", *shape), bias=b.array("bias", "<i4", oc))
    return parse


def _kpu_upload(b: Body, base: dict) -> KpuUpload:
    x, out = b.range("input"), b.range("output")
    shape = b.shape("shape")
    if out.pool != KPU_POOL:
        b.fail("output", f"is in the {out.pool} memory, not in the KPU's RAM")
    return KpuUpload(**base, input=b.tensor(x, shape, "u1"), out=b.memory.kpu(b, "output", out.start, shape))


def _kpu_conv2d(b: Body, base: dict) -> KpuConv:
    out = b.range("main_mem_output")
    batches, _ = b.fields("batches:i reserved:i")
    b.within("batches", batches, 1, 255)
    d = read_record(b, eight_bit=True)
    skips = {"batch_norm": d.bwsx_base_addr, "activation": d.active_addr, "weights": d.para_start_addr}
    weights, batch_norm, activation = table_sizes(d, eight_bit=True)
    sizes = {"batch_norm": batch_norm, "activation": activation, "weights": weights}
    tables, offsets = {}, {}
    for name in sizes:
        b.need(b.within(f"{name} skip", skips[name], 0, MAX_SKIP - 1), f"{name} skip")
        offsets[name] = b.pos
        tables[name] = b.array(name, "u1", sizes[name])
    order = ("weights", "batch_norm", "activation")
    main_out = b.tensor(out, (batches, *d.out_shape), "u1", write=True) if out.size else None
    return make_conv(b, b.memory, base, d, tuple(tables[n] for n in order), tuple(offsets[n] for n in order),
                     batches=batches, main_out=main_out)


_PARSERS: dict[str, Callable[[Body, dict], Layer]] = {
    "binary": _binary, "concat": _concat, "conv2d": _conv2d, "dequantize": _dequantize, "matmul": _matmul, "pad": _pad,
    "quantize": _quantize, "reduce": _reduce, "memory_copy": _memory_copy,
    "reduce_window2d": _reduce_window(ops.ReduceWindow2d, False, ops.REDUCE_OPS),
    "resize_image": _resize_image, "softmax": _softmax, "transpose": _transpose,
    "strided_slice": _strided_slice, "unary": _unary, "quantized_conv2d": _quantized_conv2d,
    "quantized_matmul": _quantized_matmul, "quantized_binary": _quantized_binary, "table_lookup1d": _table_lookup1d,
    "conv2d_transpose": _conv2d_transpose, "nnil_unary_method": _nnil_unary_method,
    "cpu_conv2d": _cpu_conv(ops.CpuConv2d, False), "cpu_depthwise_conv2d": _cpu_conv(ops.CpuDepthwiseConv2d, True),
    "cpu_reduce_window2d": _reduce_window(ops.CpuReduceWindow2d, True, ops.REDUCE_OPS[:3]),
    "cpu_quantized_conv2d": _cpu_quantized_conv(ops.CpuQuantizedConv2d, False),
    "cpu_quantized_depthwise_conv2d": _cpu_quantized_conv(ops.CpuQuantizedDepthwiseConv2d, True),
    "kpu_upload": _kpu_upload, "kpu_conv2d": _kpu_conv2d,
}
