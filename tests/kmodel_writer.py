# SPDX-License-Identifier: Apache-2.0
"""Writes small kmodel files for tests: only what the loaders need to see, straight from the format's tables."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from openkpu.hw.descriptor import Descriptor
from openkpu.hw.fields import DESCRIPTOR, POOLS
from openkpu.hw.layout import groups_of

# KPU layers -------------------------------------------------------------------------------------


def descriptor(ic=3, oc=4, h=6, w=8, *, kernel=3, pool=0, depthwise=False, src=0, dst=16384, eight_bit=True,
               **changed) -> Descriptor:
    """A legal layer with one weight load."""
    stride = POOLS[pool][1]
    oh, ow = h // stride, w // stride
    (g, r, _), (wg, wr, _) = groups_of(w), groups_of(ow)
    taps = kernel ** 2 * (1 if depthwise else ic)
    values = dict.fromkeys((a.field.name for a in DESCRIPTOR), 0) | {
        "depth_wise_layer": int(depthwise), "image_src_addr": src, "image_dst_addr": dst, "i_ch_num": ic,
        "o_ch_num": oc, "o_ch_num_coef": oc, "i_row_wid": w, "i_col_high": h, "o_row_wid": ow, "o_col_high": oh,
        "kernel_type": int(kernel == 3), "pool_type": pool, "load_para": 1, "dma_burst_size": 16, "load_coor": 1,
        "load_time": 1, "para_size": taps * oc * (1 if eight_bit else 2), "channel_switch_addr": r * h,
        "row_switch_addr": r, "coef_group": g, "load_act": 1, "wb_channel_switch_addr": wr * oh,
        "wb_row_switch_addr": wr, "wb_group": wg, "channel_byte_num": (ow * oh - 1) % 65536 + 1,
        "dma_total_byte": ow * oh * oc,
    }
    return Descriptor(**(values | changed))


def record(d: Descriptor) -> bytes:
    return struct.pack("<12Q", *d.pack())


def activation(shift: int = 0) -> bytes:
    """A table whose segment 0 is the identity from the smallest value on."""
    start = 1 << 35
    return struct.pack("<16Q", *[shift | 1 << 8 | start << 24] * 16) + bytes(16)


def tables(d: Descriptor, eight_bit: bool = True) -> tuple[bytes, bytes, bytes]:
    """Weights, batch norm, activation."""
    n = d.weight_bytes(eight_bit)
    return bytes(i % 251 for i in range(n)), struct.pack("<Q", 1) * d.o_ch_num, activation()


def pad_to(position: int, alignment: int) -> int:
    return -position % alignment


# v3 ---------------------------------------------------------------------------------------------


def v3_conv(position: int, d: Descriptor, *, flags: int = 0, main_out: int = 0, eight_bit: bool = True,
            parameters: tuple[bytes, bytes, bytes] | None = None) -> bytes:
    """A K210_CONV body for the file offset ``position``; tables at multiples of 128.

    ``parameters``: weights, batch norm and activation, otherwise those of :func:`tables`.
    """
    body = bytearray(24 + 96)
    offsets = []
    for table in parameters or tables(d, eight_bit):
        body += bytes(pad_to(position + len(body), 128))
        offsets.append(position + len(body))
        body += table
    body[:24] = struct.pack("<6I", flags, main_out, position + 24, *offsets)
    body[24:120] = record(d)
    return bytes(body)


def v3_file(layers: list, *, main: int = 4096, outputs=((0, 16),), flags: int = 1, arch: int = 0,
            pad_last: bool = True) -> bytes:
    """``layers``: (type, body) with body bytes or a function of the file position."""
    head = 28 + 8 * len(outputs) + 8 * len(layers)
    headers, bodies = b"", b""
    for i, (kind, body) in enumerate(layers):
        position = head + len(bodies)
        raw = body(position) if callable(body) else body
        padding = pad_to(position + len(raw), 8)
        headers += struct.pack("<2I", kind, len(raw) + padding)
        bodies += raw + (bytes(padding) if pad_last or i + 1 < len(layers) else b"")
    return (struct.pack("<7I", 3, flags, arch, len(layers), 0, main, len(outputs))
            + b"".join(struct.pack("<2I", *o) for o in outputs) + headers + bodies)


def v3_fc(ic=4, oc=4, inp=0, out=64, act=0) -> tuple[int, bytes]:
    """FULLY_CONNECTED, which gives a model an input."""
    return 18, struct.pack("<6I", 0, inp, out, ic, oc, act) + struct.pack(f"<{ic * oc + oc}f", *range(ic * oc + oc))


# v4 ---------------------------------------------------------------------------------------------

CONST, MAIN, KPU = 0, 1, 2
F32, U8 = 0, 1


def mr(start: int, size: int, dtype: int = F32, pool: int = MAIN) -> bytes:
    """A memory range."""
    return struct.pack("<4I", pool, dtype, start, size)


def shape4(*dims: int) -> bytes:
    return struct.pack("<4i", *dims)


CLAMP = struct.pack("<2f", float("-inf"), float("inf"))


def v4_kpu_conv(d: Descriptor, main_out: bytes, *, batches: int = 1, skips=(0, 0, 0)) -> bytes:
    """A kpu_conv2d body; ``skips`` before batch norm, activation and weights."""
    weights, bn, act = tables(d)
    d = Descriptor(**{a.field.name: getattr(d, a.field.name) for a in DESCRIPTOR} | {
        "bwsx_base_addr": skips[0], "active_addr": skips[1], "para_start_addr": skips[2]})
    return (main_out + struct.pack("<2i", batches, 0) + record(d) + bytes(skips[0]) + bn + bytes(skips[1]) + act
            + bytes(skips[2]) + weights)


VECTOR = mr(0, 16)
"""Four floats at the start of main memory: input and output of most synthetic models."""


def v4_file(nodes: list, *, main: int = 65536, inputs=((VECTOR, (1, 1, 1, 4)),), outputs=(VECTOR,),
            const: bytes = b"", target: int = 1) -> bytes:
    """``nodes``: (opcode, body)."""
    head = struct.pack("<10I", 0x4B4D444C, 4, 0, target, len(const), main, len(nodes), len(inputs), len(outputs),
                       0xCCCCCCCC)
    head += b"".join(r for r, _ in inputs) + b"".join(shape4(*s) for _, s in inputs) + b"".join(outputs) + const
    position = len(head) + 8 * len(nodes)
    headers, bodies = b"", b""
    for opcode, body in nodes:
        padding = pad_to(position + len(bodies) + len(body), 8)
        headers += struct.pack("<2I", opcode, len(body) + padding)
        bodies += body + bytes(padding)
    return head + headers + bodies


# v5 ---------------------------------------------------------------------------------------------

IN, OUT, RDATA, DATA, KPU5 = 0, 1, 2, 3, 64
DT = {"i1": 0, "i4": 2, "i8": 3, "u1": 4, "u8": 7, "f4": 9}
SIZES = {"i1": 1, "i4": 4, "i8": 8, "u1": 1, "f4": 4}


def range5(location: int, dtype: str, start: int, size: int) -> bytes:
    return struct.pack("<2BH2I", location, DT[dtype], 0, start, size)


def ldc(value: int) -> bytes:
    return struct.pack("<Bi", 0x02, value)


def ldc_r4(value: float) -> bytes:
    return struct.pack("<Bf", 0x05, value)


def lea(location: int, offset: int) -> bytes:
    return struct.pack("<3BI", 0x17, location, 0, offset)


def stshape(register: int, dims: tuple[int, ...]) -> bytes:
    return b"".join(ldc(d) for d in dims) + bytes((0x31, register, len(dims)))


def stpaddings(register: int, pads: tuple[tuple[int, ...], ...]) -> bytes:
    return b"".join(ldc(v) for p in pads for v in p) + bytes((0x32, register, len(pads)))


def tensor(number: int, operands: bytes) -> bytes:
    return struct.pack("<BH", 0x5E, number) + operands


RET = b"\x59"


def dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements as the compiler writes them: 0 for dimensions of size 1."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(0 if n == 1 else step)
        step *= n
    return tuple(reversed(strides))


@dataclass
class Function5:
    """``inputs`` and ``outputs``: (dtype, shape)."""

    code: bytes
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)

    def record(self, entrypoint: int) -> bytes:
        pools, ports = [], b""
        for location, items in ((IN, self.inputs), (OUT, self.outputs)):
            start, ranges, shapes = 0, b"", b""
            for dtype, shape in items:
                size = SIZES[dtype]
                for n in shape:
                    size *= n
                ranges += range5(location, dtype, start, size)
                shapes += struct.pack(f"<{len(shape) + 1}I", len(shape), *shape)
                start += size + pad_to(size, 8)
            ports += ranges + shapes
            pools.append(start)
        size = 32 + len(ports)
        size += pad_to(size, 8)
        head = struct.pack("<8I", 32, size, *pools, len(self.inputs), len(self.outputs), entrypoint, len(self.code))
        return (head + ports).ljust(size, b"\0")


@dataclass
class Module5:
    """A module at a file position; ``sections`` beyond .rdata and .text as (name, flags, start, body)."""

    functions: list
    type: str = "stackvm"
    rdata: bytes = b""
    data: int = 4096
    merge_text: bool = False

    def build(self, position: int, alignment: int = 256) -> bytes:
        text, records = b"", b""
        for f in self.functions:
            records += f.record(len(text))
            text += f.code
        rdata = self.rdata
        merged_at = len(rdata)
        if self.merge_text:
            rdata += text
        pools = struct.pack("<B3xI", DATA, self.data)
        body = bytearray(pools + records)
        sections = 2
        for name, content in ((b".rdata", rdata), (b".text", text)):
            if name == b".text" and self.merge_text:
                body += struct.pack("<16s4I", name, 1, merged_at, len(content), 0)
                continue
            gap = pad_to(position + 48 + len(body) + 32, alignment)
            body += struct.pack("<16s4I", name, 0, gap, len(content), 0) + bytes(gap) + content
        body += bytes(pad_to(48 + len(body), 8))
        head = struct.pack("<16s8I", self.type.encode(), 1, 48, 48 + len(body), 1, 0, sections, len(self.functions), 0)
        return head + bytes(body)


def v5_file(modules: list, *, entry=(0, 0), header_size: int = 32) -> bytes:
    out = struct.pack("<8I", 0x4B4D444C, 5, header_size, 0, 256, len(modules), *entry)
    for module in modules:
        out += module if isinstance(module, bytes) else module.build(len(out))
    return out


def k210_upload(source: bytes, target: bytes, shape: tuple[int, ...]) -> bytes:
    return struct.pack("<I", 0) + source + target + struct.pack("<4I", *shape)


def k210_download(source: bytes, target: bytes, shape: tuple[int, ...]) -> bytes:
    return struct.pack("<I", 1) + source + target + struct.pack("<4I", *shape)


def k210_conv(ranges: list, main_out: bytes, d: Descriptor, batches: int = 1) -> bytes:
    """``ranges``: weights, batch norm, activation."""
    return struct.pack("<I", 2) + b"".join(ranges) + main_out + struct.pack("<I", batches) + record(d)


def k210_copy(source: bytes, target: bytes, shape, in_strides, out_strides) -> bytes:
    return struct.pack("<I", 3) + source + target + struct.pack("<12I", *shape, *in_strides, *out_strides)
