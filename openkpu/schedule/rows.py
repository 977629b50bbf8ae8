# SPDX-License-Identifier: Apache-2.0
"""The AI-RAM rows that a layer reads, in order: what ``rtl/conv/kpu_feature_fetch.v`` asks for and why.

A memory that is not all on the chip (docs/cache.md) makes time depend on which rows a layer touches, not only on how
many. The walk is that of ``kpu_seq``: strip, tile, block of output channels, pass; ``openkpu.schedule.cycles.blocks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..hw.fields import ROW_BYTES
from .cycles import Block, blocks
from .plan import RIGHT_PIXEL_POOL, Plan

ALL_BYTES = (1 << ROW_BYTES) - 1


@dataclass(frozen=True)
class Read:
    """One row that is read, and the bytes of it that the layer uses (bit i is byte i)."""

    row: int
    need: int


def feature_reads(p: Plan) -> Iterator[list[list[Read]]]:
    """For every pass of a layer, in order, the rows of each of its lines."""
    for b in blocks(p):
        for first in range(p.passes):
            yield pass_reads(p, b, first)


def pass_reads(p: Plan, b: Block, first: int) -> list[list[Read]]:
    """The rows of each line of pass ``first`` of a block."""
    d = p.descriptor
    window = p.k3 or p.dwfast
    per_word = ROW_BYTES >> d.first_stride
    group = 1 << p.lgi
    start = b.column << p.lgs
    word, x = start // per_word, 0 if p.dwfast else start % per_word
    wider = b.columns + (p.overlap and not b.last_strip)
    words = -(-b.columns // ROW_BYTES) if p.dwfast else 1
    if p.dwfast:
        span, count, step = 0, d.o_col_high, 1
    else:
        span = wider - 1 if p.overlap else \
            (b.columns - 1 << p.lgs) + (1 << p.lgc) - 1 + (d.pool_type == RIGHT_PIXEL_POOL and not d.first_stride)
        count = b.rows + (p.overlap and not b.last_tile) if p.overlap else b.rows << p.lgc
        step = 1 if p.lgc else 1 << p.lgs
    left_width = p.width - (word + words - 1) * per_word  # from the last word on
    left = p.k3 and word > 0 and x == 0
    right = (p.k3 if p.dwfast else x + span + p.k3 >= per_word) and left_width > per_word
    channel = b.channel if p.single else (first >> p.wide) * (1 if p.k3 else 9)
    slots = 1 if window or p.single else min(9, d.i_ch_num - channel)

    row_step = d.row_switch_addr << d.first_stride
    base = d.image_src_addr + word + (channel // group) * d.channel_switch_addr
    size = ROW_BYTES // group
    width = min(left_width, per_word) << d.first_stride

    def bytes_of(slot: int, slots: int, width: int) -> int:
        one = (1 << min(width, size)) - 1
        return sum(one << size * s for s in range(slot, slot + slots))

    def kinds(row: int, need: int) -> list[Read]:
        reads = [*(Read(row + i, ALL_BYTES) for i in range(words - 1)), Read(row + words - 1, need)]
        if left:
            reads.append(Read(row - 1, ALL_BYTES))
        if right:
            reads.append(Read(row + words, bytes_of(0, 1, min(left_width - per_word, per_word) << d.first_stride)))
        return reads

    lines = []
    y = (0 if p.dwfast else b.row) << p.lgs
    sub = channel % group
    need = bytes_of(0, group, width) if p.dwfast else bytes_of(sub, 1, width)
    for line in range(count):
        reads: list[Read] = []
        at = base + y * row_step
        if window:
            fresh = line == 0 or step != 1
            for r in range(0 if fresh else 2, 3):
                if 0 <= y + r - 1 < p.height:
                    reads += kinds(at + (r - 1) * row_step, need)
        else:
            slot, first_slot, row = 0, sub, at
            while slot < slots:
                n = min(group - first_slot, slots - slot)
                reads += kinds(row, bytes_of(first_slot, n, width))
                slot += n
                first_slot = 0
                row += d.channel_switch_addr
        lines.append(reads)
        y += step
    return lines


def stream_reads(p: Plan) -> Iterator[Read]:
    """The rows that ``kpu_stream_out`` reads: eight bytes at a time, channel by channel."""
    d = p.descriptor
    group, size = d.wb_group, ROW_BYTES // d.wb_group
    for channel in range(d.o_ch_num):
        slot = channel % group
        for line in range(d.o_col_high):
            row = d.image_dst_addr + channel // group * d.wb_channel_switch_addr + line * d.wb_row_switch_addr
            for x in range(0, d.o_row_wid, 8):
                first = slot * size + x % ROW_BYTES if group > 1 else x % ROW_BYTES
                yield Read(row + x // ROW_BYTES, 0xFF << first)
