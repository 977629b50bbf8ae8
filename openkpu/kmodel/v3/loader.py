"""Loader of kmodel v3 (spec/kmodel-format.md section 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...hw.descriptor import Descriptor
from ..kpu_record import RECORD_BYTES, make_conv, read_record, table_sizes
from ..model import KpuConv, KpuUpload, Layer, Model, TensorSpec
from ..reader import MAX_ELEMENTS, MAX_LAYERS, TRUNCATED, Context, Memory, Reader
from ..shapes import with_map_shapes
from . import ops
from .records import K210_CONV, KLF_MAIN_MEM_OUT, LAYER_TYPES

VERSION = "kmodel v3"
HEADER_BYTES = 28
TAIL_PADDING = 7
"""Bytes of padding behind the last body that real files may lack (section 3.1)."""

MAX_CONCAT = 4096
MAX_KERNEL = 1024


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
            end = max(end, _conv_end(Reader(context, data, position, position + 24, "K210_CONV"), bool(flags & 1)))
        position += size
    return end


def _conv_end(r: Reader, eight_bit: bool) -> int:
    """End of the last table of a K210_CONV body, which may lie anywhere; the record's own checks come later."""
    _, _, layer, *tables = r.fields("flags:I out:I layer:I weights:I bn:I act:I")
    if layer + RECORD_BYTES > len(r.data):
        return layer + RECORD_BYTES
    d = Descriptor.unpack(r.data[layer: layer + RECORD_BYTES])
    sizes = table_sizes(d, eight_bit=eight_bit)
    return max(layer + RECORD_BYTES, *(start + size for start, size in zip(tables, sizes, strict=True)))


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
        r = Reader(context, data, position, min(position + size, len(data)), place)
        if kind not in _PARSERS:
            r.fail("type", f"= {kind} has no known body", advice="this layer is not supported: convert the network "
                                                                 "again with nncase 0.1 to 1.9, or copy the file again")
        base = {"index": i, "name": LAYER_TYPES[kind], "offset": position, "size": size}
        layer = _PARSERS[kind](r, memory, base, eight_bit)
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
    if isinstance(first, ops.FullyConnected):
        t = first.input
        return TensorSpec(0, type(t)(t.pool, t.offset, t.dtype, (1, *t.shape)))
    context.fail(f"cannot determine the input: the first layer is {first.name}, neither KL_K210_CONV nor "
                 "KL_FULLY_CONNECTED", offset=first.offset, field="type")


def _add(r: Reader, memory: Memory, base: dict, _: bool) -> ops.Add:
    flags, a, b, out, count = r.fields("flags:I in_a:I in_b:I out:I count:I")
    return ops.Add(**base, a=memory.tensor(r, "in_a", "main", a, "<f4", (count,)),
                   b=memory.tensor(r, "in_b", "main", b, "<f4", (count,)),
                   out=memory.tensor(r, "out", "main", out, "<f4", (count,), write=True))


def _quantized_add(r: Reader, memory: Memory, base: dict, _: bool) -> ops.QuantizedAdd:
    flags, a, b, out, count = r.fields("flags:I in_a:I in_b:I out:I count:I")
    names = ("a_offset", "a_mul", "a_shift", "b_offset", "b_mul", "b_shift", "o_offset", "o_mul", "o_shift")
    values = dict(zip(names, r.fields(" ".join(f"{n}:i" for n in names)), strict=True))
    for name in ("a_shift", "b_shift", "o_shift"):
        r.within(name, values[name], 0, 62)
    return ops.QuantizedAdd(**base, a=memory.tensor(r, "in_a", "main", a, "u1", (count,)),
                            b=memory.tensor(r, "in_b", "main", b, "u1", (count,)),
                            out=memory.tensor(r, "out", "main", out, "u1", (count,), write=True), **values)


def _global_average_pool(r: Reader, memory: Memory, base: dict, _: bool) -> ops.GlobalAveragePool2d:
    flags, inp, out, kernel, channels = r.fields("flags:I in:I out:I kernel_size:I channels:I")
    return ops.GlobalAveragePool2d(**base, input=memory.tensor(r, "in", "main", inp, "<f4", (channels, kernel)),
                                   out=memory.tensor(r, "out", "main", out, "<f4", (channels,), write=True))


def _pool(r: Reader, memory: Memory, base: dict, dtype: str) -> dict:
    (flags, inp, out, iw, ih, ic, ow, oh, oc, kw, kh, sw, sh, pw, ph) = r.fields(
        "flags:I in:I out:I in_w:I in_h:I in_c:I out_w:I out_h:I out_c:I kernel_w:I kernel_h:I stride_w:I stride_h:I "
        "pad_w:I pad_h:I")
    r.dims("in_w, in_h, in_c, out_w, out_h", iw, ih, ic, ow, oh)
    if oc != ic:
        r.fail("out_c", f"= {oc} differs from in_c = {ic}")
    for field, value in (("kernel_w", kw), ("kernel_h", kh), ("stride_w", sw), ("stride_h", sh)):
        r.within(field, value, 1, MAX_KERNEL)
    # Otherwise a window lies wholly outside the image, and its mean would be 0/0.
    if pw >= kw or ph >= kh or (ow - 1) * sw - pw >= iw or (oh - 1) * sh - ph >= ih:
        r.fail("pad, stride, out size", f"= pad {pw},{ph}, stride {sw},{sh}, {ow}x{oh} puts a window outside "
                                        f"the {iw}x{ih} image")
    work = oc * oh * ow * kh * kw
    if work > MAX_ELEMENTS:
        r.fail("kernel, out size", f"= {kw}x{kh}, {ow}x{oh}x{oc} needs {work} steps")
    memory.context.spend(work=work)
    return {**base, "input": memory.tensor(r, "in", "main", inp, dtype, (ic, ih, iw)),
            "out": memory.tensor(r, "out", "main", out, dtype, (oc, oh, ow), write=True),
            "kernel_w": kw, "kernel_h": kh, "stride_w": sw, "stride_h": sh, "pad_w": pw, "pad_h": ph}


def _quantized_max_pool(r: Reader, memory: Memory, base: dict, _: bool) -> ops.QuantizedMaxPool2d:
    return ops.QuantizedMaxPool2d(**_pool(r, memory, base, "u1"))


def _average_pool(r: Reader, memory: Memory, base: dict, _: bool) -> ops.AveragePool2d:
    operands = _pool(r, memory, base, "<f4")
    return ops.AveragePool2d(**operands, act=r.fields("act:I")[0])


def _affine(cls: type, source: str, target: str, scale_may_be_zero: bool) -> Callable:
    def parse(r: Reader, memory: Memory, base: dict, _: bool) -> Layer:
        flags, inp, out, count, scale, bias = r.fields("flags:I in:I out:I count:I scale:f bias:f")
        return cls(**base, input=memory.tensor(r, "in", "main", inp, source, (count,)),
                   out=memory.tensor(r, "out", "main", out, target, (count,), write=True),
                   scale=r.finite("scale", scale, zero=scale_may_be_zero), bias=r.finite("bias", bias))
    return parse


def _requantize(r: Reader, memory: Memory, base: dict, _: bool) -> ops.Requantize:
    flags, inp, out, count = r.fields("flags:I in:I out:I count:I")
    return ops.Requantize(**base, input=memory.tensor(r, "in", "main", inp, "u1", (count,)),
                          out=memory.tensor(r, "out", "main", out, "u1", (count,), write=True),
                          table=r.array("table", "u1", 256))


def _vector(cls: type) -> Callable:
    def parse(r: Reader, memory: Memory, base: dict, _: bool) -> Layer:
        flags, inp, out, channels = r.fields("flags:I in:I out:I channels:I")
        return cls(**base, input=memory.tensor(r, "in", "main", inp, "<f4", (channels,)),
                   out=memory.tensor(r, "out", "main", out, "<f4", (channels,), write=True))
    return parse


def _concat(r: Reader, memory: Memory, base: dict, _: bool) -> ops.Concat:
    flags, out, count = r.fields("flags:I out:I input_count:I")
    r.within("input_count", count, 1, MAX_CONCAT)
    ranges = r.array("inputs", "<u4", count, 2).tolist()
    parts = tuple(memory.tensor(r, f"input {i}", "main", start, "u1", (n,)) for i, (start, n) in enumerate(ranges))
    return ops.Concat(**base, parts=parts,
                      out=memory.tensor(r, "out", "main", out, "u1", (sum(p.count for p in parts),), write=True))


def _fully_connected(r: Reader, memory: Memory, base: dict, _: bool) -> ops.FullyConnected:
    flags, inp, out, ic, oc, act = r.fields("flags:I in:I out:I in_channels:I out_channels:I act:I")
    r.within("act", act, 0, 2)
    return ops.FullyConnected(**base, input=memory.tensor(r, "in", "main", inp, "<f4", (ic,)),
                              out=memory.tensor(r, "out", "main", out, "<f4", (oc,), write=True), act=act,
                              weights=r.array("weights", "<f4", oc, ic), bias=r.array("bias", "<f4", oc))


def _flatten(r: Reader, memory: Memory, base: dict, _: bool) -> ops.TensorflowFlatten:
    flags, inp, out, w, h, c = r.fields("flags:I in:I out:I width:I height:I channels:I")
    r.dims("width, height, channels", w, h, c)
    return ops.TensorflowFlatten(**base, input=memory.tensor(r, "in", "main", inp, "<f4", (c, h, w)),
                                 out=memory.tensor(r, "out", "main", out, "<f4", (h, w, c), write=True))


def _resize(dtype: str) -> Callable:
    def parse(r: Reader, memory: Memory, base: dict, _: bool) -> ops.ResizeNearestNeighbor:
        flags, inp, out, iw, ih, c, ow, oh, _align = r.fields(
            "flags:I in:I out:I in_w:I in_h:I in_c:I out_w:I out_h:I align_corners:I")
        r.dims("in_w, in_h, in_c, out_w, out_h", iw, ih, c, ow, oh)
        return ops.ResizeNearestNeighbor(**base, input=memory.tensor(r, "in", "main", inp, dtype, (c, ih, iw)),
                                         out=memory.tensor(r, "out", "main", out, dtype, (c, oh, ow), write=True))
    return parse


def _channelwise_dequantize(r: Reader, memory: Memory, base: dict, _: bool) -> ops.ChannelwiseDequantize:
    flags, inp, out, channels, size = r.fields("flags:I in:I out:I channels:I channel_size:I")
    source = memory.tensor(r, "in", "main", inp, "u1", (channels, size))
    pairs = r.array("scale, bias", "<f4", channels, 2)
    if not np.isfinite(pairs).all():
        r.fail("scale, bias", "hold infinities or NaN")
    return ops.ChannelwiseDequantize(**base, input=source, scale=pairs[:, 0], bias=pairs[:, 1],
                                     out=memory.tensor(r, "out", "main", out, "<f4", (channels, size), write=True))


def _conv(r: Reader, memory: Memory, base: dict, eight_bit: bool) -> KpuConv:
    flags, main_out, layer, *offsets = r.fields(
        "flags:I main_mem_out:I layer_offset:I weights_offset:I bn_offset:I act_offset:I")
    d = read_record(r.at(layer, RECORD_BYTES, "layer_offset"), eight_bit=eight_bit)
    sizes = table_sizes(d, eight_bit=eight_bit)
    names = ("weights_offset", "bn_offset", "act_offset")
    tables = tuple(r.at(o, n, f).array(f, "u1", n) for o, n, f in zip(offsets, sizes, names, strict=True))
    to_main = bool(flags & KLF_MAIN_MEM_OUT)
    out = None
    if to_main:
        out = memory.tensor(r, "main_mem_out", "main", main_out, "u1", (1, *d.out_shape), write=True)
    return make_conv(r, memory, base, d, tables, tuple(offsets), eight_bit=eight_bit, main_out=out, stream=to_main)


def _add_padding(r: Reader, memory: Memory, base: dict, _: bool) -> ops.AddPadding:
    flags, inp, out, channels = r.fields("flags:I in:I out:I channels:I")
    return ops.AddPadding(**base, input=memory.tensor(r, "in", "main", inp, "u1", (channels,)),
                          out=memory.kpu(r, "out", out * 64, (1, channels, 4, 4)))


def _remove_padding(r: Reader, memory: Memory, base: dict, _: bool) -> ops.RemovePadding:
    flags, inp, out, channels = r.fields("flags:I in:I out:I channels:I")
    return ops.RemovePadding(**base, input=memory.tensor(r, "in", "main", inp, "u1", (channels, 4, 4)),
                             out=memory.tensor(r, "out", "main", out, "u1", (channels,), write=True))


def _upload(r: Reader, memory: Memory, base: dict, _: bool) -> KpuUpload:
    flags, inp, out, w, h, c = r.fields("flags:I in:I out:I width:I height:I channels:I")
    r.dims("width, height, channels", w, h, c)
    return KpuUpload(**base, input=memory.tensor(r, "in", "main", inp, "u1", (1, c, h, w)),
                     out=memory.kpu(r, "out", out * 64, (1, c, h, w)))


_PARSERS: dict[int, Callable[[Reader, Memory, dict, bool], Layer]] = {
    1: _add, 2: _quantized_add, 5: _global_average_pool, 8: _quantized_max_pool, 9: _average_pool,
    11: _affine(ops.Quantize, "<f4", "u1", False), 12: _affine(ops.Dequantize, "u1", "<f4", True), 13: _requantize,
    14: _vector(ops.L2Normalization), 15: _vector(ops.Softmax), 16: _concat, 17: _concat, 18: _fully_connected,
    20: _flatten, 22: _resize("<f4"), 23: _resize("u1"), 24: _channelwise_dequantize, 25: _vector(ops.Logistic),
    K210_CONV: _conv, 10241: _add_padding, 10242: _remove_padding, 10243: _upload,
}
