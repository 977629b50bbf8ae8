# SPDX-License-Identifier: Apache-2.0
"""kpu_soc in its smallest configuration: address map, DMA between all memories, layers streamed from flash."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from openkpu.golden.layers import Layer, make_descriptor
from openkpu.golden.parameters import pack_activation, pack_fields
from openkpu.hw.configs import CORES
from openkpu.hw.dma import DmaDescriptor, chain
from openkpu.hw.fields import (
    AIRAM_BASE,
    BN_FIELDS,
    DMA_CHANNEL_BASE,
    DMA_CHANNEL_REGISTERS,
    DMA_CHANNEL_STRIDE,
    DMA_REGISTERS,
    DMA_REGS_BASE,
    EXTENSIONS,
    FLASH_OPS,
    FLASH_REGISTERS,
    FLASH_REGS_BASE,
    FLASH_WINDOW_BASE,
    REGISTERS,
    REGS_BASE,
    ROW_BYTES,
    SRAM_BASE,
    WORDS,
)
from tb.bench import run_bench
from tb.flash_on_pins import flash_on, flash_sources
from tb.registers import Registers, pauses

FLASH_BYTES = 16384
SRAM_BYTES = 65536
AIRAM_ROWS = 1024
DUMMY = 4
CACHED = 0x4000_0000
CHAIN = SRAM_BASE + 0xE000
LAYERS = SRAM_BASE + 0xD000  # layer descriptors
LAYER_BYTES = 8 * WORDS
TABLES = SRAM_BASE + 0xC000
FIFO = REGS_BASE  # layer_argument_fifo
# A 1x1 convolution with pooling 2x2 that computes for 3600 cycles, and whose weights take 4096 cycles from flash.
SHAPE, CHANNELS, MAX_POOL = (16, 16, 12), 32, 1
BATCH = SHAPE[0] * CHANNELS
STREAMED = CHANNELS * SHAPE[1] // 2 * SHAPE[2] // 2


class Bench:
    def __init__(self, dut, stall: float):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.host = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst, max_burst_len=64)
        self.kpu = Registers(self.host, REGS_BASE, REGISTERS + EXTENSIONS)
        self.spi = Registers(self.host, FLASH_REGS_BASE, FLASH_REGISTERS)
        self.dma = Registers(self.host, DMA_REGS_BASE, DMA_REGISTERS)
        self.channel = [Registers(self.host, DMA_REGS_BASE + DMA_CHANNEL_BASE + i * DMA_CHANNEL_STRIDE,
                                  DMA_CHANNEL_REGISTERS) for i in range(2)]
        self.flash = flash_on(dut.pins, FLASH_BYTES)
        for part in (self.host.write_if.aw_channel, self.host.write_if.w_channel, self.host.write_if.b_channel,
                     self.host.read_if.ar_channel, self.host.read_if.r_channel) if stall else ():
            part.set_pause_generator(pauses(self.rng, stall))

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def open_flash(self, divider: int = 2) -> bytes:
        """Random content, quad reads enabled."""
        content = self.rng.randbytes(FLASH_BYTES)
        self.flash.write(content)
        await self.spi.write("flash_size", FLASH_BYTES)
        await self.spi.write("flash_timing", divider=divider, cs_high=4)
        await self.spi.write("flash_read", opcode=0xEB, address_lanes=2, data_lanes=2, mode_enable=1,
                             dummy_cycles=DUMMY)
        await self.spi.write("flash_command", op=FLASH_OPS["enable_quad"])
        while not (await self.spi.fields("flash_status"))["done"]:
            pass
        await self.spi.write("flash_clear", 0x1FF)
        await self.spi.write("flash_control", window_enable=1)
        return content

    async def prepare(self, layers: list[Layer]) -> None:
        """Put input map, tables, weights and descriptors where the layers expect them."""
        rows = layers[0].source_layout.rows
        await self.host.write(AIRAM_BASE, layers[0].airam(rows * ROW_BYTES).tobytes())
        for one in layers:
            for at, data in one.memory().items():
                await self.host.write(at, data)
        await self.host.write(LAYERS, words(layers))
        await self.kpu.write("eight_bit_mode", 1)

    async def start(self, descriptors: list[DmaDescriptor], channel: int = 0) -> None:
        at = CHAIN + channel * 0x1000
        await self.host.write(at, chain(descriptors, at))
        regs = self.channel[channel]
        await regs.write("dma_window0", base=SRAM_BASE, end=AIRAM_BASE + AIRAM_ROWS * 64)
        await regs.write("dma_window1", base=FIFO, end=FIFO + 8)
        await regs.write("dma_timeout", 20000)
        await regs.write("dma_first", at)
        await regs.write("dma_control", start=1)

    async def finish(self, channel: int = 0) -> set[str]:
        for _ in range(5000):
            status = await self.channel[channel].fields("dma_status")
            if not status["busy"]:
                await self.channel[channel].write("dma_clear", 0x7F)
                return {name for name, value in status.items() if value and name != "descriptors"}
        raise AssertionError(f"DMA channel {channel} hangs: {status}")

    async def run(self, descriptors: list[DmaDescriptor], channel: int = 0) -> set[str]:
        await self.start(descriptors, channel)
        return await self.finish(channel)

    async def peek(self, address: int, size: int) -> bytes:
        response = await self.host.read(address, size)
        assert response.resp == AxiResp.OKAY, hex(address)
        return bytes(response.data)


async def begin(dut, stall: float = 0.0) -> Bench:
    dut.present.value = 1
    dut.absent_level.value = 1
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    bench = Bench(dut, stall)
    await bench.reset()
    return bench


def layer(weights: bytes, at: int) -> Layer:
    """The layer with these weights at a bus address; its map, always the same, leaves by the stream as well."""
    rng = np.random.default_rng(0)
    d = make_descriptor(SHAPE, CHANNELS, image_dst_addr=128, pool_type=MAX_POOL, arg_x=-128, send_data_out=1,
                        active_addr=TABLES, bwsx_base_addr=TABLES + 256, para_start_addr=at)
    norms = pack_fields(BN_FIELDS, norm_mul=rng.integers(4000, 12000, CHANNELS), norm_shift=15, norm_add=0)
    unused = np.arange(14) + (1 << 34)
    ramp = pack_activation(np.concatenate([[-1 << 35, -12800], unused]), [0, 326, *[0] * 14], [0, 15, *[0] * 14],
                           [0] * 16)
    return Layer("layer", d, True, np.frombuffer(weights, np.uint8), norms, ramp,
                 rng.integers(0, 256, SHAPE, np.uint8))


def words(layers: list[Layer]) -> bytes:
    """The descriptors as the DMA pushes them."""
    return b"".join(word.to_bytes(8, "little") for one in layers for word in one.words())


def streamed(one: Layer) -> bytes:
    """What the golden model streams."""
    return np.asarray(one.result.stream, "<u8").tobytes()


@cocotb.test()
async def everything_is_at_the_chips_addresses(dut):
    b = await begin(dut, stall=0.2)
    for base, size in ((SRAM_BASE, SRAM_BYTES), (AIRAM_BASE, AIRAM_ROWS * 64)):
        data = b.rng.randbytes(104)
        await b.host.write(base + size - 104, data)
        assert await b.peek(base + CACHED + size - 101, 100) == data[3:103]
        assert (await b.host.read(base + size, 8)).resp == AxiResp.DECERR
        assert (await b.host.write(base + size, bytes(8))).resp == AxiResp.DECERR
    assert await b.spi.read("flash_id") == b.spi.table["flash_id"].reset
    assert await b.dma.read("dma_id") == b.dma.table["dma_id"].reset | 2 << 48
    assert await b.kpu.read("ext_layers") == 0
    content = await b.open_flash()
    assert await b.peek(FLASH_WINDOW_BASE + 5, 50) == content[5:55]
    assert (await b.host.write(FLASH_WINDOW_BASE, bytes(8))).resp == AxiResp.DECERR
    assert (await b.host.read(0x4200_0000, 64)).resp == AxiResp.DECERR


@cocotb.test()
async def dma_moves_between_flash_sram_and_ai_ram(dut):
    b = await begin(dut, stall=0.2)
    content = await b.open_flash()
    copy = DmaDescriptor.copy
    image = b.rng.randbytes(6 * 20)
    await b.host.write(SRAM_BASE, bytes(0x3000))
    await b.host.write(SRAM_BASE + 3, image)
    await b.host.write(AIRAM_BASE + 0x1000, bytes(0x1200))
    assert await b.run([
        copy(FLASH_WINDOW_BASE + 0x123, SRAM_BASE + 0x1000, 1000),
        copy(FLASH_WINDOW_BASE + 0x800, SRAM_BASE + 0x2000, 400, swap32=1),
        copy(SRAM_BASE + 3, AIRAM_BASE + 0x1000, 20, 6, dst_stride=64),
        copy(FLASH_WINDOW_BASE, AIRAM_BASE + 0x2001, 300),
    ]) == {"done"}
    assert await b.peek(SRAM_BASE + 0x1000, 1000) == content[0x123:0x123 + 1000]
    swapped = content[0x800:0x800 + 400]
    assert await b.peek(SRAM_BASE + 0x2000, 400) == b"".join(swapped[i:i + 4][::-1] for i in range(0, 400, 4))
    assert await b.peek(AIRAM_BASE + 0x1000, 6 * 64) == b"".join(
        image[i * 20:i * 20 + 20] + bytes(44) for i in range(6))
    assert await b.peek(AIRAM_BASE + 0x2001, 300) == content[:300]


async def stream_model(b: Bench, layers: int, dual: bool) -> tuple[int, int]:
    """Run `layers` layers whose weights come from flash: cycles of all, and of one layer. No host until the end."""
    content = await b.open_flash(divider=4)
    buffers = [SRAM_BASE, SRAM_BASE + BATCH if dual else SRAM_BASE]
    model = [layer(content[i * BATCH:(i + 1) * BATCH], buffers[i % 2]) for i in range(layers)]
    await b.prepare(model)
    await b.host.write(SRAM_BASE, bytes(2 * BATCH))
    await b.kpu.write("ext_control", clear=1)
    steps = []
    for i in range(layers):
        free = i - len(set(buffers)) + 1  # layers that must have ended before this buffer is free
        if free > 0:
            steps.append(DmaDescriptor.wait(REGS_BASE + b.kpu.table["ext_layers"].offset, free))
        steps += [DmaDescriptor.copy(FLASH_WINDOW_BASE + i * BATCH, buffers[i % 2], BATCH),
                  DmaDescriptor.copy(LAYERS + i * LAYER_BYTES, FIFO, LAYER_BYTES, dst_fixed=1)]
    out = SRAM_BASE + 0x4000
    await b.host.write(out, bytes(layers * STREAMED))
    await b.dma.write("dma_irq_enable", 2)
    start = get_sim_time("ns")
    await b.start([DmaDescriptor.copy(0, out, layers * STREAMED, src_stream=1)], 1)
    await b.start(steps)
    await with_timeout(RisingEdge(b.dut.irq_dma), 2, "ms")
    cycles = round((get_sim_time("ns") - start) / 10)
    assert await b.finish(0) == {"done"} and await b.finish(1) == {"done"}
    assert await b.peek(out, layers * STREAMED) == b"".join(map(streamed, model))
    assert await b.kpu.read("ext_error") == 0
    return cycles, await b.kpu.read("ext_cycles") // layers


@cocotb.test()
async def layers_stream_from_flash_through_two_buffers_without_software(dut):
    b = await begin(dut)
    single, _ = await stream_model(b, 4, dual=False)
    dual, layer_cycles = await stream_model(b, 4, dual=True)
    transfer = 4 * BATCH * 2 * 4  # two SPI cycles of four clocks each per byte
    dut._log.warning("4 layers of %d bytes: single %d, double %d, flash transfer alone %d, a layer %d cycles",
                     BATCH, single, dual, transfer, layer_cycles)
    # A single buffer still gains the words that the window prefetches while the KPU computes.
    assert single > dual * 1.2
    assert dual < max(transfer, 4 * layer_cycles) * 1.03 + layer_cycles + 700, "flash or KPU should always be busy"


async def run_alone(b: Bench) -> int:
    """Cycles of the layer prepared, with nobody else on the bus but the DMA that takes its stream."""
    await b.kpu.write("ext_control", clear=1)
    assert await b.run([DmaDescriptor.copy(LAYERS, FIFO, LAYER_BYTES, dst_fixed=1),
                        DmaDescriptor.copy(0, SRAM_BASE + 0x4000, STREAMED, src_stream=1)], 1) == {"done"}
    return await b.kpu.read("ext_cycles")


@cocotb.test()
async def a_flash_transfer_does_not_slow_the_kpu(dut):
    b = await begin(dut)
    await b.open_flash(divider=8)
    one = layer(b.rng.randbytes(BATCH), SRAM_BASE + 0x8000)
    await b.prepare([one])
    alone = await run_alone(b)
    await b.start([DmaDescriptor.copy(FLASH_WINDOW_BASE, SRAM_BASE, 1024)])
    await ClockCycles(dut.clk, 200)
    beside = await run_alone(b)
    assert (await b.channel[0].fields("dma_status"))["busy"], "the flash transfer should still run"
    assert beside < alone * 1.02, f"{beside} cycles instead of {alone}"
    assert await b.finish(0) == {"done"}
    assert await b.peek(SRAM_BASE + 0x4000, STREAMED) == streamed(one)


@cocotb.test()
async def a_kpu_that_waits_for_its_output_does_not_block_the_sram(dut):
    """The chain that will take the output is still in the SRAM the KPU reads its next parameters from."""
    b = await begin(dut)
    model = [layer(b.rng.randbytes(BATCH), SRAM_BASE + 0x8000 + i * BATCH) for i in range(2)]
    await b.prepare(model)
    assert await b.run([DmaDescriptor.copy(LAYERS, FIFO, 2 * LAYER_BYTES, dst_fixed=1)]) == {"done"}
    await ClockCycles(dut.clk, 8000)
    assert await b.kpu.read("ext_layers") == 0, "nobody takes the stream"
    assert (await with_timeout(b.host.read(SRAM_BASE + 0x8000, 256), 10, "us")).resp == AxiResp.OKAY
    assert await b.run([DmaDescriptor.copy(0, AIRAM_BASE + 0x4000, 2 * STREAMED, src_stream=1)], 1) == {"done"}
    assert await b.peek(AIRAM_BASE + 0x4000, 2 * STREAMED) == b"".join(map(streamed, model))


@cocotb.test()
async def the_dma_burns_a_page_and_reads_it_back(dut):
    b = await begin(dut)
    content = bytearray(await b.open_flash())
    data = b.rng.randbytes(256)
    await b.host.write(SRAM_BASE, data)
    page_data = FLASH_REGS_BASE + b.spi.table["flash_page_data"].offset
    await b.spi.write("flash_burn_window", burn_first=4096, burn_end=8192)
    await b.spi.write("flash_command", op=FLASH_OPS["sector_erase"], address=4096)
    wait = DmaDescriptor.wait(FLASH_REGS_BASE + b.spi.table["flash_status"].offset, 1, mask=1)
    at = CHAIN
    await b.host.write(at, chain([wait, DmaDescriptor.copy(SRAM_BASE, page_data, 256, dst_fixed=1)], at))
    await b.channel[0].write("dma_window0", base=page_data, end=page_data + 8)
    await b.channel[0].write("dma_first", at)
    await b.channel[0].write("dma_control", start=1)
    assert await b.finish() == {"done"}
    await b.spi.write("flash_clear", 0x1FF)
    await b.spi.write("flash_command", op=FLASH_OPS["page_program"], address=5120, length=256)
    while not (status := await b.spi.fields("flash_status"))["done"]:
        pass
    assert not any(status[name] for name in ("timeout", "range", "page_data", "protected"))
    content[4096:8192] = b"\xff" * 4096
    content[5120:5376] = data
    assert b.flash.read() == content
    assert await b.run([DmaDescriptor.copy(FLASH_WINDOW_BASE + 5120, SRAM_BASE + 512, 256)]) == {"done"}
    assert await b.peek(SRAM_BASE + 512, 256) == data


@cocotb.test()
async def flash_errors_reach_the_dma_status(dut):
    b = await begin(dut)
    await b.open_flash()
    await b.host.write(SRAM_BASE, bytes(4096))
    end = FLASH_WINDOW_BASE + FLASH_BYTES
    assert await b.run([DmaDescriptor.copy(end - 64, SRAM_BASE, 256)]) == {"bus_read"}
    assert (await b.channel[0].fields("dma_current"))["fault"] == end
    dut.present.value = 0
    await b.spi.write("flash_command", op=FLASH_OPS["read_id"])
    while not (status := await b.spi.fields("flash_status"))["done"]:
        pass
    assert status["no_flash"]
    assert await b.run([DmaDescriptor.copy(FLASH_WINDOW_BASE, SRAM_BASE + 128, 256)]) == {"bus_read"}
    assert await b.peek(SRAM_BASE + 128, 256) == bytes(256)
    assert await b.run([DmaDescriptor.copy(SRAM_BASE, FLASH_WINDOW_BASE, 8)]) == {"window"}
    dut.present.value = 1


@cocotb.test()
async def a_reset_while_everything_runs_leaves_a_working_system(dut):
    b = await begin(dut)
    for _ in range(4):
        await b.open_flash(b.rng.choice((2, 3)))
        await b.prepare([layer(b.rng.randbytes(BATCH), SRAM_BASE + 0x8000)])
        await b.start([DmaDescriptor.copy(LAYERS, FIFO, LAYER_BYTES, dst_fixed=1),
                       DmaDescriptor.copy(FLASH_WINDOW_BASE, SRAM_BASE + 0x1000, 2000)])
        await b.start([DmaDescriptor.copy(0, AIRAM_BASE + 0x4000, STREAMED, src_stream=1)], 1)
        reading = cocotb.start_soon(b.host.read(SRAM_BASE, 2000))
        await ClockCycles(dut.clk, b.rng.randrange(5, 900))
        await b.reset()
        reading.cancel()
        content = await b.open_flash()
        at = b.rng.randrange(8000)
        assert await b.run([DmaDescriptor.copy(FLASH_WINDOW_BASE + at, AIRAM_BASE + 7, 333)]) == {"done"}
        assert await b.peek(AIRAM_BASE + 7, 333) == content[at:at + 333]
        one = layer(content[:BATCH], SRAM_BASE + 0x8000)
        await b.prepare([one])
        await run_alone(b)
        assert await b.peek(SRAM_BASE + 0x4000, STREAMED) == streamed(one)


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_soc(simulator):
    core = replace(CORES["tiny"], AIRAM_ROWS=AIRAM_ROWS)
    run_bench(simulator, "tb_soc", "tb.soc.test_soc",
              [*flash_sources(simulator), Path(__file__).with_name("tb_soc.v")],
              parameters={"MEM_DEPTH": FLASH_BYTES, "DUMMY": DUMMY, "SRAM_BYTES": SRAM_BYTES, **core.verilog()},
              depth=2,
              # Icarus takes two minutes for all of them; what has to do with the flash needs its other model.
              test_filter="layers_stream|burns_a_page|flash_errors" if simulator == "icarus" else None)
