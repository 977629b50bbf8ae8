# SPDX-License-Identifier: Apache-2.0
"""The commands that kpu_seq gives to the units of the data path for a layer, worked out from its plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from openkpu.golden.layers import LARGEST_LOAD, make_descriptor
from openkpu.hw.configs import CoreParameters
from openkpu.schedule.cycles import Block, blocks
from openkpu.schedule.plan import RIGHT_PIXEL_POOL, Plan, plan

FEATURE_FIELDS = ("channel", "slots", "y", "lines", "step", "word", "words", "x", "span")
ISSUE_FIELDS = ("lines", "groups", "x", "first", "last", "high", "load", "free")


@dataclass(frozen=True)
class Pass:
    """One pass of a layer.

    Attributes
    ----------
    block : what it adds to.
    number : of the pass within its block.
    command : the fields of its command, named as the ports of kpu_seq without ``pass_``.
    first_x : image column of byte 0 of the word of a row in which it begins.
    lines : image lines it computes.
    takes : of every line, the columns behind ``first_x`` that the array takes.
    """

    block: Block
    number: int
    command: dict[str, int]
    first_x: int
    lines: list[int]
    takes: list[int]


def column_groups(p: Plan, b: Block) -> int:
    """Column groups of a computed line; columns on the depthwise path."""
    if p.dwfast:
        return b.columns
    if p.overlap:
        return b.columns + (not b.last_strip)
    return -(-b.columns // (1 << p.lgp))


def block_command(p: Plan, b: Block) -> dict[str, int]:
    """The fields of a block's command, named as the ports of kpu_seq without ``block_``."""
    return {"channel": b.channel, "outs": b.outs, "oy": b.row, "rows": b.rows, "ox": b.column, "cols": b.columns,
            "groups": column_groups(p, b) & 0x7F,  # seven bits, which the depthwise path does not use
            "params": int(not p.dwfast or b.column == 0),
            "final": int(b.last_strip and (p.dwfast or b.last_tile))}


def passes(p: Plan, core: CoreParameters) -> Iterator[Pass]:
    """All passes of a layer in order."""
    for b in blocks(p):
        for number in range(p.passes):
            yield one_pass(p, b, number, core.SEGS * core.LPS)


def one_pass(p: Plan, b: Block, number: int, lanes: int) -> Pass:
    """Pass ``number`` of a block."""
    d = p.descriptor
    per_word = 64 >> d.first_stride
    group = number >> p.wide
    channel = b.channel if p.single else group if p.k3 else 9 * group
    start = b.column << p.lgs
    first_x = start - start % per_word
    right = int(d.pool_type == RIGHT_PIXEL_POOL and not d.first_stride)
    groups = column_groups(p, b)
    if p.dwfast:
        x, span, y, count, step = 0, b.columns - 1 & 127, 0, d.o_col_high, 1
        slot = b.channel % (1 << p.lgi) << 6 - p.lgi
        takes = [slot + lanes * k for k in range(-(-b.columns // lanes))]
    else:
        x, y = start - first_x, b.row << p.lgs
        count = b.rows + (not b.last_tile) if p.overlap else b.rows << p.lgc
        span = groups - 1 if p.overlap else (b.columns - 1 << p.lgs) + (1 << p.lgc) - 1 + right
        step = 1 if p.lgc else 1 << p.lgs
        takes = [x + right + (k << p.lgp + p.lgs) + dx for k in range(groups) for dx in range(1 << p.lgc)]
    piece = number - number % p.piece
    last, last_area = number + 1 == p.passes, b.last_tile and b.last_strip
    last_block = b.channel + b.outs == d.o_ch_num
    command = {
        "channel": channel, "slots": 1 if p.single or p.k3 else min(9, d.i_ch_num - channel),
        "y": y, "lines": count, "step": step, "word": first_x // per_word,
        "words": -(-b.columns // 64) if p.dwfast else 1, "x": x, "groups": groups, "span": span,
        "first": number == 0, "last": last, "high": p.wide and number % 2,
        "load": not p.dwfast or b.column == 0, "free": not p.dwfast or b.last_strip,
        "outs": b.outs, "g": number - piece, "gs": min(p.piece, p.passes - piece),
        "rewind": p.keep and last and last_block and not last_area, "keep": p.keep and not last_area}
    return Pass(b, number, {name: int(value) for name, value in command.items()}, first_x,
                [y + i * step for i in range(count)], takes)


def random_plan(rng: random.Random, core: CoreParameters, most_passes: int, most_cycles: int) -> Plan:
    """A layer of any kind, of at most so many passes, in which the array computes for at most so many cycles."""
    lanes = core.SEGS * core.LPS
    while True:
        shape = rng.choice(({}, {}, {}, {"depth_wise_layer": 1}, {"bypass_conv": 1}, {"first_stride": 1}))
        channels, outs = (rng.randint(1, rng.choice((4, 40, 1024))) for _ in range(2))
        if "depth_wise_layer" in shape or "bypass_conv" in shape:
            outs = channels
        height, width = rng.randint(4, 40), rng.choice((4, 5, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 80, 130, 320))
        if rng.random() < 0.6:
            shape = shape | {"pool_type": rng.randrange(1, 10)}
        eight_bit, kernel_type = rng.random() < 0.7, rng.getrandbits(1)
        # No more channels in a load than its size has bits for.
        coef = min(outs, LARGEST_LOAD // (channels * (9 if kernel_type else 1) * (1 if eight_bit else 2)))
        d = make_descriptor((channels, height, width), outs, kernel_type=kernel_type, eight_bit=eight_bit,
                            o_ch_num_coef=coef, image_dst_addr=0, send_data_out=rng.getrandbits(1), **shape)
        p = plan(d, core, eight_bit)
        listed = list(islice(blocks(p), most_passes + 1))
        if len(listed) * p.passes > most_passes:
            continue
        firsts = (one_pass(p, b, 0, lanes) for b in listed)
        if sum(len(one.lines) * len(one.takes) for one in firsts) * p.passes <= most_cycles:
            return p
