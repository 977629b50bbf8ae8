# SPDX-License-Identifier: Apache-2.0
"""kpu_feature_fetch and kpu_window: the nine inputs of every pixel column, for every kind of layer and shape."""

from __future__ import annotations

import os
import random
from itertools import product
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import replace
from openkpu.hw.fields import ROW_BYTES
from openkpu.schedule.cycles import Features, line_rows, move_cycles
from openkpu.schedule.plan import Plan, plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.commands import FEATURE_FIELDS, Pass, passes
from tb.plans import fields, pack

CORE = CORES[os.environ.get("KPU_CONFIG", "full")]
LANES = CORE.SEGS * CORE.LPS
ROWS = 1024


class Bench(ClockedBench):
    low = ("s_valid", "rd_ready", "rd_rvalid", "take", "set_done")

    async def run(self, p: Plan, limit: int = 12) -> None:
        """Up to ``limit`` passes of a layer in a row (``chosen``); each take is compared, its cycle is in ``taken``."""
        dut, rng, d = self.dut, self.rng, p.descriptor
        source = replace(d.in_layout, channels=d.source_channels)
        ram = np.frombuffer(rng.randbytes(ROWS * ROW_BYTES), np.uint8)
        image = source.gather(ram)[:, ::1 + d.first_stride, ::1 + d.first_stride]
        self.image = np.pad(image, ((0, 0), (1, 1), (1, 1)), constant_values=d.pad_value)
        dut.layer.value = pack(fields(p))
        listed = list(passes(p, CORE))
        begin = rng.randrange(max(1, len(listed) - limit + 1)) if not p.dwfast else 0
        chosen = self.chosen = listed[begin:begin + limit]
        self.taken: list[int] = []
        rows = sum(sum(line_rows(p, one.block, one.number)) for one in chosen)
        commands = list(chosen)
        takes = [(one, y, q, q == one.takes[-1]) for one in chosen for y in one.lines for q in one.takes]
        pending: int | None = None
        checked: tuple | None = None
        reads = 0
        for cycle in range(60 * (len(takes) + rows) + 200):
            dut.s_valid.value = int(bool(commands) and rng.random() >= self.stall)
            if commands:
                for name in FEATURE_FIELDS:
                    getattr(dut, f"s_{name}").value = commands[0].command[name]
            dut.rd_ready.value = int(rng.random() >= self.stall)
            dut.rd_rvalid.value = int(pending is not None)
            if pending is not None:
                dut.rd_rdata.value = int.from_bytes(ram[pending * 64:pending * 64 + 64].tobytes(), "little")
            dut.take.value = dut.set_done.value = 0
            await FallingEdge(dut.clk)
            if checked:
                self._check(p, *checked)
                checked = None
            assert dut.overflow.value == 0, "a row came that the queue has no room for"
            pending = None
            if dut.rd_valid.value == 1 and dut.rd_ready.value == 1:
                pending = int(dut.rd_row.value)
                reads += 1
                assert source.base <= pending < source.end, f"row {pending} is outside the map: {p}"
            if commands and dut.s_valid.value == 1 and dut.s_ready.value == 1:
                commands.pop(0)
            if takes and dut.set_valid.value == 1 and rng.random() >= self.stall:
                one, y, q, last = takes.pop(0)
                self.taken.append(cycle)
                dut.take.value = 1
                dut.q.value = q
                dut.set_done.value = int(last)
                checked = one, y, q
            await RisingEdge(dut.clk)
            if not takes and not checked:
                break
        assert not takes and not commands, f"{len(takes)} takes are left: {p}"
        dut.take.value = dut.set_done.value = dut.s_valid.value = dut.rd_rvalid.value = 0
        await ClockCycles(dut.clk, 3)
        padding = sum(self._lines_outside(p, one) for one in chosen)
        assert reads == rows - padding, f"{reads} rows are read where the cycle model counts {rows} - {padding}: {p}"

    @staticmethod
    def _lines_outside(p: Plan, one: Pass) -> int:
        """Lines of padding that the fetch names without reading them."""
        if not (p.k3 or p.dwfast):
            return 0
        below = sum(y + 1 == p.height for y in one.lines)
        # A line above the image costs nothing in the first line of a pass.
        fresh = one.lines[1:] if one.command["step"] > 1 else []
        return below + sum(y == 0 for y in fresh)

    def _check(self, p: Plan, one: Pass, y: int, q: int) -> None:
        d, first = p.descriptor, one.command["channel"]
        if p.dwfast:
            got = int(self.dut.dww.value).to_bytes(LANES * 9, "little")
            pitch = 64 >> p.lgi
            for lane in range(LANES):
                slot, x = divmod(q + lane, pitch) if p.lgi else (0, q + lane)
                channel = first - first % (1 << p.lgi) + slot
                x += one.first_x
                if channel < d.source_channels and x < p.width and slot < 1 << p.lgi:
                    expected = self._taps(channel, y, x)
                    if not p.k3:
                        expected = bytes(4) + expected[4:5] + bytes(4)
                    self._equal(got[9 * lane:9 * lane + 9], expected, p, channel, y, x)
            return
        # Only what is used is defined: columns behind the line's end give sums that nobody reads.
        text = str(self.dut.win.value)
        for column in range(1 << p.lgp):
            x = one.first_x + q + (column << p.lgs)
            if x >= p.width or q + (column << p.lgs) >= 66:
                continue
            bits = text[len(text) - 72 * column - 72:len(text) - 72 * column]
            got = int(bits, 2).to_bytes(9, "little")
            if p.k3:
                expected = self._taps(first, y, x)
            else:
                slots = one.command["slots"]
                expected = self.image[first:first + slots, y + 1, x + 1].tobytes() + bytes(9 - slots)
            self._equal(got, expected, p, first, y, x)

    def _taps(self, channel: int, y: int, x: int) -> bytes:
        return self.image[channel, y:y + 3, x:x + 3].tobytes()

    @staticmethod
    def _equal(got: bytes, expected: bytes, p: Plan, channel: int, y: int, x: int) -> None:
        assert got == expected, f"channel {channel}, row {y}, column {x}: {got.hex()} instead of {expected.hex()}: {p}"


def random_plan(rng: random.Random) -> Plan:
    shape = rng.choice(({}, {}, {"kernel_type": 1}, {"kernel_type": 1}, {"first_stride": 1, "kernel_type": 1},
                        {"first_stride": 1}, {"depth_wise_layer": 1, "kernel_type": 1}, {"depth_wise_layer": 1},
                        {"bypass_conv": 1}))
    width = rng.choice((1, 2, 4, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130, 200))
    channels, height = rng.randint(1, 24), rng.randint(1, 9)
    channels = min(channels, max(1, ROWS // 2 // (height * -(-width // 64))))
    if rng.random() < 0.6 and "first_stride" not in shape and width >= 4 and height >= 4:
        shape = shape | {"pool_type": rng.randrange(1, 10)}
    if not any(name in shape for name in ("depth_wise_layer", "bypass_conv")):
        channels, outs = channels, rng.randint(1, 20)
    else:
        outs = channels
    return plan(make_descriptor((channels, height, width), outs, image_src_addr=rng.randrange(64),
                                pad_value=rng.randrange(256), **shape), CORE)


@cocotb.test()
async def windows_of_random_layers(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(8):
        await b.run(random_plan(b.rng))


@cocotb.test()
async def pixels_of_the_next_word_are_reached_from_every_block(dut):
    """Wide windows, whose last columns lie far from the block that a take begins in, beside one and two pixels more."""
    b = Bench(dut, 0.0)
    await b.reset()
    for width, pool_type, first_stride in product((65, 66, 130), (0, 1, 3, 6, 7, 9), (0, 1)):
        shape = {"pool_type": 0 if first_stride else pool_type, "first_stride": first_stride}
        if first_stride and pool_type:
            continue
        for depthwise in (0, 1):
            d = make_descriptor((2, 8, width << first_stride), 2, kernel_type=1, depth_wise_layer=depthwise,
                                image_src_addr=0, pad_value=77, **shape)
            await b.run(plan(d, CORE), limit=4)


@cocotb.test()
async def depthwise_blocks_see_each_other_at_their_edges(dut):
    """A depthwise block has up to three words: in lines wider than 192 pixels, windows look across to the next one."""
    b = Bench(dut, 0.0)
    await b.reset()
    for width, height in product((193, 200, 257, 384, 400), (1, 4)):
        d = make_descriptor((2, height, width), 2, kernel_type=1, depth_wise_layer=1, image_src_addr=0, pad_value=140)
        await b.run(plan(d, CORE), limit=8)


@cocotb.test()
async def stalls_change_nothing(dut):
    b = Bench(dut, 0.4)
    await b.reset()
    for _ in range(5):
        await b.run(random_plan(b.rng))


@cocotb.test()
async def lines_follow_each_other_as_the_cycle_model_says(dut):
    """From the end of a pass's first line on; the model's rows come from the same AI RAM, one per cycle."""
    b = Bench(dut, 0.0)
    await b.reset()
    wide = [plan(make_descriptor((9, 6, 64), 8, image_src_addr=0, **shape), CORE) for shape in
            ({}, {"kernel_type": 1}, {"kernel_type": 1, "pool_type": 5}, {"kernel_type": 1, "pool_type": 1})]
    depthwise = [plan(make_descriptor((4, 8, width), 4, image_src_addr=0, kernel_type=1, depth_wise_layer=1), CORE)
                 for width in (16, 32, 40, 64, 130)]
    for p in [*wide, *depthwise, *(random_plan(b.rng) for _ in range(6))]:
        await b.run(p, limit=1)
        one = b.chosen[0]
        rows = line_rows(p, one.block, one.number)
        move = move_cycles(p, one.block, CORE)
        words, same_lines = one.command["words"], not (p.k3 or p.dwfast)
        end_of_first, end = (Features().use(part, len(one.takes), 0, 0, move, same_lines, words)[0]
                             for part in (rows[:1], rows))
        counted = b.taken[-1] - b.taken[len(one.takes) - 1]
        assert counted <= end - end_of_first + 4, f"{counted} cycles instead of {end - end_of_first}: {p}"


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_window(simulator, name):
    core = CORES[name]
    run_bench(simulator, "tb_window", "tb.conv.test_window", [Path(__file__).with_name("tb_window.v")],
              parameters={"SEGS": core.SEGS, "LANES": core.SEGS * core.LPS},
              environment={"KPU_CONFIG": name})
