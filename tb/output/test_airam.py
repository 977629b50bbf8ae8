# SPDX-License-Identifier: Apache-2.0
"""kpu_airam: the core's ports and the AXI4 slave on one memory, against an array of bytes."""

from __future__ import annotations

import logging
import os
import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBurstType, AxiBus, AxiMaster, AxiResp

from openkpu.hw.fields import ROW_BYTES
from tb.bench import SIMULATORS, run_bench
from tb.registers import pauses

ROWS = 100  # no power of two: the last rows of the address space do not exist
SIZE = ROWS * ROW_BYTES
CLOCK_NS = 10
WR_BYTES = int(os.environ.get("KPU_WR_BYTES", "64"))


class Bench:
    """Both sides of the memory and what it must hold."""

    def __init__(self, dut, stall: float = 0.0, master: bool = True):
        self.dut = dut
        self.master = master
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.model = bytearray(SIZE)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        cocotb.start_soon(Clock(dut.clk, CLOCK_NS, "ns").start())
        if not master:
            return
        self.axi = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst, max_burst_len=256)
        if stall:
            for channel in (self.axi.write_if.aw_channel, self.axi.write_if.w_channel, self.axi.write_if.b_channel,
                            self.axi.read_if.ar_channel, self.axi.read_if.r_channel):
                channel.set_pause_generator(pauses(self.rng, stall))

    async def reset(self) -> None:
        dut = self.dut
        for name in ("rd_valid", "rd_row", "rd_lane", "wr_valid", "wr_row", "wr_be", "wr_data"):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 1)
        content = self.rng.randbytes(SIZE)
        if self.master:
            self.model[:] = content
            await self.axi.write(0, content)
        else:
            for row in range(ROWS):
                await self.core_write(row, (1 << ROW_BYTES) - 1, content[row * ROW_BYTES:(row + 1) * ROW_BYTES])

    async def core_write(self, row: int, enables: int, data: bytes) -> None:
        dut = self.dut
        await self._until(dut.wr_hold, 0)
        dut.wr_valid.value, dut.wr_row.value, dut.wr_be.value = 1, row, enables
        dut.wr_data.value = int.from_bytes(data[:WR_BYTES], "little")
        await RisingEdge(dut.clk)
        dut.wr_valid.value = 0
        for i in range(ROW_BYTES):
            if enables >> i & 1:
                self.model[row * ROW_BYTES + i] = data[i % WR_BYTES]

    async def core_read(self, row: int) -> bytes:
        dut = self.dut
        lane = self.rng.randrange(ROW_BYTES // 8)
        dut.rd_valid.value, dut.rd_row.value, dut.rd_lane.value = 1, row, lane
        await self._until(dut.rd_ready, 1)
        dut.rd_valid.value = 0
        await ReadOnly()
        assert dut.rd_rvalid.value == 1, "data follow an accepted read by one cycle"
        data = int(dut.rd_rdata.value).to_bytes(ROW_BYTES, "little")
        assert int(dut.rd_piece.value).to_bytes(8, "little") == data[8 * lane:8 * lane + 8]
        await RisingEdge(dut.clk)
        return data

    async def _until(self, signal, value: int) -> None:
        """The end of the first cycle in which the signal has the value."""
        while True:
            await ReadOnly()
            there = signal.value == value
            await RisingEdge(self.dut.clk)
            if there:
                return

    def row(self, row: int) -> bytes:
        return bytes(self.model[row * ROW_BYTES:(row + 1) * ROW_BYTES])


async def start(dut, stall: float = 0.0) -> Bench:
    bench = Bench(dut, stall)
    await bench.reset()
    return bench


@cocotb.test()
async def bus_reads_back_what_it_wrote_in_bursts_of_any_shape(dut):
    b = await start(dut, stall=0.3)
    for _ in range(60):
        size = b.rng.randint(0, 3)
        length = b.rng.randint(1, 600)
        address = b.rng.randrange(SIZE - length)
        if b.rng.random() < 0.5:
            data = b.rng.randbytes(length)
            b.model[address:address + length] = data
            answer = await b.axi.write(address, data, size=size)
            assert answer.resp == AxiResp.OKAY
        else:
            answer = await b.axi.read(address, length, size=size)
            assert answer.resp == AxiResp.OKAY
            assert answer.data == bytes(b.model[address:address + length])
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@cocotb.test()
async def fixed_bursts_stay_at_their_address(dut):
    b = await start(dut)
    answer = await b.axi.read(640, 32, burst=AxiBurstType.FIXED)
    assert answer.data == bytes(b.model[640:648]) * 4
    await b.axi.write(1024, bytes(range(16)), burst=AxiBurstType.FIXED)
    b.model[1024:1032] = bytes(range(8, 16))
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@cocotb.test()
async def wrapping_bursts_begin_again_at_their_boundary(dut):
    """Straight on the wires: cocotbext-axi's master sends no such bursts."""
    b = Bench(dut, master=False)
    for channel in ("aw", "w", "ar"):
        getattr(dut, f"s_axi_{channel}valid").value = 0
    dut.s_axi_rready.value = 1
    dut.s_axi_bready.value = 1
    await b.reset()
    for beats in (2, 4, 8, 16):
        for first in range(0, beats, max(1, beats // 4)):
            got = await _wrapping_read(dut, 1024 + 8 * first, beats)
            order = [(first + i) % beats for i in range(beats)]
            assert got == b"".join(b.model[1024 + 8 * i:1032 + 8 * i] for i in order), (beats, first)


async def _wrapping_read(dut, address: int, beats: int) -> bytes:
    dut.s_axi_arvalid.value = 1
    dut.s_axi_araddr.value = address
    dut.s_axi_arlen.value = beats - 1
    dut.s_axi_arsize.value = 3
    dut.s_axi_arburst.value = 2
    data = b""
    while True:
        await ReadOnly()
        taken = dut.s_axi_arready.value == 1
        await RisingEdge(dut.clk)
        if taken:
            break
    dut.s_axi_arvalid.value = 0
    last = False
    while not last:
        await ReadOnly()
        if dut.s_axi_rvalid.value == 1:
            assert dut.s_axi_rresp.value == 0
            data += int(dut.s_axi_rdata.value).to_bytes(8, "little")
            last = dut.s_axi_rlast.value == 1
        await RisingEdge(dut.clk)
    return data


@cocotb.test()
async def rows_that_do_not_exist_answer_slverr_and_change_nothing(dut):
    b = await start(dut)
    for address in (SIZE, SIZE + 8 * 5, (1 << 21) - 64):
        assert (await b.axi.write(address, bytes(64))).resp == AxiResp.SLVERR
        answer = await b.axi.read(address, 64)
        assert answer.resp == AxiResp.SLVERR and answer.data == bytes(64)
    answer = await b.axi.write(SIZE - 16, bytes(32))
    assert answer.resp == AxiResp.SLVERR, "a burst that runs out of the memory"
    b.model[SIZE - 16:] = bytes(16)
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@cocotb.test()
async def bursts_move_one_beat_per_cycle(dut):
    b = await start(dut)
    beats = 256
    for access in (lambda: b.axi.read(0, 8 * beats), lambda: b.axi.write(0, bytes(8 * beats))):
        begin = get_sim_time("ns")
        await access()
        cycles = (get_sim_time("ns") - begin) / CLOCK_NS
        assert beats <= cycles <= beats + 10, cycles


@cocotb.test()
async def core_writes_exactly_the_enabled_bytes(dut):
    b = await start(dut, stall=0.2)
    for _ in range(100):
        row = b.rng.randrange(ROWS)
        enables = b.rng.choice((0, b.rng.getrandbits(64), (1 << 64) - 1))
        await b.core_write(row, enables, b.rng.randbytes(ROW_BYTES))
        assert await b.core_read(row) == b.row(row), "a read right behind the write sees it"
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@cocotb.test()
async def core_reads_one_row_per_cycle(dut):
    b = await start(dut)
    await RisingEdge(dut.clk)
    dut.rd_valid.value = 1
    for row in range(ROWS):
        dut.rd_row.value = row
        await RisingEdge(dut.clk)
        await ReadOnly()
        assert dut.rd_rvalid.value == 1
        assert int(dut.rd_rdata.value).to_bytes(ROW_BYTES, "little") == b.row(row)
        await FallingEdge(dut.clk)


@cocotb.test()
async def bus_and_core_traffic_do_not_disturb_each_other(dut):
    """Core and bus work on their own halves at the same time, both with stalls."""
    b = await start(dut, stall=0.3)
    half = ROWS // 2

    async def core(count: int):
        for _ in range(count):
            row = b.rng.randrange(half)
            if b.rng.random() < 0.5:
                await b.core_write(row, b.rng.getrandbits(64), b.rng.randbytes(ROW_BYTES))
            else:
                assert await b.core_read(row) == b.row(row)
            await ClockCycles(dut.clk, b.rng.choice((1, 1, 4)))

    async def bus(count: int):
        for _ in range(count):
            length = b.rng.randint(1, 400)
            address = b.rng.randrange(half * ROW_BYTES, SIZE - length)
            if b.rng.random() < 0.5:
                data = b.rng.randbytes(length)
                await b.axi.write(address, data)
                b.model[address:address + length] = data
            else:
                assert (await b.axi.read(address, length)).data == bytes(b.model[address:address + length])

    tasks = [cocotb.start_soon(core(300)), cocotb.start_soon(bus(40))]
    for task in tasks:
        await task
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@cocotb.test()
async def bus_writes_do_not_wait_for_a_core_that_writes_whenever_it_may(dut):
    b = await start(dut)
    beats, half = 256, ROWS // 2
    busy = True

    async def core():
        while busy:
            await b.core_write(b.rng.randrange(half), (1 << ROW_BYTES) - 1, b.rng.randbytes(ROW_BYTES))

    task = cocotb.start_soon(core())
    for _ in range(3):
        address, data = half * ROW_BYTES, b.rng.randbytes(8 * beats)
        begin = get_sim_time("ns")
        await b.axi.write(address, data)
        assert (get_sim_time("ns") - begin) / CLOCK_NS <= beats + 10
        b.model[address:address + len(data)] = data
    busy = False
    await task
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@cocotb.test()
async def reset_in_the_middle_of_bursts_leaves_a_working_memory(dut):
    b = await start(dut)
    for _ in range(5):
        cocotb.start_soon(b.axi.read(0, 2048))
        cocotb.start_soon(b.axi.write(SIZE // 2, bytes(1024)))
        await ClockCycles(dut.clk, b.rng.randint(5, 60))
        await b.reset()
        assert (await b.axi.read(0, SIZE)).data == bytes(b.model)


@pytest.mark.parametrize("wr_bytes", (64, 16))
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_kpu_airam(simulator, wr_bytes):
    run_bench(simulator, "kpu_airam", "tb.output.test_airam",
              parameters={"ROWS": ROWS, "WR_BYTES": wr_bytes}, environment={"KPU_WR_BYTES": str(wr_bytes)})
