# SPDX-License-Identifier: Apache-2.0
"""kpu_stream_out: the dense C,H,W stream of a map in the AI RAM (spec 9.3) and full_add (9.4)."""

from __future__ import annotations

import logging
import random
from collections import deque

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamSink

from openkpu.hw.fields import ROW_BYTES
from openkpu.hw.layout import MapLayout, groups_of
from tb.bench import SIMULATORS, run_bench
from tb.registers import pauses

ROWS = 512
DEPTH = 16
CLOCK_NS = 10


class Bench:
    """A memory of random bytes behind the read port, and takers of the stream."""

    def __init__(self, dut):
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.ram = np.frombuffer(self.rng.randbytes(ROWS * ROW_BYTES), np.uint8)
        self.busy = 0.0  # share of cycles in which the memory refuses a read
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        cocotb.start_soon(Clock(dut.clk, CLOCK_NS, "ns").start())

    async def reset(self, latency: int = 1) -> None:
        dut = self.dut
        for name in ("start", "blank", "flush", "out_pop", "rd_ready", "rd_rvalid", "m_axis_tready", "stream_off"):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        cocotb.start_soon(self._memory(latency))
        await RisingEdge(dut.clk)

    async def _memory(self, latency: int) -> None:
        """Answers every accepted read ``latency`` cycles later."""
        dut = self.dut
        pipeline: deque[tuple[int, int] | None] = deque([None] * (latency - 1))
        while True:
            await FallingEdge(dut.clk)
            dut.rd_ready.value = int(self.rng.random() >= self.busy)
            await ReadOnly()
            accepted = dut.rd_valid.value == 1 and dut.rd_ready.value == 1
            pipeline.append((int(dut.rd_row.value), int(dut.rd_lane.value)) if accepted else None)
            read = pipeline.popleft()
            await RisingEdge(dut.clk)
            dut.rd_rvalid.value = int(read is not None)
            if read is None:
                dut.rd_piece.value = self.rng.getrandbits(64)
            else:
                at = read[0] * ROW_BYTES + 8 * read[1]
                dut.rd_piece.value = int.from_bytes(self.ram[at:at + 8].tobytes(), "little")

    def layout(self, channels: int, height: int, width: int) -> MapLayout:
        """The usual layout at a random row that leaves room for the map."""
        rows = MapLayout.of(0, channels, height, width).rows
        return MapLayout.of(self.rng.randrange(ROWS - rows), channels, height, width)

    def random_layout(self) -> MapLayout:
        width = self.rng.choice((1, 3, 4, 7, 8, 13, 16, 17, 20, 32, 33, 40, 64, 65, 100, 130))
        return self.layout(self.rng.randint(1, 9), self.rng.randint(1, 5), width)

    async def start(self, layout: MapLayout, full_add: bool = False, total: int = 1 << 32,
                    complete: int | None = None, blank: bool = False) -> None:
        """Begin with ``complete`` channels in the memory, by default all."""
        dut = self.dut
        dut.complete.value = layout.channels if complete is None else complete
        for name, value in (("dst_row", layout.base), ("oc", layout.channels), ("oh", layout.height),
                            ("ow", layout.width), ("group", layout.group), ("row_switch", layout.row_step),
                            ("channel_switch", layout.group_step), ("full_add", int(full_add)),
                            ("total_m1", total - 1), ("blank", int(blank)), ("start", 1)):
            getattr(dut, name).value = value
        await RisingEdge(dut.clk)
        dut.start.value = 0

    def expected(self, layout: MapLayout, full_add: bool = False) -> bytes:
        data = layout.gather(self.ram)
        if full_add:
            return data.sum(axis=(1, 2), dtype=np.uint64).tobytes()
        return np.ascontiguousarray(data).tobytes()

    async def pop(self, size: int, stall: float = 0.0) -> bytes:
        """Take the words of ``size`` bytes as reads of fifo_data_out do."""
        dut, data = self.dut, b""
        while len(data) < size:
            await FallingEdge(dut.clk)
            dut.out_pop.value = int(dut.out_valid.value == 1 and self.rng.random() >= stall)
            await ReadOnly()
            if dut.out_pop.value == 1:
                data += int(dut.out_data.value).to_bytes(8, "little")
            await RisingEdge(dut.clk)
            dut.out_pop.value = 0
        assert not any(data[size:]), "the last word is padded with zeros"
        return data[:size]

    async def done(self) -> int:
        """Cycles until done."""
        for cycle in range(10_000):
            await FallingEdge(self.dut.clk)
            if self.dut.done.value == 1:
                return cycle
        raise AssertionError("the stream does not end")


async def begin(dut, latency: int = 1) -> Bench:
    bench = Bench(dut)
    await bench.reset(latency)
    return bench


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(latency=[1, 2, 3])
async def map_is_sent_dense_and_in_order(dut, latency):
    b = await begin(dut, latency)
    for _ in range(15):
        layout = b.random_layout()
        b.busy = b.rng.choice((0, 0.3, 0.8))
        await b.start(layout)
        size = layout.channels * layout.height * layout.width
        data = await b.pop(size, b.rng.choice((0, 0.3, 0.9)))
        assert data == b.expected(layout), layout
        await ClockCycles(dut.clk, 3)
        assert dut.out_level.value == 0, "no word too many"


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def channels_leave_when_they_are_complete(dut):
    """What a channel's rows hold before is not sent; the channels before it are, and nothing waits for the end."""
    b = await begin(dut)
    for _ in range(8):
        layout = b.random_layout()
        size = layout.height * layout.width
        ram, b.ram = b.ram, np.zeros_like(b.ram)
        await b.start(layout, complete=0)
        data = b""
        for channel in range(layout.channels):
            await ClockCycles(dut.clk, b.rng.randrange(40))
            assert dut.done.value == 0
            part = layout.gather(ram).copy()
            part[channel + 1:] = 0
            now = b.ram.copy()
            layout.scatter(now, part)
            b.ram = now
            dut.complete.value = channel + 1
            whole = (channel + 1) * size // 8 * 8 - len(data)
            if whole and channel + 1 < layout.channels:
                data += await b.pop(whole)
        data += await b.pop(layout.channels * size - len(data))
        b.ram = ram
        assert data == b.expected(layout), layout


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def stream_off_keeps_the_words_for_the_register(dut):
    b = await begin(dut)
    dut.stream_off.value = 1
    dut.m_axis_tready.value = 1
    watch = cocotb.start_soon(RisingEdge(dut.m_axis_tvalid))
    for _ in range(4):
        layout = b.random_layout()
        await b.start(layout)
        data = await b.pop(layout.channels * layout.height * layout.width, 0.6)
        assert data == b.expected(layout), layout
    assert not watch.done(), "the stream master is silent"
    dut.m_axis_tready.value = dut.stream_off.value = 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def stream_master_marks_the_end_and_the_valid_bytes(dut):
    b = await begin(dut)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    for stall in (0.0, 0.4, 0.8):
        sink.set_pause_generator(pauses(b.rng, stall))
        for full_add in (False, True):
            layout = b.random_layout()
            await b.start(layout, full_add)
            frame = await sink.recv()
            assert bytes(frame.tdata) == b.expected(layout, full_add), layout


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def full_add_sends_one_sum_per_channel(dut):
    b = await begin(dut)
    b.busy = 0.2
    for _ in range(8):
        layout = b.random_layout()
        await b.start(layout, full_add=True)
        assert await b.pop(8 * layout.channels, 0.2) == b.expected(layout, full_add=True), layout


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def stream_ends_after_the_total(dut):
    b = await begin(dut)
    for _ in range(15):
        layout = b.random_layout()
        size = layout.channels * layout.height * layout.width
        total = b.rng.randint(1, size + 10)
        await b.start(layout, total=total)
        assert await b.pop(min(total, size)) == b.expected(layout)[:total], (layout, total)
        await ClockCycles(dut.clk, 3)
        assert dut.out_level.value == 0, "no word too many"


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def refused_layer_sends_as_many_zeros_and_reads_no_row_outside_the_memory(dut):
    b = await begin(dut)
    for n in range(15):
        channels, height, width = b.rng.randint(1, 9), b.rng.randint(1, 5), b.rng.randint(1, 130)
        group, rows, _ = groups_of(min(width, 64))
        layout = MapLayout(b.rng.randrange(1 << 15), channels, height, width, group, rows, b.rng.randrange(1 << 15))
        size = channels * height * width
        total = b.rng.randint(1, size + 10)
        full_add = n % 3 == 0
        await b.start(layout, full_add, total=total, blank=True)
        assert not any(await b.pop(8 * channels if full_add else min(total, size))), (layout, total)
        await ClockCycles(dut.clk, 3)
        assert dut.out_level.value == 0, "no word too many"
    layout = b.random_layout()
    await b.start(layout)
    assert await b.pop(layout.channels * layout.height * layout.width) == b.expected(layout)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def strides_are_those_of_the_registers(dut):
    b = await begin(dut)
    for width in (5, 20, 70):
        group, rows, _ = groups_of(width)
        layout = MapLayout(9, 7, 3, width, group, rows + 2, 3 * (rows + 2) + 5)
        await b.start(layout)
        assert await b.pop(7 * 3 * width) == b.expected(layout), layout


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def done_waits_for_the_last_word_and_not_for_its_reader(dut):
    b = await begin(dut)
    layout = b.layout(2, 4, 16)  # 16 words: exactly what the FIFO holds, less the two it keeps in reserve
    await b.start(layout)
    await ClockCycles(dut.clk, 200)
    assert dut.done.value == 0 and int(dut.out_level.value) < DEPTH
    waiting = cocotb.start_soon(b.done())
    data = await b.pop(128, stall=0.5)
    assert waiting.done()
    assert data == b.expected(layout)
    small = b.layout(1, 3, 16)
    await b.start(small)
    await b.done()
    assert dut.out_level.value == 6, "done, although nobody took a word"
    assert await b.pop(48) == b.expected(small)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def one_word_leaves_per_cycle(dut):
    b = await begin(dut)
    layout = b.layout(3, 6, 64)
    dut.m_axis_tready.value = 1
    await b.start(layout)
    words = 3 * 6 * 64 // 8
    assert await b.done() <= words + 8


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def flush_empties_the_fifo_and_the_layer_still_ends(dut):
    b = await begin(dut)
    layout = b.layout(2, 5, 60)
    await b.start(layout)
    await ClockCycles(dut.clk, 40)
    dut.flush.value = 1
    await b.done()
    await ClockCycles(dut.clk, 2)
    assert dut.out_level.value == 0 and dut.out_valid.value == 0
    dut.flush.value = 0
    await b.start(layout)
    assert await b.pop(600) == b.expected(layout)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_in_the_middle_of_a_map_leaves_nothing_behind(dut):
    b = await begin(dut)
    for _ in range(5):
        await b.start(b.random_layout())
        await ClockCycles(dut.clk, b.rng.randint(1, 30))
        dut.rst.value = 1
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        layout = b.random_layout()
        await b.start(layout)
        assert await b.pop(layout.channels * layout.height * layout.width) == b.expected(layout)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_kpu_stream_out(simulator):
    run_bench(simulator, "kpu_stream_out", "tb.output.test_stream_out", parameters={"DEPTH": DEPTH})
