# SPDX-License-Identifier: Apache-2.0
"""The 96-byte KPU layer record of every version: checks and the layer made from it (spec/kmodel-format.md 2, 9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..hw.descriptor import Descriptor
from ..hw.fields import ACT_SEGMENTS, ACT_TABLE_BYTES, POOLS, ROW_BYTES, WORDS
from ..hw.layout import groups_of
from .model import KpuConv, Tensor
from .reader import Memory, Reader

RECORD_BYTES = WORDS * 8

_UNSUPPORTED = ("first_stride", "bypass_conv", "full_add")
_ALWAYS_SET = ("load_para", "load_coor", "load_act")


def read_record(r: Reader, *, eight_bit: bool) -> Descriptor:
    """Read a layer record and check that its fields agree with each other."""
    start = r.need(RECORD_BYTES, "layer record")
    raw = bytes(r.data[start: start + RECORD_BYTES])
    d = Descriptor.unpack(raw)
    if np.array(d.pack(), "<u8").tobytes() != raw:
        r.context.warn(f"{r.place}: reserved bits of the layer record are set and ignored")

    def fail(field: str, problem: str) -> None:
        r.fail(field, problem, offset=start)

    if d.kernel_type not in (0, 1):
        fail("kernel_type", f"= {d.kernel_type} is neither 0 (1x1) nor 1 (3x3)")
    if d.pool_type >= len(POOLS):
        fail("pool_type", f"= {d.pool_type} is not within 0..{len(POOLS) - 1}")
    for field in _UNSUPPORTED:
        if getattr(d, field):
            r.fail(field, "= 1 is a KPU feature that no compiler uses and that model files may not use here",
                   offset=start, advice="convert the network again")
    for field in _ALWAYS_SET:
        if not getattr(d, field):
            r.fail(field, "= 0 would reuse the tables of another layer, which no compiler does", offset=start)
    if d.depthwise and d.i_ch_num != d.o_ch_num:
        fail("depth_wise_layer", f"= 1 with {d.i_ch_num} input and {d.o_ch_num} output channels")
    stride = d.pool[1]
    if (d.o_col_high, d.o_row_wid) != (d.i_col_high // stride, d.i_row_wid // stride):
        fail("o_row_wid, o_col_high", f"= {d.o_row_wid}x{d.o_col_high} is not the pooled size of "
                                      f"{d.i_row_wid}x{d.i_col_high}")
    _check_layout(r, start, "input", d.i_row_wid, d.i_col_high, d.i_ch_num,
                  (d.coef_group, d.row_switch_addr, d.channel_switch_addr))
    _check_layout(r, start, "output", d.o_row_wid, d.o_col_high, d.o_ch_num,
                  (d.wb_group, d.wb_row_switch_addr, d.wb_channel_switch_addr))
    loads, channels = d.load_time, d.o_ch_num_coef
    if not (loads - 1) * channels < d.o_ch_num <= loads * channels:
        fail("load_time", f"= {loads} loads of {channels} channels don't make {d.o_ch_num} output channels")
    size = d.weight_bytes(eight_bit) if d.depthwise else channels * d.taps * (1 if eight_bit else 2)
    if d.para_size != size:
        fail("para_size", f"= {d.para_size} is not the {size} bytes of one weight load")
    pixels = d.o_row_wid * d.o_col_high
    if d.channel_byte_num % 65536 != pixels % 65536:
        fail("channel_byte_num", f"= {d.channel_byte_num} is not {pixels} modulo 65536")
    if d.dma_total_byte != pixels * d.o_ch_num:
        fail("dma_total_byte", f"= {d.dma_total_byte} is not {pixels * d.o_ch_num}")
    return d


def _check_layout(r: Reader, start: int, side: str, width: int, height: int, channels: int,
                  found: tuple[int, int, int]) -> None:
    group, rows, _ = groups_of(width)
    expected = (group, rows, rows * height)
    # A map with a single channel group is never stepped over, and one with a single line has no next line.
    same = (found[0] == group and (height == 1 or found[1] == rows)
            and (channels <= group or found[2] == expected[2]))
    if not same:
        r.fail(f"{side} layout", f"(group, row switch, channel switch) = {found} does not suit a map {width} wide and "
                                 f"{height} high, which needs {expected}", offset=start)


def table_sizes(d: Descriptor, *, eight_bit: bool) -> tuple[int, int, int]:
    """Bytes of the weights, the batch-norm table and the activation table."""
    return d.weight_bytes(eight_bit), 8 * d.o_ch_num, ACT_TABLE_BYTES


def make_conv(r: Reader, memory: Memory, base: dict, d: Descriptor, tables: Sequence[np.ndarray],
              offsets: Sequence[int], *, eight_bit: bool = True, batches: int = 1,
              main_out: Tensor | None, stream: bool = False) -> KpuConv:
    """Check the tables and the AI-RAM extents of a layer and make it.

    ``tables`` and ``offsets``: weights, batch norm, activation, as uint8 views and as file offsets.
    """
    segments = np.frombuffer(tables[2][: 8 * ACT_SEGMENTS].tobytes(), "<u8")
    if int((segments & np.uint64(0xFF)).max()) > 63:
        r.fail("shift_number", f"= {int((segments & np.uint64(0xFF)).max())} in the activation table exceeds 63")
    starts = (segments >> np.uint64(24) << np.uint64(28)).view(np.int64)
    if (starts[1:] < starts[:-1]).any():
        r.context.warn(f"{r.place}: the segments of the activation table are not in ascending order")
    source = memory.kpu(r, "image_src_addr", d.image_src_addr * ROW_BYTES, (batches, *d.in_shape))
    target = memory.kpu(r, "image_dst_addr", d.image_dst_addr * ROW_BYTES, (batches, *d.out_shape))
    size = (source.map_rows * ROW_BYTES * batches, target.map_rows * ROW_BYTES * batches)
    if source.offset < target.offset + size[1] and target.offset < source.offset + size[0]:
        r.context.warn(f"{r.place}: input and output maps overlap in the AI RAM")
    memory.context.spend(work=d.macs * batches)
    return KpuConv(**base, descriptor=d, weights=tables[0], batch_norm=tables[1], activation=tables[2],
                   weights_offset=offsets[0], batch_norm_offset=offsets[1], activation_offset=offsets[2],
                   eight_bit=eight_bit, batches=batches, input=source, kpu_out=target, main_out=main_out,
                   stream=stream)
