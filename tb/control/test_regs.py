# SPDX-License-Identifier: Apache-2.0
"""kpu_regs: registers, descriptor queue and interrupts as each kind of driver uses them (spec 1.2 to 1.4)."""

from __future__ import annotations

import logging
import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from openkpu.hw.fields import (
    EXT_LOG,
    EXT_LOG_BASE,
    EXT_LOG_ENTRIES,
    EXT_LOG_STRIDE,
    EXTENSIONS,
    KPU_ID_MAGIC,
    REGISTERS,
    WORDS,
)
from tb.bench import SIMULATORS, run_bench
from tb.registers import Registers, pauses

CONFIG = dict(PES=64, LANES=32, TILE=1024, AIRAM_ROWS=32768, WEIGHT_BYTES=73728, LAYERS=16)
DONE, EMPTY, FULL = 1, 2, 4
EVENTS = ("active", "busy", "wait_param", "wait_feature", "wait_writeback")


class Core:
    """Stand-in for the compute core: takes descriptors, runs each layer for a while, streams words.

    Word 0 bit 0 is int_en, word 11 the number of output words, as the real core would make them.
    """

    def __init__(self, dut, rng: random.Random, cycles: range = range(5, 40), stall: float = 0.3) -> None:
        self.dut, self.rng, self.cycles, self.stall = dut, rng, cycles, stall
        self.layers: list[list[int]] = []
        self.modes: list[int] = []
        self.figures: list[dict[str, int]] = []
        self.fifo: list[int] = []
        self.errors: dict[int, int] = {}
        self.hold = False
        self._fetched: list[list[int]] = []
        for name in ("layer_start", "layer_done", "layer_int", "layer_error", "desc_ready", "out_valid", "out_data",
                     "out_level", "cache_busy", "ev_cache", *(f"ev_{event}" for event in EVENTS)):
            getattr(dut, name).value = 0
        self.tasks = [cocotb.start_soon(task()) for task in (self._fetch, self._run, self._pop)]

    async def _fetch(self):
        """Takes descriptors ahead of their execution, at most one layer."""
        dut, words = self.dut, []
        while True:
            dut.desc_ready.value = len(self._fetched) < 2 and self.rng.random() >= self.stall
            await RisingEdge(dut.clk)
            if dut.desc_ready.value == 1 and dut.desc_valid.value == 1:
                words.append(int(dut.desc_data.value))
                if len(words) == WORDS:
                    self._fetched.append(words)
                    self.modes.append(int(dut.eight_bit.value))
                    words = []

    async def _run(self):
        dut = self.dut
        while True:
            while not self._fetched or self.hold:
                await RisingEdge(dut.clk)
            dut.layer_start.value = 1
            await RisingEdge(dut.clk)
            dut.layer_start.value = 0
            words = self._fetched.pop(0)
            number = len(self.layers)
            figures = dict.fromkeys(EVENTS, 0)
            for left in reversed(range(self.rng.choice(self.cycles))):
                for event in EVENTS:
                    value = 1 if event == "active" else self.rng.getrandbits(1)
                    figures[event] += value
                    getattr(dut, f"ev_{event}").value = value
                if left == 0:
                    self.fifo += [number << 32 | i for i in range(words[11] & 0xFFFF)]
                    dut.layer_done.value = 1
                    dut.layer_int.value = words[0] & 1
                    dut.layer_error.value = self.errors.get(number, 0)
                    self.layers.append(words)
                    self.figures.append(figures)
                await RisingEdge(dut.clk)
            for name in ("layer_done", "layer_int", "layer_error", *(f"ev_{event}" for event in EVENTS)):
                getattr(dut, name).value = 0

    async def _pop(self):
        dut = self.dut
        while True:
            dut.out_valid.value = int(bool(self.fifo))
            dut.out_level.value = len(self.fifo)
            dut.out_data.value = self.fifo[0] if self.fifo else self.rng.getrandbits(64)
            await ReadOnly()
            popped = dut.out_pop.value == 1
            await RisingEdge(dut.clk)
            if popped:
                assert self.fifo, "a word was popped off an empty FIFO"
                self.fifo.pop(0)
            elif dut.flush_out.value == 1:
                self.fifo.clear()


class Bench:
    """Bus master, stand-in core and an interrupt line that handlers can wait for."""

    def __init__(self, dut, stall: float = 0.0):
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.regs = Registers(self.axil, 0, REGISTERS + EXTENSIONS)
        if stall:
            for channel in (self.axil.write_if.aw_channel, self.axil.write_if.w_channel, self.axil.write_if.b_channel,
                            self.axil.read_if.ar_channel, self.axil.read_if.r_channel):
                channel.set_pause_generator(pauses(self.rng, stall))

    async def reset(self, **core) -> Core:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        core = Core(self.dut, self.rng, **core)
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        return core

    def layer(self, int_en: int = 0, out_words: int = 0) -> list[int]:
        """A descriptor with random content, apart from what the stand-in core looks at."""
        words = [self.rng.getrandbits(64) for _ in range(WORDS)]
        words[0] = words[0] & ~1 | int_en
        words[11] = words[11] & ~0xFFFF | out_words
        return words

    async def push(self, words: list[int]) -> None:
        for word in words:
            await self.regs.write("layer_argument_fifo", word)

    async def interrupt(self) -> int:
        """Wait for the interrupt line; interrupt_status."""
        while self.dut.irq.value != 1:
            await RisingEdge(self.dut.clk)
        return await self.regs.read("interrupt_status")

    async def no_interrupt(self, cycles: int = 100) -> None:
        for _ in range(cycles):
            await RisingEdge(self.dut.clk)
            assert self.dut.irq.value == 0, "an interrupt that no driver expects"


async def start(dut, stall: float = 0.0, **core) -> tuple[Bench, Core]:
    bench = Bench(dut, stall)
    return bench, await bench.reset(**core)


@cocotb.test()
async def registers_have_their_reset_values_and_keep_what_is_written(dut):
    b, _ = await start(dut, stall=0.2)
    for register in REGISTERS + EXTENSIONS:
        if register.fields and register.name not in ("ext_config", "ext_memories"):
            assert await b.regs.read(register.name) == register.reset, register.name
    for name, value in (("interrupt_mask", 5), ("fifo_threshold", 0x1A), ("eight_bit_mode", 1), ("fifo_ctrl", 0x1A)):
        await b.regs.write(name, value | b.rng.getrandbits(30) << 32)
        assert await b.regs.read(name) == value, f"{name}: reserved bits read 0"
    for name in ("layer_argument_fifo", "interrupt_clear", "ext_control", "fifo_data_out"):
        assert await b.regs.read(name) == 0, name


@cocotb.test()
async def extension_page_identifies_the_configuration(dut):
    b, _ = await start(dut)
    assert await b.regs.fields("ext_id") == {"magic": KPU_ID_MAGIC, "version": 1, "has_16bit": 1}
    assert await b.regs.fields("ext_config") == {"pes": CONFIG["PES"], "lanes": CONFIG["LANES"],
                                                 "tile_pixels": CONFIG["TILE"], "layer_fifo": CONFIG["LAYERS"]}
    assert await b.regs.fields("ext_memories") == {"airam_rows": CONFIG["AIRAM_ROWS"],
                                                   "weight_bytes": CONFIG["WEIGHT_BYTES"]}


@cocotb.test()
async def unmapped_offsets_read_zero_and_partial_writes_are_refused(dut):
    b, _ = await start(dut)
    for offset in (0x48, 0x800, 0x1088, 0x1418, 0x1438, 0x1800, 0x2000, 0xFFF8):
        await b.axil.write(offset, bytes(range(1, 9)))
        assert (await b.axil.read(offset, 8)).data == bytes(8), hex(offset)
    answer = await b.axil.write(b.regs.table["fifo_threshold"].offset, b"\xff")
    assert answer.resp == AxiResp.SLVERR
    assert await b.regs.read("fifo_threshold") == 0


@cocotb.test()
async def descriptors_reach_the_core_in_order_whatever_stalls(dut):
    b, core = await start(dut, stall=0.3)
    layers = [b.layer() for _ in range(40)]
    for words in layers:
        await b.push(words)
    while len(core.layers) < len(layers):
        await RisingEdge(dut.clk)
    assert core.layers == layers


@cocotb.test()
async def a_layer_keeps_the_mode_in_which_it_was_written(dut):
    """eight_bit_mode written behind queued layers does not reach them."""
    b, core = await start(dut, stall=0.3)
    core.hold = True
    modes = [b.rng.getrandbits(1) for _ in range(CONFIG["LAYERS"])]
    for mode in modes:
        await b.regs.write("eight_bit_mode", mode)
        await b.push(b.layer())
    await b.regs.write("eight_bit_mode", 1 - modes[-1])
    core.hold = False
    await with_timeout(_finished(dut, core, len(modes)), 50, "us")
    assert core.modes == modes


@cocotb.test()
async def a_layer_is_offered_only_when_its_twelfth_word_is_written(dut):
    b, core = await start(dut)
    words = b.layer()
    await b.push(words[:-1])
    await ClockCycles(dut.clk, 50)
    assert not core.layers and dut.desc_valid.value == 0
    await b.push(words[-1:])
    await with_timeout(_finished(dut, core, 1), 2, "us")
    assert core.layers == [words]


@cocotb.test()
async def a_full_queue_stalls_the_write_but_not_reads(dut):
    b, core = await start(dut)
    core.hold = True
    layers = [b.layer() for _ in range(CONFIG["LAYERS"] + 2)]

    async def push_all():
        for words in layers:
            await b.push(words)

    pushing = cocotb.start_soon(push_all())
    while (await b.regs.fields("ext_fifo_level"))["layers"] < CONFIG["LAYERS"]:
        pass
    await ClockCycles(dut.clk, 100)
    assert not pushing.done()
    assert (await b.regs.fields("ext_fifo_level"))["layers"] == CONFIG["LAYERS"]
    core.hold = False
    await with_timeout(_finished(dut, core, len(layers)), 50, "us")
    assert core.layers == layers


@cocotb.test()
async def flushing_the_queue_drops_waiting_layers_and_keeps_the_ones_begun(dut):
    b, core = await start(dut)
    core.hold = True
    layers = [b.layer() for _ in range(8)]
    for words in layers:
        await b.push(words)
    await b.push(b.layer()[:5])
    await b.regs.write("fifo_ctrl", 0x1F & ~4)
    await b.push(b.layer())
    await b.regs.write("fifo_ctrl", 0x1F)
    kept = (await b.regs.fields("ext_fifo_level"))["layers"]
    assert kept in (2, 3), "two layers are with the core, a third may have begun"
    last = b.layer()
    await b.push(last)
    core.hold = False
    await with_timeout(_finished(dut, core, kept + 1), 20, "us")
    await ClockCycles(dut.clk, 200)
    assert core.layers == layers[:kept] + [last]


@cocotb.test()
async def flushing_the_output_fifo_empties_it(dut):
    b, core = await start(dut)
    await b.push(b.layer(out_words=9))
    await _finished(dut, core, 1)
    await b.regs.write("fifo_ctrl", 0x1E)
    await ClockCycles(dut.clk, 5)
    assert not core.fifo
    await b.regs.write("fifo_ctrl", 0x1F)
    await b.push(b.layer(out_words=2))
    await _finished(dut, core, 2)
    assert [await b.regs.read("fifo_data_out") for _ in range(3)] == [1 << 32, 1 << 32 | 1, 0]


@cocotb.test()
async def clear_is_per_bit_and_mask_gates_status_and_line_only(dut):
    b, core = await start(dut)
    await b.regs.write("fifo_threshold", 0x01)
    await b.push(b.layer(int_en=1))
    await _finished(dut, core, 1)
    await ClockCycles(dut.clk, 2)
    assert await b.regs.read("interrupt_raw") == DONE | EMPTY | FULL
    assert await b.regs.read("interrupt_status") == 0 and dut.irq.value == 0
    for mask in range(8):
        await b.regs.write("interrupt_mask", mask)
        assert await b.regs.read("interrupt_status") == 7 & ~mask
        assert dut.irq.value == (mask != 7)
    await b.regs.write("interrupt_mask", 0)
    for bit, left in ((EMPTY, DONE | FULL), (DONE, FULL), (FULL, 0)):
        await b.regs.write("interrupt_clear", bit)
        assert await b.regs.read("interrupt_raw") == left
    assert dut.irq.value == 0


@cocotb.test()
async def almost_full_is_raised_by_the_push_that_reaches_the_threshold(dut):
    b, core = await start(dut)
    core.hold = True
    await b.regs.write("fifo_threshold", 10)
    for count in range(1, 13):
        await b.push(b.layer())
        assert bool(await b.regs.read("interrupt_raw") & FULL) == (count >= 10), count
        await b.regs.write("interrupt_clear", 7)
    assert not await b.regs.read("interrupt_raw") & FULL, "an event, not a level"


@cocotb.test()
async def kmodel_v3_layers_in_ai_ram(dut):
    """kpu_run_kmodel: almost_empty enabled while nothing is queued, then calc_done per layer."""
    b, core = await start(dut, stall=0.2)
    await b.regs.write("interrupt_clear", 7)
    await b.regs.write("fifo_threshold", 0x1A)
    await b.regs.write("eight_bit_mode", 1)
    await b.regs.write("interrupt_mask", DONE | FULL)
    await b.no_interrupt()
    for n in range(4):
        await b.regs.write("interrupt_clear", 7)
        await b.regs.write("interrupt_mask", EMPTY | FULL)
        await b.push(b.layer(int_en=1))
        assert await with_timeout(b.interrupt(), 20, "us") == DONE
        assert len(core.layers) == n + 1 == sum(core.modes)
    await b.regs.write("interrupt_clear", 7)
    await b.no_interrupt()


@cocotb.test()
async def kmodel_v3_layer_to_main_memory(dut):
    """All masked, int_en=0: the DMA takes the words off fifo_data_out and its end is the signal."""
    b, core = await start(dut, stall=0.2)
    await b.regs.write("interrupt_clear", 7)
    await b.regs.write("interrupt_mask", 7)
    await b.push(b.layer(out_words=33))
    taken = []
    while len(taken) < 33:
        if (await b.regs.fields("ext_fifo_level"))["out_words"]:
            taken.append(await b.regs.read("fifo_data_out"))
    assert taken == list(range(33))
    await b.no_interrupt()
    assert not await b.regs.read("interrupt_raw") & DONE, "int_en = 0"
    assert len(core.layers) == 1


@cocotb.test()
async def nncase_runtime_layer_by_layer(dut):
    """nncase v0.2 and v1: only calc_done enabled, spin until the handler has run."""
    b, core = await start(dut, stall=0.2)
    for name, value in (("interrupt_clear", 7), ("interrupt_mask", 7), ("fifo_threshold", 0x1A), ("eight_bit_mode", 1)):
        await b.regs.write(name, value)
    layers = [b.layer(int_en=1) for _ in range(5)]
    for words in layers:
        await b.regs.write("interrupt_clear", 7)
        await b.regs.write("interrupt_mask", 6)
        await b.push(words)
        assert await with_timeout(b.interrupt(), 20, "us") == DONE
        await b.regs.write("interrupt_clear", 7)
        await b.regs.write("interrupt_mask", 7)
        assert dut.irq.value == 0
    assert core.layers == layers


@cocotb.test()
async def old_task_api_kpu_run_one_layer_per_interrupt(dut):
    """kpu_run: every interrupt pushes one more layer; the last one streams and nobody masks almost_empty after it."""
    b, core = await start(dut, stall=0.2)
    layers = [b.layer() for _ in range(5)] + [b.layer(int_en=1, out_words=7)]
    waiting = list(layers)
    await b.regs.write("interrupt_clear", 7)
    await b.regs.write("fifo_threshold", 0x1A)
    await b.regs.write("eight_bit_mode", 0)
    await b.regs.write("interrupt_mask", FULL)
    await b.push(waiting.pop(0))
    interrupts = 0
    taken: list[int] = []
    while len(taken) < 7:
        await RisingEdge(dut.clk)
        if dut.irq.value == 1:
            interrupts += 1
            await b.regs.write("interrupt_clear", 7)
            if waiting:
                await b.push(waiting.pop(0))
        elif (await b.regs.fields("ext_fifo_level"))["out_words"]:
            taken.append(await b.regs.read("fifo_data_out"))
    assert core.layers == layers
    assert interrupts <= len(layers) + 1, "one per layer popped and one for calc_done: no storm"
    await b.regs.write("interrupt_clear", 7)
    await b.no_interrupt()


@cocotb.test()
async def old_task_api_kpu_start_pushes_twelve_layers_blindly(dut):
    """kpu_start: 12 layers at once, further ones when the queue runs low; masked when none remains."""
    b, core = await start(dut, stall=0.1)
    layers = [b.layer() for _ in range(30)]
    waiting = list(layers)
    await b.regs.write("fifo_threshold", 0x1C)
    await b.regs.write("interrupt_mask", 7)

    async def push_some():
        for _ in range(min(12, len(waiting))):
            await b.push(waiting.pop(0))

    core.hold = True
    await push_some()
    assert (await b.regs.fields("ext_fifo_level"))["layers"] == 12
    core.hold = False
    await b.regs.write("interrupt_mask", DONE | FULL)
    while waiting:
        assert await with_timeout(b.interrupt(), 50, "us") == EMPTY
        await b.regs.write("interrupt_clear", 7)
        await push_some()
    await b.regs.write("interrupt_mask", 7)
    await with_timeout(_finished(dut, core, len(layers)), 100, "us")
    assert core.layers == layers


@cocotb.test()
async def counters_and_layer_log_hold_what_happened(dut):
    b, core = await start(dut, stall=0.2)
    log = [Registers(b.axil, EXT_LOG_BASE + n * EXT_LOG_STRIDE, EXT_LOG) for n in range(EXT_LOG_ENTRIES)]
    for _ in range(2):
        first = len(core.layers)
        await b.regs.write("ext_control", 1)
        for _ in range(EXT_LOG_ENTRIES + 5):
            await b.push(b.layer())
        await _finished(dut, core, first + EXT_LOG_ENTRIES + 5)
        await ClockCycles(dut.clk, 2)
        mine = core.figures[first:]
        assert await b.regs.read("ext_layers") == len(mine)
        for event in EVENTS:
            name = "ext_cycles" if event == "active" else f"ext_{event}"
            assert await b.regs.read(name) == sum(figures[event] for figures in mine), name
        for number in range(5, len(mine)):
            found: dict[str, int] = {}
            for register in EXT_LOG:
                found |= await log[number % EXT_LOG_ENTRIES].fields(register.name)
            assert found.pop("layer") == number
            found["active"] = found.pop("cycles")
            assert found == mine[number]


@cocotb.test()
async def an_error_raises_calc_done_and_names_the_first_layer(dut):
    b, core = await start(dut)
    core.errors = {2: 0b00010, 4: 0b01001}
    await b.regs.write("interrupt_mask", EMPTY | FULL)
    for _ in range(2):
        await b.push(b.layer())
    await b.no_interrupt(200)
    for _ in range(3):
        await b.push(b.layer())
    assert await with_timeout(b.interrupt(), 20, "us") == DONE
    await _finished(dut, core, 5)
    await ClockCycles(dut.clk, 2)
    assert await b.regs.read("ext_error") == 2 << 16 | 0b01011
    await b.regs.write("ext_control", 1)
    assert await b.regs.read("ext_error") == 0 and await b.regs.read("ext_layers") == 0


async def _finished(dut, core: Core, count: int) -> None:
    while len(core.layers) < count:
        await RisingEdge(dut.clk)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_kpu_regs(simulator):
    run_bench(simulator, "kpu_regs", "tb.control.test_regs", parameters=CONFIG)
