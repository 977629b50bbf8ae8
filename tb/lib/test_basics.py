# SPDX-License-Identifier: Apache-2.0
"""The parts that everything is built of: queue, FIFO, memory, divider, and the read buffer of the SoC."""

from __future__ import annotations

import os
import random
from collections import deque

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from tb.bench import SIMULATORS, run_bench

PARTS = {
    "kpu_queue": {"WIDTH": 11, "LGDEPTH": 2},
    "ram_fifo": {"WIDTH": 11, "DEPTH": 8},
    "kpu_ram": {"WIDTH": 128, "DEPTH": 16, "BYTE_ENABLES": 1},
    "kpu_divide": {"WIDTH": 12},
    "axi_read_buffer": {"WORDS": 512, "ID_W": 4},
}
PARAMETERS = PARTS[os.environ.get("PART", "kpu_queue")]


async def start(dut, *inputs: str) -> random.Random:
    """Clock and reset with all ``inputs`` low."""
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    for name in inputs:
        getattr(dut, name).value = 0
    await reset(dut)
    return random.Random(cocotb.RANDOM_SEED)


async def reset(dut) -> None:
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0


@cocotb.test()
async def kpu_queue_keeps_the_order_and_says_when_it_is_full(dut):
    rng = await start(dut, "s_valid", "m_ready")
    kept: deque[int] = deque()
    fullest = 0
    for number in range(800):
        if number % 200 == 199:
            await reset(dut)
            kept.clear()
        busy_end = number // 50 % 2  # fill and empty it in turn
        push, pop, data = rng.random() < 0.4 + 0.4 * busy_end, rng.random() < 0.8 - 0.4 * busy_end, rng.getrandbits(11)
        dut.s_valid.value, dut.m_ready.value, dut.s_data.value = int(push), int(pop), data
        await FallingEdge(dut.clk)
        assert (dut.m_valid.value, dut.s_ready.value) == (int(bool(kept)), int(len(kept) < 1 << PARAMETERS["LGDEPTH"]))
        if kept:
            assert int(dut.m_data.value) == kept[0]
            if pop:
                kept.popleft()
        if push and dut.s_ready.value == 1:
            kept.append(data)
        fullest = max(fullest, len(kept))
        await RisingEdge(dut.clk)
    assert fullest == 1 << PARAMETERS["LGDEPTH"]


@cocotb.test()
async def ram_fifo_keeps_the_order_and_its_level(dut):
    rng = await start(dut, "in_valid", "out_ready", "flush")
    depth, fullest = PARAMETERS["DEPTH"], 0
    kept: deque[tuple[int, int]] = deque()  # word, cycle it was written in
    for now in range(1500):
        filling = now // 60 % 2
        push, pop = rng.random() < 0.4 + 0.4 * filling, rng.random() < 0.8 - 0.4 * filling
        flush, data = rng.random() < 0.01, rng.getrandbits(11)
        for name, value in (("in_valid", push), ("out_ready", pop), ("flush", flush), ("in_data", data)):
            getattr(dut, name).value = int(value)
        await FallingEdge(dut.clk)
        assert (int(dut.level.value), dut.in_ready.value) == (len(kept), int(len(kept) < depth))
        # A word comes out two cycles after it went in, and then one per cycle.
        assert dut.out_valid.value == int(bool(kept) and kept[0][1] <= now - 2)
        room = len(kept) < depth
        if dut.out_valid.value == 1:
            assert int(dut.out_data.value) == kept[0][0]
            if pop:
                kept.popleft()
        if push and room:
            kept.append((data, now))
        if flush:
            kept.clear()
        fullest = max(fullest, len(kept))
        await RisingEdge(dut.clk)
    assert fullest == depth


@cocotb.test()
async def kpu_ram_writes_the_enabled_bytes_and_holds_what_it_read(dut):
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    rng = random.Random(cocotb.RANDOM_SEED)
    size, depth = PARAMETERS["WIDTH"] // 8, PARAMETERS["DEPTH"]
    words = [bytearray(size) for _ in range(depth)]
    read = None
    for number in range(600):
        waddr, enables = (number, (1 << size) - 1) if number < depth else (rng.randrange(depth), rng.getrandbits(size))
        raddr, re, data = rng.randrange(depth), rng.getrandbits(1), rng.randbytes(size)
        # A word that is written in the same cycle is undefined.
        re = int(re and number > depth and raddr != waddr)
        for name, value in (("we", enables), ("waddr", waddr), ("wdata", int.from_bytes(data, "little")), ("re", re),
                            ("raddr", raddr)):
            getattr(dut, name).value = value
        await RisingEdge(dut.clk)
        for i in range(size):
            if enables >> i & 1:
                words[waddr][i] = data[i]
        read = bytes(words[raddr]) if re else read
        await FallingEdge(dut.clk)
        assert read is None or int(dut.rdata.value).to_bytes(size, "little") == read


@cocotb.test()
async def kpu_divide_rounds_down_and_takes_as_many_cycles_as_bits(dut):
    rng = await start(dut, "start")
    width = PARAMETERS["WIDTH"]
    top = (1 << width) - 1
    for _ in range(60):
        dividend, divisor = (rng.choice((0, 1, top, rng.getrandbits(width) >> rng.randrange(width))) for _ in range(2))
        dut.start.value, dut.dividend.value, dut.divisor.value = 1, dividend, divisor
        await RisingEdge(dut.clk)
        # What comes while it divides is ignored.
        dut.start.value = rng.getrandbits(1)
        dut.dividend.value, dut.divisor.value = rng.getrandbits(width), rng.getrandbits(width)
        for _ in range(width):
            await FallingEdge(dut.clk)
            assert dut.busy.value == 1
            await RisingEdge(dut.clk)
            dut.start.value = 0
        await FallingEdge(dut.clk)
        assert dut.busy.value == 0
        assert int(dut.quotient.value) == (dividend // divisor if divisor else top), f"{dividend} / {divisor}"
        await RisingEdge(dut.clk)
        if rng.random() < 0.2:
            dut.start.value = 1
            await ClockCycles(dut.clk, 3)
            dut.start.value = 0
            await reset(dut)


@cocotb.test()
async def axi_read_buffer_lets_only_bursts_through_that_it_has_room_for(dut):
    rng = await start(dut, "s_axi_arvalid", "s_axi_rready", "m_axi_arready", "m_axi_rvalid")
    coming: deque[tuple[int, ...]] = deque()  # words of the bursts that were let through
    stored: deque[tuple[int, ...]] = deque()
    length = waited = 0
    asking = False
    for now in range(3000):
        taking = now // 750 % 2 == 1  # the master stops taking data for a long time
        if not asking and rng.random() < 0.1:
            asking, length = True, rng.choice((1, 16, 64, 256))
        dut.s_axi_arvalid.value, dut.s_axi_arlen.value = int(asking), length - 1 if asking else rng.getrandbits(8)
        dut.m_axi_arready.value = int(rng.random() < 0.7)
        dut.s_axi_rready.value = int(taking and rng.random() < 0.9)
        answer = bool(coming) and rng.random() < 0.9
        dut.m_axi_rvalid.value = int(answer)
        for name, value in zip(("rid", "rdata", "rresp", "rlast"), coming[0] if coming else (0, 0, 0, 0), strict=True):
            getattr(dut, f"m_axi_{name}").value = value
        await FallingEdge(dut.clk)
        room = PARAMETERS["WORDS"] - len(coming) - len(stored)
        assert dut.m_axi_arvalid.value == int(asking and length <= room)
        if asking:
            assert dut.s_axi_arready.value == int(dut.m_axi_arready.value == 1 and length <= room)
        waited += asking and length > room
        if dut.s_axi_rvalid.value == 1:
            got = tuple(int(getattr(dut, f"s_axi_{name}").value) for name in ("rid", "rdata", "rresp", "rlast"))
            assert got == stored[0]
            if dut.s_axi_rready.value == 1:
                stored.popleft()
        if answer:
            assert dut.m_axi_rready.value == 1, "the slave has to wait"
            stored.append(coming.popleft())
        if asking and dut.m_axi_arvalid.value == 1 and dut.m_axi_arready.value == 1:
            identity = rng.getrandbits(4)
            coming.extend((identity, rng.getrandbits(64), rng.choice((0, 0, 2, 3)), int(i == length - 1))
                          for i in range(length))
            asking = False
        await RisingEdge(dut.clk)
    assert waited, "the buffer was never full"


@pytest.mark.parametrize("simulator, part", [(s, part) for s in SIMULATORS for part in PARTS])
def test_part(simulator, part):
    run_bench(simulator, part, "tb.lib.test_basics", parameters=PARTS[part],
              environment={"PART": part}, test_filter=f"{part}_")
