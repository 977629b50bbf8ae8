# SPDX-License-Identifier: Apache-2.0
"""dma_engine: random transfers against a memory model, errors, time-outs, aborts and resets."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import (
    AddressSpace,
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiSlave,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSource,
    Region,
)

from openkpu.hw.dma import DESCRIPTOR_BYTES, DmaDescriptor, chain
from openkpu.hw.fields import (
    AIRAM_BASE,
    DMA_CHANNEL_BASE,
    DMA_CHANNEL_REGISTERS,
    DMA_CHANNEL_STRIDE,
    DMA_REGISTERS,
    REGS_BASE,
    SRAM_BASE,
)
from tb.bench import run_bench
from tb.registers import Registers, pauses

SIZE = 0x10000
CHAIN = SRAM_BASE + 0xF000  # descriptors live in the last page of the SRAM
CHANNELS = 2
CLEAR_ALL = 0x7F


class Memory(Region):
    """RAM that remembers which bytes were written."""

    def __init__(self, content: bytearray):
        super().__init__(len(content))
        self.content = content

    async def _read(self, address, length, **_):
        return bytes(self.content[address:address + length])

    async def _write(self, address, data, **_):
        self.content[address:address + len(data)] = data


class Port(Region):
    """A page of FIFO-like registers: reads count up from `start`, writes are collected."""

    def __init__(self):
        super().__init__(0x1000)
        self.value, self.step, self.written = 0, 1, []

    async def _read(self, address, length, **_):
        self.value += self.step
        return self.value.to_bytes(8, "little")[address % 8:address % 8 + length]

    async def _write(self, address, data, **_):
        self.written.append((address, bytes(data)))


class Bench:
    """The device under test, its memories and one register block per channel."""

    def __init__(self, dut, stall: float):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.sram = Memory(bytearray(self.rng.randbytes(SIZE)))
        self.airam = Memory(bytearray(self.rng.randbytes(SIZE)))
        self.port = Port()
        space = AddressSpace(1 << 32)
        space.register_region(self.sram, SRAM_BASE)
        space.register_region(self.airam, AIRAM_BASE)
        space.register_region(self.port, REGS_BASE)
        self.slaves = [AxiSlave(AxiBus.from_prefix(dut, f"m{i}_axi"), dut.clk, dut.rst, target=space)
                       for i in range(CHANNELS)]
        self.stream = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.regs = Registers(self.axil, 0, DMA_REGISTERS)
        self.channel = [Registers(self.axil, i * DMA_CHANNEL_STRIDE + DMA_CHANNEL_BASE, DMA_CHANNEL_REGISTERS)
                        for i in range(CHANNELS)]
        if stall:
            self.stall(stall)

    def stall(self, share: float) -> None:
        for slave in self.slaves:
            for channel in (slave.write_if.aw_channel, slave.write_if.w_channel, slave.write_if.b_channel,
                            slave.read_if.ar_channel, slave.read_if.r_channel):
                channel.set_pause_generator(pauses(self.rng, share))
        self.stream.set_pause_generator(pauses(self.rng, share))

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def open(self, channel: int = 0, base: int = SRAM_BASE, end: int = AIRAM_BASE + SIZE,
                   timeout: int = 3000) -> None:
        await self.channel[channel].write("dma_window0", base=base, end=end)
        await self.channel[channel].write("dma_timeout", timeout)

    async def start(self, descriptors: list[DmaDescriptor], channel: int = 0) -> None:
        at = CHAIN + channel * 0x800
        data = chain(descriptors, at)
        self.sram.content[at - SRAM_BASE:at - SRAM_BASE + len(data)] = data
        await self.channel[channel].write("dma_first", at)
        await self.channel[channel].write("dma_control", start=1)

    async def finish(self, channel: int = 0, polls: int = 3000) -> dict[str, int]:
        for _ in range(polls):
            status = await self.channel[channel].fields("dma_status")
            if not status["busy"]:
                await self.channel[channel].write("dma_clear", CLEAR_ALL)
                return status
        raise AssertionError(f"channel {channel} hangs: {status}")

    async def run(self, descriptors: list[DmaDescriptor], channel: int = 0) -> set[str]:
        """Names of the events of one chain."""
        await self.start(descriptors, channel)
        status = await self.finish(channel)
        return {name for name, value in status.items() if value and name != "descriptors"}

    def expect(self, d: DmaDescriptor, source: bytes | None = None) -> None:
        """Do in `self.model` what the descriptor should do in memory."""
        data = bytearray()
        for row in range(d.rows):
            at = d.src + row * d.src_stride
            data += source if source is not None else self.model[at & ~0xFFFF][at & 0xFFFF:(at & 0xFFFF) + d.row_bytes]
        if d.swap32:
            data = b"".join(bytes(reversed(data[i:i + 4])) for i in range(0, len(data), 4))
        for row in range(d.rows):
            at = d.dst + row * d.dst_stride
            self.model[at & ~0xFFFF][at & 0xFFFF:(at & 0xFFFF) + d.row_bytes] = (
                data[row * d.row_bytes:(row + 1) * d.row_bytes])

    def snapshot(self) -> None:
        self.model = {SRAM_BASE: bytearray(self.sram.content), AIRAM_BASE: bytearray(self.airam.content)}

    def check(self) -> None:
        """Every byte of both memories; the page of descriptors aside."""
        for name, base, memory in (("SRAM", SRAM_BASE, self.sram), ("AI RAM", AIRAM_BASE, self.airam)):
            end = 0xF000 if base == SRAM_BASE else SIZE
            for at in range(end):
                if self.model[base][at] != memory.content[at]:
                    raise AssertionError(f"{name} byte 0x{at:X}: 0x{memory.content[at]:02X}, not "
                                         f"0x{self.model[base][at]:02X}")

    def random_copy(self) -> DmaDescriptor:
        """SRAM to AI RAM, any alignment, rows that do not overlap."""
        rng = self.rng
        rows = rng.choice((1, 1, 2, 3, 7))
        width = rng.choice((1, 2, 5, 8, 13, 20, 64, 127, 300))
        pitch = width + rng.choice((0, 1, 8, 44))
        src_stride = rng.choice((width, 0, width + 3, -width))
        swap = rng.random() < 0.2
        if swap:
            width, pitch, src_stride = 4 * width, 4 * pitch, 4 * src_stride
        return DmaDescriptor.copy(SRAM_BASE + 0x3000 + rng.randrange(0x4000), AIRAM_BASE + rng.randrange(0xB000),
                                  width, rows, src_stride=src_stride, dst_stride=pitch, swap32=swap)


async def begin(dut, stall: float = 0.0) -> Bench:
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    bench = Bench(dut, stall)
    await bench.reset()
    return bench


@cocotb.test()
async def random_copies_of_any_alignment_move_exactly_their_bytes(dut):
    b = await begin(dut, stall=0.3)
    await b.open()
    for _ in range(12):
        descriptors = [b.random_copy() for _ in range(b.rng.randrange(1, 4))]
        b.snapshot()
        total = 0
        for d in descriptors:
            b.expect(d)
            total += d.row_bytes * d.rows
        assert await b.run(descriptors) == {"done"}, descriptors
        assert await b.channel[0].read("dma_bytes") == total
        b.check()


@cocotb.test()
async def a_long_copy_uses_the_bus_well_and_keeps_the_4_kb_rule(dut):
    b = await begin(dut)
    await b.open()
    b.snapshot()
    d = DmaDescriptor.copy(SRAM_BASE + 0xF9D, AIRAM_BASE + 0xFF3, 4096)
    b.expect(d)
    longest = 0

    async def watch():
        nonlocal longest
        while True:
            await RisingEdge(dut.clk)
            if dut.m0_axi_arvalid.value == 1:
                longest = max(longest, int(dut.m0_axi_arlen.value) + 1)

    watcher = cocotb.start_soon(watch())
    start = get_sim_time("ns")
    assert await b.run([d]) == {"done"}
    cycles = (get_sim_time("ns") - start) / 10
    watcher.cancel()
    b.check()
    assert longest == 16
    assert cycles < 4096 / 8 * 2.5, f"{cycles} cycles for 512 words"


@cocotb.test()
async def registers_are_fixed_sources_and_destinations(dut):
    b = await begin(dut, stall=0.2)
    await b.open()
    await b.channel[0].write("dma_window1", base=REGS_BASE + 0x20, end=REGS_BASE + 0x28)
    b.snapshot()
    b.port.value = 100
    into = DmaDescriptor.copy(REGS_BASE, AIRAM_BASE + 5, 21 * 8 + 3, src_fixed=1)
    out = DmaDescriptor.copy(SRAM_BASE + 3, REGS_BASE + 0x20, 96, dst_fixed=1)
    b.expect(into, b"".join((101 + i).to_bytes(8, "little") for i in range(22))[:21 * 8 + 3])
    assert await b.run([into, out]) == {"done"}
    b.check()
    assert b.port.value == 122, "as many reads as words"
    assert [address for address, _ in b.port.written] == [0x20] * 12
    assert b"".join(data for _, data in b.port.written) == b.model[SRAM_BASE][3:99]
    # The neighbouring register is outside the window.
    out = DmaDescriptor.copy(SRAM_BASE, REGS_BASE + 0x28, 8, dst_fixed=1)
    assert await b.run([out]) == {"window"}
    assert len(b.port.written) == 12


@cocotb.test()
async def the_kpu_stream_is_written_densely_and_not_over_read(dut):
    b = await begin(dut, stall=0.3)
    await b.open(1)
    for size in (1, 7, 8, 9, 300, 1023):
        b.snapshot()
        data = b.rng.randbytes(-(-size // 8) * 8)
        d = DmaDescriptor.copy(0, SRAM_BASE + b.rng.randrange(0x8000), size, src_stream=1)
        b.expect(d, data[:size])
        await b.stream.send(AxiStreamFrame(data + (0xDEAD).to_bytes(8, "little")))
        assert await b.run([d], 1) == {"done"}, size
        b.check()
        # The word behind belongs to the next transfer.
        d = DmaDescriptor.copy(0, SRAM_BASE, 8, src_stream=1)
        b.expect(d, (0xDEAD).to_bytes(8, "little"))
        assert await b.run([d], 1) == {"done"}
        b.check()


@cocotb.test()
async def a_chain_waits_for_a_register_without_software(dut):
    b = await begin(dut, stall=0.2)
    await b.open()
    b.snapshot()
    first = DmaDescriptor.copy(SRAM_BASE, AIRAM_BASE, 16, irq=1)
    wait = DmaDescriptor.wait(REGS_BASE + 8, value=5, mask=0xFF)
    last = DmaDescriptor.copy(SRAM_BASE + 100, AIRAM_BASE + 100, 16)
    for d in (first, last):
        b.expect(d)
    b.port.value, b.port.step = 0xF0, 0
    await b.regs.write("dma_irq_enable", 1)
    b.port.value = 0x104
    await b.start([first, wait, last])
    await with_timeout(RisingEdge(dut.irq), 50, "us")
    assert await b.regs.read("dma_irq_status") == 1
    await b.channel[0].write("dma_clear", CLEAR_ALL)
    await ClockCycles(dut.clk, 400)
    status = await b.channel[0].fields("dma_status")
    assert status["busy"] and status["descriptors"] == 1 and dut.irq.value == 0
    b.port.value = 0x105
    await with_timeout(RisingEdge(dut.irq), 50, "us")
    status = await b.finish()
    assert status["descriptors"] == 3
    b.check()


@cocotb.test()
async def every_error_ends_the_chain_with_its_name_and_address(dut):
    b = await begin(dut, stall=0.2)
    await b.open(timeout=500)
    copy = DmaDescriptor.copy
    good = copy(SRAM_BASE, AIRAM_BASE, 64)
    hole = AIRAM_BASE + SIZE
    cases = [
        ("bus_read", copy(0x4700_0000, AIRAM_BASE, 64), 0x4700_0000),
        ("bus_read", copy(SRAM_BASE + SIZE - 64, AIRAM_BASE, 256), SRAM_BASE + SIZE),
        ("bus_write", copy(SRAM_BASE, SRAM_BASE + SIZE, 64), SRAM_BASE + SIZE),
        ("window", copy(SRAM_BASE, hole, 8), hole),
        ("descriptor", copy(SRAM_BASE, AIRAM_BASE, 0), CHAIN),
        ("descriptor", copy(SRAM_BASE, AIRAM_BASE, 8, 0), CHAIN),
        ("descriptor", DmaDescriptor(op=7), CHAIN),
        ("descriptor", copy(SRAM_BASE + 4, AIRAM_BASE, 8, src_fixed=1), CHAIN),
        ("descriptor", copy(SRAM_BASE, AIRAM_BASE + 1, 8, dst_fixed=1), CHAIN),
        ("descriptor", copy(SRAM_BASE, AIRAM_BASE, 12, dst_fixed=1), CHAIN),
        ("descriptor", copy(0, AIRAM_BASE, 8, 2, src_stream=1), CHAIN),
        ("descriptor", copy(SRAM_BASE, AIRAM_BASE, 6, swap32=1), CHAIN),
        ("descriptor", DmaDescriptor.wait(SRAM_BASE + 4, 1), CHAIN),
        ("timeout", copy(0, AIRAM_BASE, 8, src_stream=1), CHAIN),
        ("timeout", DmaDescriptor.wait(REGS_BASE, 1 << 63), CHAIN),
        ("bus_read", DmaDescriptor.wait(0x4700_0000, 1), 0x4700_0000),
    ]
    for event, bad, fault in cases:
        b.snapshot()
        b.port.value = 0
        assert await b.run([bad, good]) == {event}, (event, bad)
        current = await b.channel[0].fields("dma_current")
        assert current == {"current": CHAIN, "fault": fault}, (event, bad, current)
        b.check()
    b.snapshot()
    for first, fault in ((CHAIN + 8, CHAIN + 8), (0x4700_0000, 0x4700_0000)):
        await b.channel[0].write("dma_first", first)
        await b.channel[0].write("dma_control", start=1)
        status = await b.finish()
        assert status["descriptor" if first == CHAIN + 8 else "bus_read"]
        assert (await b.channel[0].fields("dma_current"))["fault"] == fault
    b.check()
    b.expect(good)
    assert await b.run([good]) == {"done"}
    b.check()


@cocotb.test()
async def nothing_is_written_outside_the_windows(dut):
    """Random transfers across the edges of a small window: bytes outside never change."""
    b = await begin(dut, stall=0.1)
    base, end = AIRAM_BASE + 0x1003, AIRAM_BASE + 0x1501
    await b.open(base=base, end=end)
    for _ in range(15):
        b.snapshot()
        before = bytes(b.airam.content)
        size = b.rng.randrange(1, 400)
        dst = b.rng.randrange(base - 300, end + 50)
        inside = base <= dst and dst + size <= end
        events = await b.run([DmaDescriptor.copy(SRAM_BASE + b.rng.randrange(64), dst, size)])
        assert events == ({"done"} if inside else {"window"}), (hex(dst), size)
        assert b.airam.content[:0x1003] == before[:0x1003] and b.airam.content[0x1501:] == before[0x1501:]
        assert b.sram.content[:0xF000] == b.model[SRAM_BASE][:0xF000]
    await b.channel[0].write("dma_window0", 0)
    assert await b.run([DmaDescriptor.copy(SRAM_BASE, base, 8)]) == {"window"}, "closed windows refuse everything"


@cocotb.test()
async def an_abort_stops_at_a_burst_and_the_channel_works_again(dut):
    b = await begin(dut, stall=0.2)
    await b.open()
    for _ in range(8):
        b.snapshot()
        d = DmaDescriptor.copy(SRAM_BASE + b.rng.randrange(8), AIRAM_BASE + b.rng.randrange(8), 2000)
        await b.start([d, d])
        await ClockCycles(dut.clk, b.rng.randrange(1, 600))
        await b.channel[0].write("dma_control", abort=1)
        status = await b.finish(polls=100)
        assert status["aborted"] and not status["done"]
        written = await b.channel[0].read("dma_bytes")
        b.expect(DmaDescriptor.copy(d.src, d.dst, min(written, d.row_bytes)))
        b.check()
        d = b.random_copy()
        b.expect(d)
        assert await b.run([d]) == {"done"}
        b.check()
    await b.channel[0].write("dma_control", abort=1)
    assert not (await b.channel[0].fields("dma_status"))["aborted"], "nothing to abort"


@cocotb.test()
async def a_reset_in_the_middle_leaves_a_working_engine(dut):
    b = await begin(dut, stall=0.3)
    for _ in range(8):
        await b.open()
        await b.start([b.random_copy(), b.random_copy(), DmaDescriptor.copy(SRAM_BASE, AIRAM_BASE, 3000)])
        await ClockCycles(dut.clk, b.rng.randrange(1, 700))
        await b.reset()
        assert (await b.channel[0].fields("dma_status")) == {
            f.name: 0 for f in b.channel[0].table["dma_status"].fields}
        await b.open()
        b.snapshot()
        d = b.random_copy()
        b.expect(d)
        assert await b.run([d]) == {"done"}
        b.check()


@cocotb.test()
async def channels_run_side_by_side(dut):
    b = await begin(dut, stall=0.2)
    b.slaves[0].read_if.r_channel.set_pause_generator(pauses(b.rng, 0.97))
    await b.open(0, timeout=100000)
    await b.open(1)
    b.snapshot()
    slow = DmaDescriptor.copy(SRAM_BASE + 1, AIRAM_BASE + 0x8000, 700)
    await b.start([slow], 0)
    for _ in range(3):
        d = DmaDescriptor.copy(SRAM_BASE + b.rng.randrange(99), AIRAM_BASE + b.rng.randrange(0x4000), 500)
        b.expect(d)
        assert await b.run([d], 1) == {"done"}
    assert (await b.channel[0].fields("dma_status"))["busy"], "the slow channel should still be running"
    b.expect(slow)
    await b.finish(0, polls=10000)
    b.check()


@cocotb.test()
async def a_time_out_comes_to_the_cycle(dut):
    """The descriptor is there, a cycle to decode it, ``dma_timeout`` without progress, one to raise the interrupt."""
    b = await begin(dut)
    await b.regs.write("dma_irq_enable", 1)
    for timeout in (40, 41, 200):
        await b.open(timeout=timeout)
        start = cocotb.start_soon(b.start([DmaDescriptor.copy(0, AIRAM_BASE, 8, src_stream=1)]))  # nothing will come
        since = 0
        for _ in range(1000):
            await FallingEdge(dut.clk)
            if dut.irq.value == 1:
                break
            last = dut.m0_axi_rvalid.value == 1 and dut.m0_axi_rready.value == 1 and dut.m0_axi_rlast.value == 1
            since = 1 if last else since + bool(since)
        assert since == timeout + 3
        await start
        assert (await b.finish())["timeout"]


@cocotb.test()
async def a_dead_bus_is_reported_although_it_cannot_be_ended(dut):
    b = await begin(dut)
    await b.open(timeout=200)
    await b.regs.write("dma_irq_enable", 1)
    b.slaves[0].read_if.r_channel.set_pause_generator(iter(lambda: True, False))
    await b.start([DmaDescriptor.copy(SRAM_BASE, AIRAM_BASE, 64)])
    await with_timeout(RisingEdge(dut.irq), 10, "us")
    status = await b.channel[0].fields("dma_status")
    assert status["timeout"] and status["busy"]
    b.slaves[0].read_if.r_channel.clear_pause_generator()
    b.slaves[0].read_if.r_channel.pause = False
    assert (await b.finish())["timeout"]
    b.snapshot()
    d = b.random_copy()
    b.expect(d)
    assert await b.run([d]) == {"done"}
    b.check()


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_dma_engine(simulator):
    run_bench(simulator, "tb_dma", "tb.dma.test_dma", [Path(__file__).with_name("tb_dma.v")])


def test_a_chain_must_lie_on_a_descriptor_boundary():
    with pytest.raises(ValueError, match="boundary"):
        chain([DmaDescriptor.copy(0, 0, 8)], DESCRIPTOR_BYTES + 8)
    with pytest.raises(ValueError, match="row_bytes"):
        DmaDescriptor.copy(0, 0, 1 << 24).pack()
