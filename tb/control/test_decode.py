# SPDX-License-Identifier: Apache-2.0
"""kpu_decode: its plan against the cycle model's, its errors against openkpu/hw/check.py."""

from __future__ import annotations

import os
from itertools import count

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout

from openkpu.golden.layers import random_layer
from openkpu.hw.check import descriptor_errors, error_bits
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import Descriptor, replace
from openkpu.hw.fields import DESCRIPTOR, WORDS
from openkpu.schedule.cycles import decode_cycles
from openkpu.schedule.plan import plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.plans import fields, unpack

NAME = os.environ.get("KPU_CONFIG", "full")
CORE = CORES[NAME]
CONFIG = CORE.config(NAME)
MOST_CYCLES = 400


class Bench(ClockedBench):
    low = ("desc_valid", "plan_ready")

    def __init__(self, dut):
        super().__init__(dut)
        self.data = np.random.default_rng(cocotb.RANDOM_SEED)

    async def decode(self, words: list[int], eight_bit: bool) -> dict[str, int]:
        """The fields of the plan of one descriptor."""
        dut = self.dut
        dut.eight_bit.value = int(eight_bit)
        words = list(words)
        while words:
            dut.desc_valid.value = int(self.rng.random() < 0.7)
            dut.desc_data.value = words[0]
            await FallingEdge(dut.clk)
            taken = dut.desc_valid.value == 1 and dut.desc_ready.value == 1
            await RisingEdge(dut.clk)
            if taken:
                words.pop(0)
        dut.desc_valid.value = 0
        self.cycles = await with_timeout(self._planned(), MOST_CYCLES * 10, "ns")
        bits = int(dut.plan.value)
        for _ in range(self.rng.randrange(3)):
            await FallingEdge(dut.clk)
            assert dut.plan_valid.value == 1 and int(dut.plan.value) == bits, "the plan changes before it is taken"
        dut.plan_ready.value = 1
        await RisingEdge(dut.clk)
        dut.plan_ready.value = 0
        return unpack(bits)

    async def _planned(self) -> int:
        """Cycles until the plan is there."""
        for cycle in count(1):
            await FallingEdge(self.dut.clk)
            if self.dut.plan_valid.value == 1:
                return cycle

    async def check(self, d: Descriptor, eight_bit: bool) -> bool:
        """Compare one descriptor's errors, and its plan if it is legal; whether it is."""
        errors = error_bits(descriptor_errors(d, CONFIG, eight_bit))
        got = await self.decode(d.pack(), eight_bit)
        assert got["ERR"] == errors, f"errors {got['ERR']:05b} instead of {errors:05b}: {d}, eight_bit {eight_bit}"
        if errors:
            return False
        expected = fields(plan(d, CORE, eight_bit))
        wrong = {name: (got[name], value) for name, value in expected.items() if got[name] != value}
        assert not wrong, f"(got, expected) {wrong}: {d}, eight_bit {eight_bit}"
        # The twelve words come first. Narrower strips are tried one after the other.
        predicted = decode_cycles(plan(d, CORE, eight_bit), CORE) - WORDS
        assert predicted <= self.cycles <= predicted + 40, f"{self.cycles} cycles, not {predicted}: {d}"
        return True


@cocotb.test()
async def legal_layers_are_planned_by_the_rules(dut):
    b = Bench(dut)
    await b.reset()
    for _ in range(200):
        layer = random_layer(b.data, CONFIG, max_macs=b.rng.choice((1_000, 100_000, 2_000_000)))
        assert await b.check(layer.descriptor, layer.eight_bit), layer.name


@cocotb.test()
async def one_field_at_an_end_of_its_range(dut):
    """Errors set exactly where the driver refuses the layer, and what remains legal is planned alike."""
    b = Bench(dut)
    await b.reset()
    refused = 0
    for _ in range(200):
        layer = random_layer(b.data, CONFIG, max_macs=10_000)
        f = b.rng.choice(DESCRIPTOR).field
        words = layer.words()
        slot = next(i for i, a in enumerate(DESCRIPTOR) if a.field is f)
        word = DESCRIPTOR[slot].word
        raw = words[word] >> f.lsb & f.mask
        value = b.rng.choice((0, 1, f.mask, f.mask >> 1, raw + 1, raw - 1, b.rng.getrandbits(f.width))) & f.mask
        words[word] = words[word] & ~(f.mask << f.lsb) | value << f.lsb
        refused += not await b.check(Descriptor.unpack(words), layer.eight_bit)
    assert refused > 10


@cocotb.test()
async def edges_of_the_ai_ram_and_of_loads(dut):
    """The last row and the last byte that are allowed, and the first that are not."""
    b = Bench(dut)
    await b.reset()
    for _ in range(40):
        layer = random_layer(b.data, CONFIG, max_macs=10_000)
        d = layer.descriptor
        source = replace(d.in_layout, channels=d.source_channels)
        size = min(d.o_ch_num_coef, d.o_ch_num) * d.taps * (1 if layer.eight_bit else 2)
        for name, edge in (("image_src_addr", CORE.AIRAM_ROWS - source.rows), ("para_size", size),
                           ("image_dst_addr", CORE.AIRAM_ROWS - d.out_layout.rows)):
            for value in (edge - 1, edge, edge + 1):
                if 0 <= value < (1 << (17 if name == "para_size" else 15)):
                    await b.check(replace(d, **{name: value}), layer.eight_bit)


@cocotb.test()
async def random_words_end_in_a_plan_or_an_error(dut):
    b = Bench(dut)
    await b.reset()
    for _ in range(60):
        words = [b.rng.getrandbits(64) for _ in range(WORDS)]
        await b.check(Descriptor.unpack(words), bool(b.rng.getrandbits(1)))


@pytest.mark.parametrize("simulator, name", [*CONFIGURATIONS, ("icarus", "board")])
def test_kpu_decode(simulator, name):
    core = CORES[name]
    run_bench(simulator, "kpu_decode", "tb.control.test_decode",
              parameters={"LGSEGS": core.SEGS.bit_length() - 1, "LGSEGLEN": core.SEGLEN.bit_length() - 1,
                          "DEPTH": core.DEPTH, "AIRAM_ROWS": core.AIRAM_ROWS,
                          "LGWEIGHTS": core.WEIGHT_ENTRIES.bit_length() - 1, "WEIGHT_BYTES": core.WEIGHT_ENTRIES * 9,
                          "CACHED": int(core.CACHE_LINES != 0)},
              environment={"KPU_CONFIG": name})
