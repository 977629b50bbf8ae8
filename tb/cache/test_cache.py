# SPDX-License-Identifier: Apache-2.0
"""kpu_cache: the core's ports and the AXI4 slave on rows in an external memory, against an array of bytes."""

from __future__ import annotations

import logging
import os
import random
from collections import deque

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiRam, AxiResp

from openkpu.hw.fields import ROW_BYTES
from tb.bench import SIMULATORS, run_bench
from tb.registers import pauses

ROWS = 128
SIZE = ROWS * ROW_BYTES
BASE = 0x10000
LINES = int(os.environ.get("KPU_LINES", "16"))
WR_BYTES = int(os.environ.get("KPU_WR_BYTES", "16"))
ALL = (1 << ROW_BYTES) - 1
READS_UNDER_WAY = 8  # credits of kpu_feature_fetch
LONGEST_WAIT = 3_000  # cycles


class Bench:
    """The cache between its users and a memory, and what the rows must hold.

    ``cycle`` plays one clock cycle of the core: a write if wr_hold allowed it, and reads without waiting for answers.
    Rows whose read is under way are not written, as the core does not either.
    """

    def __init__(self, dut, stall: float = 0.0):
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.model = bytearray(self.rng.randbytes(SIZE))
        self.reads: deque[tuple[int, int, int]] = deque()  # row, needed bytes, lane
        self.asked: tuple[int, int, int] | None = None
        self.fetched = 0   # lines read from the memory
        self.written = 0   # lines written to it
        self.errors = 0
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        self.memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=BASE + SIZE)
        self.memory.write(BASE, bytes(self.model))
        self.axi = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst, max_burst_len=256)
        sides = [self.axi.write_if.aw_channel, self.axi.write_if.w_channel, self.axi.write_if.b_channel,
                 self.axi.read_if.ar_channel, self.axi.read_if.r_channel]
        memory = [self.memory.write_if.aw_channel, self.memory.write_if.w_channel, self.memory.write_if.b_channel,
                  self.memory.read_if.ar_channel, self.memory.read_if.r_channel]
        if stall:
            for channel in sides + memory:
                channel.set_pause_generator(pauses(self.rng, stall))
        cocotb.start_soon(self._count())

    async def reset(self) -> None:
        dut = self.dut
        for name in ("rd_valid", "rd_row", "rd_lane", "rd_need", "rd_stream", "wr_valid", "wr_row", "wr_be", "wr_data",
                     "flush", "invalidate"):
            getattr(dut, name).value = 0
        self.reads.clear()
        self.asked = None
        dut.rst.value = 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        await RisingEdge(dut.clk)

    async def _count(self) -> None:
        dut = self.dut
        while True:
            await ReadOnly()
            self.fetched += dut.m_axi_arvalid.value == 1 and dut.m_axi_arready.value == 1
            self.written += dut.m_axi_awvalid.value == 1 and dut.m_axi_awready.value == 1
            self.errors += dut.rst.value == 0 and dut.bus_error.value == 1
            await RisingEdge(dut.clk)

    def row(self, row: int) -> bytes:
        return bytes(self.model[row * ROW_BYTES:(row + 1) * ROW_BYTES])

    async def cycle(self, write: tuple[int, int, bytes] | None = None,
                    read: tuple[int, int, int] | None = None) -> tuple[bool, bool]:
        """One clock cycle; (the write was allowed, the read could be asked for)."""
        dut = self.dut
        allowed = write is not None and not self.held
        dut.wr_valid.value = int(allowed)
        if allowed:
            row, enables, data = write
            dut.wr_row.value, dut.wr_be.value = row, enables
            dut.wr_data.value = int.from_bytes(data[:WR_BYTES], "little")
            for i in range(ROW_BYTES):
                if enables >> i & 1:
                    self.model[row * ROW_BYTES + i] = data[i % WR_BYTES]
        free = self.asked is None and len(self.reads) < READS_UNDER_WAY
        if read is not None and free:
            self.asked = read
            dut.rd_row.value, dut.rd_need.value, dut.rd_lane.value = read
        dut.rd_valid.value = int(self.asked is not None)
        await ReadOnly()
        accepted = self.asked is not None and dut.rd_ready.value == 1
        if dut.rd_rvalid.value == 1:
            self.check()
        self.held = dut.wr_hold.value == 1
        await RisingEdge(dut.clk)
        if accepted:
            self.reads.append(self.asked)
            self.asked = None
        return allowed, read is not None and free

    held = True

    def check(self) -> None:
        assert self.reads, "data that nobody asked for"
        row, need, lane = self.reads.popleft()
        data = self.dut.rd_rdata.value.to_unsigned().to_bytes(ROW_BYTES, "little")
        expected = self.row(row)
        wrong = [i for i in range(ROW_BYTES) if need >> i & 1 and data[i] != expected[i]]
        assert not wrong, f"row {row}, bytes {wrong}: {data.hex()} instead of {expected.hex()}"
        if need >> 8 * lane & 0xFF == 0xFF:
            piece = self.dut.rd_piece.value.to_unsigned().to_bytes(8, "little")
            assert piece == expected[8 * lane:8 * lane + 8]

    def busy_rows(self) -> set[int]:
        return {read[0] for read in self.reads} | ({self.asked[0]} if self.asked else set())

    async def write(self, row: int, enables: int, data: bytes) -> None:
        for _ in range(LONGEST_WAIT):
            if (await self.cycle(write=(row, enables, data)))[0]:
                return
        raise AssertionError("wr_hold stays high")

    async def settle(self) -> None:
        for _ in range(LONGEST_WAIT):
            if not self.reads and self.asked is None:
                return
            await self.cycle()
        raise AssertionError(f"{len(self.reads)} reads are not answered")

    async def read_all(self, rows, need: int = ALL) -> int:
        """Read rows as fast as they are accepted; cycles until the last one has come."""
        cycles = 0
        for row in rows:
            asked = False
            while not asked:
                _, asked = await self.cycle(read=(row, need, self.rng.randrange(8)))
                cycles += 1
                assert cycles < LONGEST_WAIT * len(rows)
        while self.reads or self.asked:
            await self.cycle()
            cycles += 1
            assert cycles < LONGEST_WAIT * len(rows)
        return cycles

    async def flush(self, invalidate: bool = False) -> None:
        self.dut.flush.value = 1
        self.dut.invalidate.value = int(invalidate)
        await self.cycle()
        self.dut.flush.value = 0
        self.dut.invalidate.value = 0
        await self.cycle()
        for _ in range(LONGEST_WAIT):
            await self.cycle()
            if self.dut.busy.value == 0:
                return
        raise AssertionError("the flush does not end")


async def start(dut, stall: float = 0.0) -> Bench:
    bench = Bench(dut, stall)
    await bench.reset()
    await ClockCycles(dut.clk, 2 * LINES + 8)  # the tags are emptied
    # Bytes that were never written are undefined, also on wdata without a strobe, where the memory's model takes none.
    for row in range(LINES):
        await bench.write(row, ALL, bench.rng.randbytes(ROW_BYTES))
    await bench.flush(invalidate=True)
    bench.fetched = bench.written = 0
    return bench


def some_bytes(rng: random.Random) -> int:
    """Enables or needs: everything, a run of bytes as a narrow map has it, anything."""
    kind = rng.randrange(3)
    if kind == 0:
        return ALL
    if kind == 1:
        first, count = rng.randrange(ROW_BYTES), rng.randint(1, ROW_BYTES)
        return ((1 << count) - 1 << first) & ALL
    return rng.getrandbits(ROW_BYTES)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def no_byte_is_lost_whatever_stalls(dut):
    """Random reads and writes of the core on one half of the rows, of the bus on the other, both on few sets."""
    b = await start(dut, stall=b_stall(dut))
    half = ROWS // 2

    async def bus():
        for _ in range(25):
            length = b.rng.randint(1, 300)
            address = b.rng.randrange(half * ROW_BYTES, SIZE - length)
            if b.rng.random() < 0.5:
                data = b.rng.randbytes(length)
                assert (await b.axi.write(address, data)).resp == AxiResp.OKAY
                b.model[address:address + length] = data
            else:
                assert (await b.axi.read(address, length)).data == bytes(b.model[address:address + length])

    task = cocotb.start_soon(bus())
    hot = [b.rng.randrange(half) for _ in range(LINES)]
    for _ in range(2_500):
        write = read = None
        if b.rng.random() < 0.4:
            row = b.rng.choice(hot) if b.rng.random() < 0.7 else b.rng.randrange(half)
            if row not in b.busy_rows():
                write = (row, some_bytes(b.rng), b.rng.randbytes(ROW_BYTES))
        if b.rng.random() < 0.6:
            row = b.rng.choice(hot) if b.rng.random() < 0.7 else b.rng.randrange(half)
            if write is None or write[0] != row:
                read = (row, some_bytes(b.rng), b.rng.randrange(8))
        await b.cycle(write, read)
        if b.rng.random() < 0.002:
            hot = [b.rng.randrange(half) for _ in range(LINES)]
    await b.settle()
    await task
    assert (await b.axi.read(0, SIZE)).data == bytes(b.model)
    await b.flush()
    assert b.memory.read(BASE, SIZE) == bytes(b.model), "after a flush the memory has every byte"
    assert b.errors == 0


def b_stall(dut) -> float:
    return random.Random(cocotb.RANDOM_SEED).choice((0.0, 0.2, 0.6))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def rows_in_the_cache_are_read_one_per_cycle(dut):
    b = await start(dut)
    rows = list(range(LINES))
    await b.read_all(rows)
    fetched = b.fetched
    assert await b.read_all(rows * 4) <= 4 * LINES + 8
    assert b.fetched == fetched == LINES


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def fetches_of_neighbouring_misses_overlap(dut):
    """Each line has eight beats; latency is paid once."""
    b = await start(dut)
    one = await b.read_all([0])
    assert await b.read_all(range(1, 9)) <= one + 7 * 12


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def written_bytes_are_read_back_without_a_fetch(dut):
    b = await start(dut)
    for row in range(LINES):
        await b.write(row, 0x00FFFFF000FFFFF, b.rng.randbytes(ROW_BYTES))
    await b.read_all(range(LINES), need=0x00FFFFF000FFFFF)
    assert b.fetched == 0
    await b.read_all(range(LINES), need=ALL)
    assert b.fetched == LINES, "bytes that were not written come from the memory"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def flush_writes_back_and_invalidate_forgets(dut):
    b = await start(dut)
    for row in range(ROWS // 2):
        await b.write(row, some_bytes(b.rng), b.rng.randbytes(ROW_BYTES))
    await b.flush()
    assert b.memory.read(BASE, SIZE) == bytes(b.model)
    written = b.written
    await b.flush()
    assert b.written == written, "nothing is left to write"
    await b.read_all(range(LINES // 2))
    await b.flush(invalidate=True)
    fresh = b.rng.randbytes(SIZE)
    b.memory.write(BASE, fresh)
    b.model[:] = fresh
    await b.read_all(range(ROWS))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle_leaves_a_working_cache(dut):
    b = await start(dut, stall=0.3)
    for _ in range(4):
        for _ in range(b.rng.randint(10, 80)):
            row = b.rng.randrange(ROWS)
            await b.cycle((b.rng.randrange(ROWS), ALL, bytes(ROW_BYTES)) if b.rng.random() < 0.3 else None,
                          (row, 0, 0) if b.rng.random() < 0.5 else None)
        await b.reset()
        await ClockCycles(dut.clk, 2 * LINES + 8)
        b.model[:] = b.memory.read(BASE, SIZE)  # what was not written back is gone
        await b.read_all(range(ROWS))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def errors_of_the_memory_are_reported(dut):
    b = await start(dut)
    responses = b.memory.read_if.r_channel
    original = responses.send

    async def failing(transaction):
        transaction.rresp = AxiResp.SLVERR
        await original(transaction)

    responses.send = failing
    await b.read_all([3], need=0)
    responses.send = original
    assert b.errors > 0


@pytest.mark.parametrize(("ways", "lines", "wr_bytes"), [(2, 16, 16), (1, 8, 16), (4, 32, 64)])
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_kpu_cache(simulator, ways, lines, wr_bytes):
    run_bench(simulator, "kpu_cache", "tb.cache.test_cache",
              parameters={"ROWS": ROWS, "LINES": lines, "WAYS": ways, "WR_BYTES": wr_bytes, "BASE": BASE},
              environment={"KPU_LINES": str(lines), "KPU_WR_BYTES": str(wr_bytes)})
