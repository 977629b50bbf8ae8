# SPDX-License-Identifier: Apache-2.0
"""What runs on the KPU: uploads and convolutions (spec/kmodel-format.md 4.4, 4.6)."""

from __future__ import annotations

import struct
from typing import Any

from ....hw.descriptor import replace
from ...kpu_record import make_conv, read_record, table_sizes
from ...model import KPU_POOL, KpuConv, KpuUpload
from ...record import Operator
from ..fields import Body, encode_range

MAX_SKIP = 4096
TABLE_ALIGN = 256
"""Where the vendor's compiler puts the tables of a KPU layer, counted from the file's start (section 4.6)."""
TABLES = ("weights", "batch_norm", "activation")


def _upload(b: Body) -> KpuUpload:
    shape, out = b.args["input.shape"], b.args["out"]
    if out.pool != KPU_POOL:
        b.fail("output", f"is in the {out.pool} memory, not in the KPU's RAM")
    return KpuUpload(**b.base, input=b.tensor("input", shape, "u1"), out=b.memory.kpu(b, "output", out.start, shape))


def _conv(b: Body) -> KpuConv:
    """The record's address fields say how many bytes to skip before each table."""
    out = b.range("main_mem_output")
    batches, _ = b.fields("batches:i reserved:i")
    b.within("batches", batches, 1, 255)
    d = read_record(b, eight_bit=True)
    sizes = dict(zip(TABLES, table_sizes(d, eight_bit=True), strict=True))
    tables, offsets = {}, {}
    for name, skip in (("batch_norm", d.bwsx_base_addr), ("activation", d.active_addr), ("weights", d.para_start_addr)):
        b.need(b.within(f"{name} skip", skip, 0, MAX_SKIP - 1), f"{name} skip")
        offsets[name] = b.pos
        tables[name] = b.array(name, "u1", sizes[name])
    main_out = b.placed(out, (batches, *d.out_shape), "u1", write=True) if out.size else None
    return make_conv(b, b.memory, b.base, d, [tables[n] for n in TABLES], [offsets[n] for n in TABLES],
                     batches=batches, main_out=main_out)


def _write_conv(layer: Any, position: int) -> bytes:
    """Range, batches, record, then the tables, each behind the bytes to skip."""
    head = encode_range(layer.main_out) + struct.pack("<2i", layer.batches, 0)
    at = position + len(head) + 96
    skips, tables = [], b""
    for table in (layer.batch_norm, layer.activation, layer.weights):
        skips.append(-(at + len(tables)) % TABLE_ALIGN)
        tables += bytes(skips[-1]) + table.tobytes()
    d = replace(layer.descriptor, bwsx_base_addr=skips[0], active_addr=skips[1], para_start_addr=skips[2])
    return head + struct.pack("<12Q", *d.pack()) + tables


OPERATORS = {
    "kpu_upload": Operator("input:range out:range input:shape", _upload),
    "kpu_conv2d": Operator("", _conv, _write_conv),
}
