# SPDX-License-Identifier: Apache-2.0
"""What has to do with the KPU: convolutions, uploads, padding for its 1x1 layers (spec/kmodel-format.md 3.4, 3.5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....hw.descriptor import Descriptor, replace
from ...kernels import kernel
from ...kpu_record import RECORD_BYTES, make_conv, read_record, table_sizes
from ...model import InOut, KpuConv, KpuUpload
from ...reader import Reader
from ...record import Operator
from ..fields import Body

KLF_MAIN_MEM_OUT = 1
TABLE_ALIGN = 128
ACTIVATION_ALIGN = 256
"""Where the vendor's compiler puts the tables of a KPU layer, counted from the file's start (hardware 4.5)."""

_TABLES = ("weights_offset", "bn_offset", "act_offset")


def _conv(b: Body) -> KpuConv:
    flags, main_out, layer, *offsets = (b.args[n] for n in ("flags", "main_mem_out", "layer_offset", *_TABLES))
    d = read_record(b.at(layer, RECORD_BYTES, "layer_offset"), eight_bit=b.eight_bit)
    sizes = table_sizes(d, eight_bit=b.eight_bit)
    tables = [b.at(o, n, f).array(f, "u1", n) for o, n, f in zip(offsets, sizes, _TABLES, strict=True)]
    to_main = bool(flags & KLF_MAIN_MEM_OUT)
    out = None
    if to_main:
        out = b.memory.tensor(b, "main_mem_out", "main", main_out, "u1", (1, *d.out_shape), write=True)
    return make_conv(b, b.memory, b.base, d, tables, offsets, eight_bit=b.eight_bit, main_out=out, stream=to_main)


def conv_end(r: Reader, eight_bit: bool) -> int:
    """End of the last table of a K210_CONV body, which may lie anywhere; the record's own checks come later."""
    _, _, layer, *tables = r.fields("flags:I out:I layer:I weights:I bn:I act:I")
    if layer + RECORD_BYTES > len(r.data):
        return layer + RECORD_BYTES
    d = Descriptor.unpack(r.data[layer: layer + RECORD_BYTES])
    sizes = table_sizes(d, eight_bit=eight_bit)
    return max(layer + RECORD_BYTES, *(start + size for start, size in zip(tables, sizes, strict=True)))


def _write_conv(layer: Any, position: int) -> bytes:
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


@dataclass(frozen=True, eq=False, kw_only=True)
class AddPadding(InOut):
    """uint8 (channels,) -> AI-RAM map (1, channels, 4, 4): in[c] at pixel (0, 0), the others don't matter."""


def _add_padding(b: Body) -> AddPadding:
    channels = b.args["input.count"]
    return AddPadding(**b.base, input=b.tensor("input", "u1", (channels,)), out=b.out_map((1, channels, 4, 4)))


@kernel(AddPadding)
def add_padding(op: AddPadding, x: np.ndarray) -> np.ndarray:
    return x[None, :, None, None]


@dataclass(frozen=True, eq=False, kw_only=True)
class RemovePadding(InOut):
    """uint8 (channels, 4, 4) -> (channels,): pixel (0, 0) of each channel."""


def _remove_padding(b: Body) -> RemovePadding:
    channels = b.args["out.count"]
    return RemovePadding(**b.base, input=b.tensor("input", "u1", (channels, 4, 4)), out=b.out("u1", (channels,)))


@kernel(RemovePadding)
def remove_padding(op: RemovePadding, x: np.ndarray) -> np.ndarray:
    return x[:, 0, 0]


def _upload(b: Body) -> KpuUpload:
    w, h, c = b.dims("width, height, channels", *(b.args[f"input.d{i}"] for i in (3, 2, 1)))
    return KpuUpload(**b.base, input=b.tensor("input", "u1", (1, c, h, w)), out=b.out_map((1, c, h, w)))


OPERATORS = {
    "KL_K210_CONV": Operator("main_mem_out:I layer_offset:I weights_offset:I bn_offset:I act_offset:I", _conv,
                             _write_conv),
    "KL_K210_ADD_PADDING": Operator("input:address out:row input:count", _add_padding),
    "KL_K210_REMOVE_PADDING": Operator("input:address out:address out:count", _remove_padding),
    "KL_K210_UPLOAD": Operator("input:address out:row input:d3 input:d2 input:d1", _upload),
}
