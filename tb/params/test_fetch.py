# SPDX-License-Identifier: Apache-2.0
"""kpu_fetch and kpu_unpack: tables, weight entries and weight sums of random layers, bursts, bus errors."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CoreParameters
from openkpu.hw.fields import SRAM_BASE
from openkpu.schedule.plan import Plan, plan
from tb.bench import SIMULATORS, run_bench
from tb.plans import fields, pack

# A small weight buffer, so that channels are cut into several pieces.
CORE = CoreParameters(SEGS=4, SEGLEN=4, LPS=2, DEPTH=64, AIRAM_ROWS=4096, WEIGHT_ENTRIES=256)
MEMORY = 1 << 17
SLVERR = 2


class Bench:
    """Memory with random content behind the read channels; collects everything that comes out."""

    def __init__(self, dut, stall: float):
        self.dut, self.stall = dut, stall
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.memory = self.rng.randbytes(MEMORY)
        self.bad: set[int] = set()      # word addresses that answer with an error
        self.longest = 256
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())

    async def reset(self) -> None:
        dut = self.dut
        for name in ("plan_valid", "m_axi_arready", "m_axi_rvalid", "entry_ready"):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        dut.rst.value = 0
        self.beats: deque[int] = deque()
        self.act, self.bn, self.sums, self.entries = {}, {}, {}, []
        self.errors = self.layers = 0
        self.fetched: list[int] = []
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        """One step per clock: inputs after the rising edge, handshakes before the next."""
        dut = self.dut
        marks = None
        while True:
            dut.m_axi_arready.value = int(self.rng.random() >= self.stall and len(self.beats) < 300)
            if self.beats and self.rng.random() >= self.stall:
                address = self.beats[0]
                dut.m_axi_rvalid.value = 1
                dut.m_axi_rdata.value = int.from_bytes(self.memory[address:address + 8], "little")
                dut.m_axi_rresp.value = SLVERR if address in self.bad else 0
            else:
                dut.m_axi_rvalid.value = 0
            dut.entry_ready.value = int(self.rng.random() >= self.stall)
            await FallingEdge(dut.clk)
            if dut.m_axi_rvalid.value == 1 and dut.m_axi_rready.value == 1:
                self.fetched.append(self.beats.popleft())
            if dut.m_axi_arvalid.value == 1 and dut.m_axi_arready.value == 1:
                self._burst(int(dut.m_axi_araddr.value), int(dut.m_axi_arlen.value) + 1)
            for we, table, bank in ((dut.act_we, self.act, dut.table_bank), (dut.bn_we, self.bn, dut.table_bank)):
                if we.value == 1:
                    table[int(bank.value), int(dut.table_index.value)] = int(dut.table_data.value)
            if dut.sw_we.value == 1:
                self.sums[int(dut.sw_wbank.value), int(dut.sw_index.value)] = int(dut.sw_data.value)
            if dut.entry_valid.value == 1 and dut.entry_ready.value == 1:
                self.entries.append(int(dut.entry.value).to_bytes(9, "little"))
            self.errors += int(dut.bus_error.value == 1)
            if marks is not None:
                self.layers += (int(dut.marks.value) - marks) % 4
            marks = int(dut.marks.value)
            await RisingEdge(dut.clk)

    def _burst(self, address: int, beats: int) -> None:
        assert int(self.dut.m_axi_arsize.value) == 3 and int(self.dut.m_axi_arburst.value) == 1
        assert address % 8 == 0 and beats <= self.longest
        assert address // 4096 == (address + 8 * beats - 1) // 4096, f"burst of {beats} at 0x{address:x} crosses 4 KB"
        self.beats += range(address - SRAM_BASE, address - SRAM_BASE + 8 * beats, 8)

    async def fetch(self, p: Plan, errors: int = 0) -> None:
        """Let one layer's parameters come in."""
        dut = self.dut
        self.longest = p.descriptor.dma_burst_size
        dut.plan.value = pack(fields(p) | {"ERR": errors})
        dut.plan_valid.value = 1
        await FallingEdge(dut.clk)
        while dut.plan_ready.value != 1:
            await FallingEdge(dut.clk)
        await RisingEdge(dut.clk)
        dut.plan_valid.value = 0
        # Idle: the address side is ready again and no word has come for a while.
        quiet = waited = 0
        while quiet < 80:
            waited += 1
            assert waited < 100_000, f"the fetch does not end: {p}"
            before = len(self.fetched)
            await FallingEdge(dut.clk)
            await RisingEdge(dut.clk)
            quiet = quiet + 1 if dut.plan_ready.value == 1 and len(self.fetched) == before and not self.beats else 0

    def bytes(self, address: int, size: int) -> bytes:
        return self.memory[address - SRAM_BASE:address - SRAM_BASE + size]

    def channel(self, p: Plan, o: int) -> bytes:
        """Weights of an output channel."""
        d = p.descriptor
        load, within = divmod(o, d.o_ch_num_coef)
        return self.bytes(d.para_start_addr + load * d.para_size + within * p.channel_bytes, p.channel_bytes)


def cut(p: Plan, data: bytes) -> list[bytes]:
    """Weight-buffer entries of consecutive weights of one channel."""
    step = 18 if p.wide else 9
    entries = []
    for first in range(0, len(data), step):
        group = data[first:first + step]
        parts = [group[0::2], group[1::2]] if p.wide else [group]
        entries += [part + bytes(9 - len(part)) for part in parts]
    if p.dwfast and not p.k3:  # the 1x1 kernel is the centre of a 3x3 window
        entries = [bytes(4) + entry[:1] + bytes(4) for entry in entries]
    return entries


def expected_entries(p: Plan, channel) -> list[bytes]:
    """All entries of a layer in order: repetition, block, piece, channel."""
    oc = p.descriptor.o_ch_num
    whole = p.channel_bytes <= 9 * p.piece
    block = oc if whole else CORE.SEGS * CORE.SEGLEN >> p.lgp
    size = p.channel_bytes if whole else 9 * p.piece
    once = [entry for first in range(0, oc, block) for offset in range(0, p.channel_bytes, size)
            for o in range(first, min(first + block, oc)) for entry in cut(p, channel(o)[offset:offset + size])]
    return once * (1 if p.keep else p.repetitions)


def random_plan(rng: random.Random) -> Plan:
    eight_bit = rng.random() < 0.6
    shape = rng.choice(({}, {"kernel_type": 1}, {"depth_wise_layer": 1}, {"depth_wise_layer": 1, "kernel_type": 1}))
    channels, outs = rng.randint(1, rng.choice((10, 60, 200))), rng.randint(1, rng.choice((4, 20, 40)))
    if "depth_wise_layer" in shape:
        channels = outs
    taps = 9 if "kernel_type" in shape else 1
    channels = min(channels, 40_000 // (outs * taps * 2))
    width, height = rng.choice((4, 20, 70)), rng.randint(1, 8)
    act = SRAM_BASE + 8 * rng.randrange(600)
    bn = act + 144 + 8 * rng.randrange(600)
    weights = bn + 8 * outs + rng.randrange(4000)
    per_load = rng.randint(1, outs)
    d = make_descriptor((channels, height, width), outs, eight_bit=eight_bit, active_addr=act, bwsx_base_addr=bn,
                        para_start_addr=weights, o_ch_num_coef=per_load, load_act=rng.getrandbits(1),
                        load_para=rng.getrandbits(1), dma_burst_size=rng.choice((1, 2, 16, 256)), **shape)
    return plan(d, CORE, eight_bit)


async def check(b: Bench, p: Plan) -> None:
    """Fetch one layer on an idle unit and compare all that it gives."""
    d, dut = p.descriptor, b.dut
    b.act, b.bn, b.sums, b.entries, b.layers = {}, {}, {}, [], 0
    await b.fetch(p)
    words = {"act": np.frombuffer(b.bytes(d.active_addr, 144), "<u8").tolist() if d.load_act else [],
             "bn": np.frombuffer(b.bytes(d.bwsx_base_addr, 8 * d.o_ch_num), "<u8").tolist() if d.load_para else []}
    assert b.act == {(int(dut.act_bank.value), i): w for i, w in enumerate(words["act"])}, str(d)
    assert b.bn == {(int(dut.bn_bank.value), i): w for i, w in enumerate(words["bn"])}, str(d)
    sums = [int(np.frombuffer(b.channel(p, o), "<u2" if p.wide else "u1").sum()) for o in range(d.o_ch_num)]
    assert b.entries == expected_entries(p, lambda o: b.channel(p, o)), str(d)
    assert b.sums == {(int(dut.sw_bank.value), o): s for o, s in enumerate(sums)}, str(d)
    assert b.layers == 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def parameters_of_random_layers(dut):
    b = Bench(dut, stall=0.0)
    await b.reset()
    for _ in range(25):
        await check(b, random_plan(b.rng))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def stalls_change_nothing(dut):
    b = Bench(dut, stall=0.5)
    await b.reset()
    for _ in range(10):
        await check(b, random_plan(b.rng))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def illegal_and_bypassed_layers_fetch_no_weights(dut):
    b = Bench(dut, stall=0.2)
    await b.reset()
    p = random_plan(b.rng)
    await b.fetch(p, errors=1)
    assert b.layers == 1 and not b.fetched, "an illegal layer only passes its mark"
    d = make_descriptor((5, 4, 4), 5, bypass_conv=1)
    await b.fetch(plan(d, CORE))
    assert b.layers == 2 and len(b.fetched) == 18 + 5 and not b.entries


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def every_bus_error_is_reported_and_the_layer_ends(dut):
    b = Bench(dut, stall=0.2)
    await b.reset()
    p = random_plan(b.rng)
    first = p.descriptor.para_start_addr - SRAM_BASE
    b.bad = {first // 8 * 8}
    await b.fetch(p)
    assert b.errors == b.fetched.count(first // 8 * 8) > 0
    b.bad.clear()
    await check(b, random_plan(b.rng))


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_kpu_fetch(simulator):
    run_bench(simulator, "tb_fetch", "tb.params.test_fetch", [Path(__file__).with_name("tb_fetch.v")],
              parameters={"LGPES": 4})
