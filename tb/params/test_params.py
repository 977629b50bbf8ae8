# SPDX-License-Identifier: Apache-2.0
"""kpu_params: every lane gets batch norm and constant term of the channel it serves, and keeps them while in use."""

from __future__ import annotations

import os
import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.golden.reference import wrap36
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import replace
from openkpu.schedule.cycles import blocks
from openkpu.schedule.plan import Plan, plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.commands import block_command, random_plan
from tb.plans import fields, pack

NAME = os.environ.get("KPU_CONFIG", "full")
CORE = CORES[NAME]
LANES = CORE.SEGS * CORE.LPS
WIDTHS = {"bn": 64, "sw": 30}  # bits of a table's entry
CHANNELS = 1024
AHEAD = 3  # blocks that begin before the lanes have the first one's parameters


class Bench(ClockedBench):
    """Writes the tables as the parameter fetch does, keeps the lanes' two sets, takes and frees them as the drain does.

    ``tables`` has both banks of each table, ``bank`` the one of the layer in execution.
    """

    low = ("s_valid", "begin_block", "params_take", "params_free", "tables_there", "bn_we", "sw_we")

    async def reset(self) -> None:
        await super().reset()
        self.lanes: list[list] = [[None] * LANES for _ in range(2)]
        self.tables: dict[str, list[list]] = {name: [[None] * CHANNELS for _ in range(2)] for name in WIDTHS}
        self.bank = dict.fromkeys(WIDTHS, 0)
        self.next_set = 0

    def _write(self, table: str, bank: int, index: int) -> None:
        value = self.rng.choice((0, (1 << WIDTHS[table]) - 1, *(self.rng.getrandbits(WIDTHS[table]),) * 6))
        for name, data in (("we", 1), ("wbank", bank), ("windex", index), ("wdata", value)):
            getattr(self.dut, f"{table}_{name}").value = data
        self.tables[table][bank][index] = value

    async def run(self, p: Plan, cycles: int | None = None) -> None:
        """One layer's sets of parameters, or its first ``cycles``; meanwhile the next layer's tables come in."""
        dut, rng, d = self.dut, self.rng, p.descriptor
        dut.layer.value = pack(fields(p))
        fetched = {"bn": rng.random() < 0.7, "sw": not d.bypass_conv}
        for name in WIDTHS:
            self.bank[name] ^= fetched[name]
            getattr(dut, f"{name}_bank").value = self.bank[name]
        channels = [b.channel for b in blocks(p) if block_command(p, b)["params"]][:40]
        phases = 1 if p.dwfast else CORE.SEGLEN // CORE.LPS
        wanted = deque((channel, phase) for channel in channels for phase in range(phases))
        norms = deque(range(d.o_ch_num) if fetched["bn"] else ())
        sums = deque(range(min(max(channels) + p.block, d.o_ch_num)) if fetched["sw"] else ())
        commands, to_begin = deque(channels), deque(channels)
        in_use: deque[tuple[list, int]] = deque()  # what the lanes must hold, and where
        for _ in range(cycles or 2 * CHANNELS + 40 * len(wanted) + int(4 * len(wanted) * LANES / (1 - self.stall))):
            # A command waits in its queue until it is taken.
            dut.s_valid.value = int(bool(commands) and (dut.s_valid.value == 1 or rng.random() >= self.stall))
            dut.s_channel.value = commands[0] if commands else rng.getrandbits(11)
            dut.tables_there.value = int(not norms)
            self._fetch("bn", norms)
            # A block begins when all of its weights, and with them their sums, have come.
            begin = bool(to_begin) and len(commands) - len(to_begin) < AHEAD and rng.random() >= self.stall \
                and (not sums or sums[0] >= to_begin[0] + p.block)
            dut.begin_block.value = int(begin)
            if begin:
                to_begin.popleft()
            self._fetch("sw", sums)
            free = bool(in_use) and rng.random() < 0.1
            dut.params_free.value = int(free)
            dut.params_take.value = 0
            await FallingEdge(dut.clk)
            if dut.params_valid.value == 1 and rng.random() >= self.stall:
                assert len(in_use) < 2, "a third set is loaded while two are in use"
                dut.params_take.value = 1
                channel, phase = wanted.popleft()
                in_use.append((self._expected(p, channel, phase), self.next_set))
                self._compare(*in_use[-1], p)
                self.next_set ^= 1
            self._listen()
            if free:
                self._compare(*in_use.popleft(), p)
            if dut.s_valid.value == 1 and dut.s_ready.value == 1:
                commands.popleft()
            await RisingEdge(dut.clk)
            if not wanted and not in_use:
                break
        else:
            assert cycles, f"{len(wanted)} sets are missing: {p}"
            return
        assert not commands and not to_begin
        dut.params_free.value = dut.s_valid.value = 0

    def _fetch(self, table: str, left: deque[int]) -> None:
        """Write the layer's next entry, or one of the next layer's."""
        getattr(self.dut, f"{table}_we").value = 0
        if left and self.rng.random() >= self.stall:
            self._write(table, self.bank[table], left.popleft())
        elif not left and self.rng.random() < 0.5:
            self._write(table, 1 - self.bank[table], self.rng.randrange(CHANNELS))

    def _listen(self) -> None:
        """A write into the lanes."""
        dut = self.dut
        if dut.p_we.value != 1:
            return
        bank, segment, mask, every, lane = (int(getattr(dut, f"p_{name}").value) for name in (
            "bank", "seg", "mask", "all", "lane"))
        written = dut.p_bn.value, dut.p_c.value
        for s in range(CORE.SEGS):
            for i in range(CORE.LPS):
                if not (s ^ segment) & mask and (every or lane == i):
                    self.lanes[bank][s * CORE.LPS + i] = written

    def _expected(self, p: Plan, channel: int, phase: int) -> list[tuple[int, int] | None]:
        """(batch norm, constant) of every lane in one phase of a block; None where none is served."""
        d = p.descriptor
        result: list[tuple[int, int] | None] = []
        for lane in range(LANES):
            segment, i = divmod(lane, CORE.LPS)
            nth = segment % (CORE.SEGS >> p.lgp)
            o = lane // (LANES // p.block) if p.dwfast else nth * CORE.SEGLEN + phase * CORE.LPS + i
            if o >= min(p.block, d.o_ch_num - channel):
                result.append(None)
                continue
            bn, s_w = (self.tables[name][self.bank[name]][channel + o] for name in ("bn", "sw"))
            c = 0
            if not d.bypass_conv:
                c = wrap36((d.arg_w * s_w >> d.shr_w) + d.arg_add * (1 if d.depthwise else d.i_ch_num))
            # Entries that no layer has loaded are undefined.
            result.append(None if bn is None else (bn & (1 << 60) - 1, c & (1 << 36) - 1))
        return result

    def _compare(self, expected: list[tuple[int, int] | None], bank: int, p: Plan) -> None:
        for lane, (got, value) in enumerate(zip(self.lanes[bank], expected, strict=True)):
            assert value is None or got == value, f"lane {lane}: {got} instead of {value}: {p}"


def layer(b: Bench) -> Plan:
    """Any layer, with arguments of any size."""
    return with_arguments(random_plan(b.rng, CORE, most_passes=300, most_cycles=1_000_000), b.rng)


def with_arguments(p: Plan, rng: random.Random) -> Plan:
    arguments = {"arg_w": rng.choice((0, -1 << 23, (1 << 23) - 1, rng.randrange(-1 << 23, 1 << 23))),
                 "shr_w": rng.randrange(16), "arg_add": rng.randrange(-1 << 39, 1 << 39)}
    return replace(p, descriptor=replace(p.descriptor, **arguments))


@cocotb.test()
async def lanes_of_random_layers(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(5):
        await b.run(layer(b))


@cocotb.test()
async def narrow_depthwise_channels_share_the_lanes(dut):
    b = Bench(dut, 0.1)
    await b.reset()
    for width in (16, 32, 64):
        d = make_descriptor((9, 4, width), 9, depth_wise_layer=1, image_dst_addr=0)
        await b.run(with_arguments(plan(d, CORE), b.rng))


@cocotb.test()
async def late_tables_and_busy_lanes_change_nothing(dut):
    b = Bench(dut, 0.4)
    await b.reset()
    for _ in range(3):
        await b.run(layer(b))


@cocotb.test()
async def reset_in_the_middle_of_a_layer(dut):
    b = Bench(dut, 0.2)
    for _ in range(3):
        await b.reset()
        await b.run(layer(b), cycles=b.rng.randint(1, 400))
    await b.reset()
    await b.run(layer(b))


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_params(simulator, name):
    core = CORES[name]
    run_bench(simulator, "kpu_params", "tb.params.test_params",
              parameters={"SEGS": core.SEGS, "SEGLEN": core.SEGLEN, "LPS": core.LPS},
              environment={"KPU_CONFIG": name})
