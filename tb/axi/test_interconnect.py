# SPDX-License-Identifier: Apache-2.0
"""axi_interconnect, axi_sram and axi_to_axil under random traffic of three masters."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import (
    AxiBurstType,
    AxiBus,
    AxiLiteBus,
    AxiLiteRam,
    AxiMaster,
    AxiMasterRead,
    AxiRam,
    AxiReadBus,
    AxiResp,
)

from openkpu.hw.fields import AIRAM_BASE, FLASH_WINDOW_BASE, REGS_BASE, SRAM_BASE
from tb.bench import run_bench
from tb.registers import pauses

SRAM_BYTES = 0x10000
CACHED = 0x4000_0000  # the chip's cached view lies so much higher
HOLE = 0x4300_0000


class Bench:
    def __init__(self, dut, stall: float):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.masters = [AxiMaster(AxiBus.from_prefix(dut, f"s{i}_axi"), dut.clk, dut.rst, max_burst_len=32)
                        for i in range(2)]
        self.reader = AxiMasterRead(AxiReadBus.from_prefix(dut, "s2_axi"), dut.clk, dut.rst, max_burst_len=16)
        self.outside = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=1 << 21)
        self.registers = [AxiLiteRam(AxiLiteBus.from_prefix(dut, f"l{i}_axil"), dut.clk, dut.rst, size=1 << 16)
                          for i in range(2)]
        if stall:
            sides = [*self.masters, self.outside, *self.registers]
            channels = [self.reader.ar_channel, self.reader.r_channel]
            for side in sides:
                channels += [side.write_if.aw_channel, side.write_if.w_channel, side.write_if.b_channel,
                             side.read_if.ar_channel, side.read_if.r_channel]
            for channel in channels:
                channel.set_pause_generator(pauses(self.rng, stall))

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)


async def begin(dut, stall: float = 0.0) -> Bench:
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    bench = Bench(dut, stall)
    await bench.reset()
    return bench


async def write_and_read_back(b: Bench, master, number: int, rounds: int) -> None:
    """Own part of each memory: write, read in another view, compare with what was written so far."""
    shadow = {base: bytearray(0x400) for base in (SRAM_BASE, AIRAM_BASE)}
    for base, content in shadow.items():
        await master.write(base + number * 0x2000, bytes(content))
    for _ in range(rounds):
        base = b.rng.choice((SRAM_BASE, AIRAM_BASE))
        at, size = b.rng.randrange(0x200), b.rng.choice((1, 2, 7, 8, 40, 300))
        data = b.rng.randbytes(size)
        shadow[base][at:at + size] = data
        response = await master.write(base + number * 0x2000 + at, data)
        assert response.resp == AxiResp.OKAY
        at, size = b.rng.randrange(0x200), b.rng.choice((1, 5, 8, 64, 500))
        base = b.rng.choice((SRAM_BASE, AIRAM_BASE))
        response = await master.read(base + number * 0x2000 + at + b.rng.choice((0, CACHED)), size)
        assert response.resp == AxiResp.OKAY
        assert bytes(response.data) == shadow[base][at:at + size], (number, hex(base), hex(at), size)


@cocotb.test()
async def masters_do_not_disturb_each_other(dut):
    b = await begin(dut, stall=0.3)
    image = b.rng.randbytes(0x1000)
    await b.masters[0].write(SRAM_BASE + 0x8000, image)

    async def read_only():
        for _ in range(15):
            at, size = b.rng.randrange(0xC00), b.rng.choice((8, 128, 400))
            response = await b.reader.read(SRAM_BASE + 0x8000 + at, size)
            assert bytes(response.data) == image[at:at + size]

    tasks = [cocotb.start_soon(write_and_read_back(b, b.masters[0], 0, 15)),
             cocotb.start_soon(write_and_read_back(b, b.masters[1], 1, 15)), cocotb.start_soon(read_only())]
    for task in tasks:
        await with_timeout(task, 2, "ms")


@cocotb.test()
async def the_sram_sustains_eight_bytes_per_cycle(dut):
    b = await begin(dut)
    image = b.rng.randbytes(4096)
    await b.masters[0].write(SRAM_BASE, image)
    start = get_sim_time("ns")
    response = await b.reader.read(SRAM_BASE, 4096)
    cycles = (get_sim_time("ns") - start) / 10
    assert bytes(response.data) == image
    assert cycles < 512 + 24, f"{cycles} cycles for 512 words in bursts of 16"


@cocotb.test()
async def unowned_addresses_answer_decerr_and_nothing_hangs(dut):
    b = await begin(dut, stall=0.2)
    await b.masters[0].write(SRAM_BASE, b"\x5a" * 64)
    for master in b.masters:
        for address in (HOLE, SRAM_BASE + SRAM_BYTES, REGS_BASE + 0x20_0000, REGS_BASE + 0x1_0000, 0x7000_0000):
            assert (await with_timeout(master.read(address, 200), 100, "us")).resp == AxiResp.DECERR
            assert (await with_timeout(master.write(address, bytes(200)), 100, "us")).resp == AxiResp.DECERR
        assert (await master.write(FLASH_WINDOW_BASE, bytes(8))).resp == AxiResp.DECERR, "read-only slave"
    assert (await b.reader.read(HOLE, 1000)).resp == AxiResp.DECERR
    assert bytes((await b.reader.read(SRAM_BASE, 64)).data) == b"\x5a" * 64


@cocotb.test()
async def a_stalled_slave_holds_up_only_its_own_users(dut):
    b = await begin(dut)
    await b.masters[1].write(SRAM_BASE, bytes(range(256)))
    b.outside.read_if.r_channel.pause = True
    b.outside.write_if.b_channel.pause = True
    stuck = [cocotb.start_soon(b.masters[0].read(AIRAM_BASE, 64)),
             cocotb.start_soon(b.masters[0].write(AIRAM_BASE, b"1"))]
    await ClockCycles(dut.clk, 50)
    assert bytes((await with_timeout(b.masters[1].read(SRAM_BASE, 256), 10, "us")).data) == bytes(range(256))
    assert bytes((await with_timeout(b.reader.read(SRAM_BASE, 256), 10, "us")).data) == bytes(range(256))
    assert not any(task.done() for task in stuck)
    b.outside.read_if.r_channel.pause = False
    b.outside.write_if.b_channel.pause = False
    for task in stuck:
        await with_timeout(task, 10, "us")


@cocotb.test()
async def registers_see_one_access_per_beat(dut):
    b = await begin(dut, stall=0.3)
    host = b.masters[0]
    await host.write(REGS_BASE + 0x40, bytes(range(32)))
    await host.write(REGS_BASE + 0x10_0048, b"\xee" * 8)
    assert b.registers[0].read(0x40, 32) == bytes(range(32))
    assert b.registers[1].read(0x48, 8) == b"\xee" * 8
    assert bytes((await host.read(REGS_BASE + 0x44, 4, size=2)).data) == bytes(range(4, 8))
    await host.write(REGS_BASE + 0x54, b"\xaa" * 4, size=2)
    assert b.registers[0].read(0x50, 8) == bytes(range(16, 20)) + b"\xaa" * 4
    # A FIXED burst repeats the address: the last beat stays.
    await host.write(REGS_BASE + 0x60, bytes(range(64)), burst=AxiBurstType.FIXED)
    assert b.registers[0].read(0x60, 16) == bytes(range(56, 64)) + bytes(8)
    response = await host.read(REGS_BASE + 0x60, 24, burst=AxiBurstType.FIXED)
    assert bytes(response.data) == bytes(range(56, 64)) * 3


@cocotb.test()
async def narrow_fixed_and_wrapping_bursts_work_on_the_sram(dut):
    b = await begin(dut, stall=0.2)
    host = b.masters[0]
    image = b.rng.randbytes(256)
    await host.write(SRAM_BASE, image, size=1)
    assert bytes((await host.read(SRAM_BASE, 256, size=2)).data) == image
    assert bytes((await host.read(SRAM_BASE + 3, 5, size=0)).data) == image[3:8]
    assert bytes((await host.read(SRAM_BASE + 8, 24, burst=AxiBurstType.FIXED)).data) == image[8:16] * 3
    response = await host.read(SRAM_BASE + 0x48, 64, burst=AxiBurstType.WRAP)
    assert bytes(response.data) == image[0x48:0x80] + image[0x40:0x48]


@cocotb.test()
async def a_reset_in_the_middle_of_traffic_leaves_it_working(dut):
    b = await begin(dut, stall=0.3)
    for _ in range(6):
        tasks = [cocotb.start_soon(master.write(SRAM_BASE + 0x1000 * i, bytes(2000)))
                 for i, master in enumerate(b.masters)]
        tasks += [cocotb.start_soon(b.masters[0].read(AIRAM_BASE, 1000)), cocotb.start_soon(b.reader.read(HOLE, 999))]
        await ClockCycles(dut.clk, b.rng.randrange(3, 300))
        await b.reset()
        for task in tasks:
            task.cancel()
        for i, master in enumerate(b.masters):
            await write_and_read_back(b, master, i, 2)


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_interconnect(simulator):
    run_bench(simulator, "tb_interconnect", "tb.axi.test_interconnect",
              [Path(__file__).with_name("tb_interconnect.v")])
