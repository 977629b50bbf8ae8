# SPDX-License-Identifier: Apache-2.0
"""kpu_core as a whole: layers from memory to AI RAM on real buses against the golden model; every port stalls."""

from __future__ import annotations

import logging
import os
import random

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiMaster,
    AxiRamRead,
    AxiReadBus,
    AxiStreamBus,
    AxiStreamSink,
)

from openkpu.golden import fast
from openkpu.golden.layers import Layer, memory_reader, random_layer
from openkpu.golden.parameters import ParameterMemory
from openkpu.golden.reference import stream_length
from openkpu.hw.check import descriptor_errors, error_bits
from openkpu.hw.configs import CORES, ON_CHIP
from openkpu.hw.descriptor import replace
from openkpu.hw.fields import EXTENSIONS, REGISTERS, ROW_BYTES, SRAM_BASE
from tb.bench import run_bench
from tb.registers import Registers, pauses

NAME = os.environ.get("KPU_CONFIG", "tiny")
CORE = CORES[NAME]
# Layers keep to the first rows of the AI RAM, so that filling and reading it back takes little of the simulation.
ROWS = 128
CONFIG = replace(CORE.config(NAME), airam_bytes=ROWS * ROW_BYTES)
LIMITS = {"max_macs": 4_000 if NAME == "tiny" else 60_000, "max_pixels": 900}
RAM_BYTES = 1 << 18
CLOCK_NS = 10
LAYER_NS = 400_000 * CLOCK_NS
CALC_DONE = 1
# Icarus takes a minute for what Verilator does in a second.
COUNT = int(os.environ.get("KPU_LAYERS", "3"))


class Bench:
    """The core with its memories and buses, and the golden model's AI RAM and parameter memories beside it."""

    def __init__(self, dut, stall: float):
        self.dut = dut
        self.seed = cocotb.RANDOM_SEED
        self.rng = random.Random(self.seed)
        self.data = np.random.default_rng(self.seed)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        cocotb.start_soon(Clock(dut.clk, CLOCK_NS, "ns").start())
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.axi = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.sram = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=RAM_BYTES)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.regs = Registers(self.axil, 0, REGISTERS + EXTENSIONS)
        channels = [self.sram.ar_channel, self.sram.r_channel, self.sink]
        for interface in (self.axil, self.axi):
            channels += [interface.write_if.aw_channel, interface.write_if.w_channel, interface.write_if.b_channel,
                         interface.read_if.ar_channel, interface.read_if.r_channel]
        if stall:
            for channel in channels:
                channel.set_pause_generator(pauses(self.rng, self.rng.choice((0, stall))))
        self.ram = self.data.integers(0, 256, ROWS * ROW_BYTES, np.uint8)
        self.parameters = ParameterMemory()
        self.fetches = 0
        cocotb.start_soon(self._count_fetches())

    async def _count_fetches(self):
        while True:
            await FallingEdge(self.dut.clk)
            self.fetches += self.dut.m_axi_arvalid.value == 1 and self.dut.m_axi_arready.value == 1

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)
        self.parameters = ParameterMemory()
        self.sink.clear()
        for name, value in (("interrupt_clear", 7), ("interrupt_mask", 7 & ~CALC_DONE), ("ext_control", 1)):
            await self.regs.write(name, value)

    async def fill(self) -> None:
        """The golden model's AI RAM into the core's."""
        await self.axi.write(0, self.ram.tobytes())

    async def check_ram(self, what: str) -> None:
        got = np.frombuffer((await self.axi.read(0, len(self.ram))).data, np.uint8)
        wrong = np.flatnonzero(got != self.ram)
        assert not len(wrong), \
            f"{what}: {len(wrong)} bytes of AI RAM differ, the first at row {wrong[0] // ROW_BYTES}, byte " \
            f"{wrong[0] % ROW_BYTES}: {got[wrong[0]]} instead of {self.ram[wrong[0]]}"

    def layer(self, **limits) -> Layer:
        return random_layer(self.data, CONFIG, **{**LIMITS, **limits})

    def place(self, layer: Layer) -> None:
        for base, data in layer.memory().items():
            self.sram.write(base - SRAM_BASE, data)

    def golden(self, layer: Layer) -> list[int]:
        """Run a layer on the model's memories; the words it streams."""
        read = memory_reader(layer.memory())
        return fast.run_layer(layer.descriptor, self.ram, read, layer.eight_bit, self.parameters).stream

    async def push(self, layer: Layer) -> None:
        for word in layer.words():
            await self.regs.write("layer_argument_fifo", word)

    async def interrupt(self) -> None:
        while self.dut.irq.value != 1:
            await RisingEdge(self.dut.clk)

    async def run(self, layer: Layer) -> None:
        """Run one layer on core and model and compare AI RAM and stream."""
        self.place(layer)
        expected = self.golden(layer)
        await self.regs.write("eight_bit_mode", int(layer.eight_bit))
        await self.push(layer)
        await with_timeout(self.interrupt(), LAYER_NS, "ns")
        await self.regs.write("interrupt_clear", 7)
        assert await self.regs.read("ext_error") == 0, f"{layer.name} was refused"
        await self.check_stream(layer.name, expected)
        await self.check_ram(layer.name)

    async def check_stream(self, what: str, expected: list[int]) -> None:
        """Take as many words off the stream; the last one carries TLAST."""
        got = b""
        while len(got) < 8 * len(expected):
            got += bytes((await with_timeout(self.sink.recv(), LAYER_NS, "ns")).tdata)
            got += bytes(-len(got) % 8)
        assert got == np.asarray(expected, "<u8").tobytes(), f"{what}: the stream differs"
        assert self.sink.empty(), f"{what}: too many words in the stream"


async def start(dut, stall: float = 0.0) -> Bench:
    bench = Bench(dut, stall)
    await bench.reset()
    await bench.fill()
    return bench


@cocotb.test()
async def random_layers_are_exact_whatever_stalls(dut):
    b = await start(dut, stall=0.4)
    for _ in range(COUNT):
        await b.run(b.layer())


@cocotb.test()
async def random_layers_are_exact_without_stalls(dut):
    b = await start(dut)
    for _ in range(COUNT):
        await b.run(b.layer())


@cocotb.test()
async def queued_layers_run_in_order_and_see_each_others_results(dut):
    b = await start(dut, stall=0.2)
    eight_bit = b.rng.random() < 0.7
    layers = []
    for number in range(4):
        layer = b.layer(eight_bit=eight_bit)
        d = layer.descriptor
        # Tables side by side; the last layer alone interrupts.
        offset = number * (RAM_BYTES // 4)
        layers.append(replace(layer, descriptor=replace(
            d, int_en=int(number == 3), send_data_out=0, active_addr=d.active_addr + offset,
            bwsx_base_addr=d.bwsx_base_addr + offset, para_start_addr=d.para_start_addr + offset)))
    await b.regs.write("eight_bit_mode", int(eight_bit))
    for layer in layers:
        b.place(layer)
        await b.push(layer)
    await with_timeout(b.interrupt(), 4 * LAYER_NS, "ns")
    for layer in layers:
        b.golden(layer)
    assert await b.regs.read("ext_layers") == 4
    await b.check_ram("four queued layers")


@cocotb.test()
async def tables_that_are_not_loaded_are_kept(dut):
    b = await start(dut, stall=0.2)
    layer = b.layer(kinds=("conv",), eight_bit=True)
    layer = replace(layer, descriptor=replace(layer.descriptor, send_data_out=0))
    await b.run(layer)
    fresh = {"act": b.data.permutation(layer.act[:16]), "bn": b.data.permutation(layer.bn),
             "weights": b.data.permutation(layer.weights)}
    fresh["act"] = np.concatenate([fresh["act"], layer.act[16:]])
    for flags in ({"load_act": 0}, {"load_para": 0}, {"load_coor": 0}, {"load_act": 0, "load_para": 0}):
        if flags.get("load_coor") == 0 and layer.descriptor.load_time > 1:
            continue
        await b.run(replace(layer, **fresh, descriptor=replace(layer.descriptor, **flags)))


@cocotb.test()
async def illegal_layers_report_an_error_and_touch_nothing(dut):
    b = await start(dut, stall=0.2)
    for name, value in (("o_row_wid", 1023), ("coef_group", 3), ("image_src_addr", CORE.AIRAM_ROWS - 1),
                        ("image_dst_addr", CORE.AIRAM_ROWS - 1), ("load_time", 1), ("active_addr", SRAM_BASE + 4)):
        layer = b.layer(kinds=("conv",), eight_bit=True)
        d = replace(layer.descriptor, **{name: value, "int_en": 0, "send_data_out": 1})
        if name == "load_time":
            d = replace(d, o_ch_num_coef=1, o_ch_num=d.o_ch_num + 1)
        errors = error_bits(descriptor_errors(d, CORE.config(NAME), True))
        if not errors:
            continue
        b.place(layer)
        await b.regs.write("ext_control", 1)
        await b.regs.write("eight_bit_mode", 1)
        before = b.fetches
        await b.push(replace(layer, descriptor=d))
        await with_timeout(b.interrupt(), LAYER_NS, "ns")
        await b.regs.write("interrupt_clear", 7)
        assert await b.regs.read("ext_error") & 0x1F == errors, f"{name} = {value}"
        assert b.fetches == before, f"{name} = {value}: parameters were fetched"
        await b.check_stream(f"{name} = {value}", [0] * stream_length(d))
        await b.check_ram(f"{name} = {value}")
    await b.regs.write("ext_control", 1)
    await b.run(b.layer())


@cocotb.test()
async def reset_in_the_middle_of_a_layer_leaves_a_working_core(dut):
    b = await start(dut, stall=0.2)
    for _ in range(2):
        layer = b.layer()
        b.place(layer)
        await b.regs.write("eight_bit_mode", int(layer.eight_bit))
        await b.push(layer)
        await ClockCycles(dut.clk, b.rng.randint(1, 1500))
        await b.reset()
        await b.fill()
        await b.run(b.layer())


@pytest.mark.parametrize("simulator, name", [("icarus", "tiny"), *(("verilator", name) for name in ON_CHIP)])
def test_kpu_core(simulator, name):
    run_bench(simulator, "kpu_core", "tb.core.test_core", parameters=CORES[name].verilog(),
              environment={"KPU_CONFIG": name, "KPU_LAYERS": "2" if simulator == "icarus" else "12"})
