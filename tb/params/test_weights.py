# SPDX-License-Identifier: Apache-2.0
"""kpu_weights: which weights reach which processing element, in which set, whatever stalls."""

from __future__ import annotations

import os
import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.hw.configs import CORES, CoreParameters
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench

CORE = CORES[os.environ.get("KPU_CONFIG", "full")]


def parameters(core: CoreParameters) -> dict[str, int]:
    """Of a small buffer, so that a few layers go round it."""
    lgsegs, lgseglen = core.SEGS.bit_length() - 1, core.SEGLEN.bit_length() - 1
    return {"LGSIZE": max(lgsegs + lgseglen + 4, 8), "LGSEGS": lgsegs, "LGSEGLEN": lgseglen}


LGSIZE, LGSEGS, LGSEGLEN = parameters(CORE).values()
PES = 1 << LGSEGS + LGSEGLEN


class Bench(ClockedBench):
    """Feeds entries and pass commands, frees weight sets a while after they are loaded."""

    low = ("entry_valid", "s_valid", "set_freed", "s_dw", "s_lgdw", "s_bypass", "s_lgp", "s_const")

    async def run(self, entries: list[int], commands: list[dict], limit: int = 20_000) -> list[list[tuple]]:
        """The writes of every pass: (segment, mask, element, data).

        The array takes a pass's weights into use one cycle after the last of them has come and the set before has been
        freed; a column's segment j does it j cycles later. The next weights must not come sooner.
        """
        dut, rng = self.dut, self.rng
        entries, commands = deque(entries), deque(commands)
        passes, writes, in_use = [], [], 0
        loaded: list[int] = []  # cycles
        freed: list[int] = []
        wanted = len(commands)
        for cycle in range(limit):
            dut.entry_valid.value = int(bool(entries) and rng.random() >= self.stall)
            dut.entry.value = entries[0] if entries else rng.getrandbits(72)
            dut.s_valid.value = int(bool(commands))
            if commands:
                for name, value in commands[0].items():
                    getattr(dut, name).value = value
            free = in_use > 0 and rng.random() < 0.15
            dut.set_freed.value = int(free)
            in_use -= free
            freed += [cycle] * free
            await FallingEdge(dut.clk)
            if dut.entry_valid.value == 1 and dut.entry_ready.value == 1:
                entries.popleft()
            if commands and dut.s_ready.value == 1:
                commands.popleft()
            if dut.w_valid.value == 1:
                writes.append(tuple(int(getattr(dut, name).value)
                                    for name in ("w_seg", "w_mask", "w_pe", "w_data")))
                if len(passes) > 1:
                    segment = 0 if dut.w_dw.value == 1 else writes[-1][0]
                    assert cycle > max(loaded[-1], freed[len(passes) - 2]) + 1 + segment, "weights are lost"
            if dut.set_loaded.value == 1:
                assert dut.w_valid.value == 1
                loaded.append(cycle)
                passes.append(writes)
                writes = []
                in_use += 1
                assert in_use <= 2, "a third set was loaded while two were in use"
            await RisingEdge(dut.clk)
            if len(passes) == wanted and not in_use:
                assert not entries and not writes
                return passes
        raise AssertionError(f"{len(passes)} of {wanted} passes after {limit} cycles")


def layer(rng: random.Random, lgp: int, keep: bool) -> tuple[list[int], list[dict], list[list[int]]]:
    """Entries in fetch order, pass commands, and the entries that each pass must send."""
    block = PES >> lgp
    count = rng.randint(1, 3 * block)
    passes = rng.randint(1, (1 << LGSIZE) // count if keep else 40)
    piece = passes if keep else (1 << LGSIZE - 1) // block
    tiles = rng.randint(2, 3) if keep else rng.randint(1, 2)
    entries, commands, expected = [], [], []
    for tile in range(tiles):
        at = 0
        if tile == 0 or not keep:
            fresh = []
        for first in range(0, count, block):
            outs = min(block, count - first)
            for begin in range(0, passes, piece):
                gs = min(piece, passes - begin)
                if tile == 0 or not keep:
                    fresh += [rng.getrandbits(72) for _ in range(outs * gs)]
                for g in range(gs):
                    last = first + outs == count and begin + g + 1 == passes
                    commands.append({
                        "s_outs": outs, "s_g": g, "s_gs": gs, "s_lgp": lgp, "s_keep": int(keep and tile < tiles - 1),
                        "s_rewind": int(keep and last and tile < tiles - 1)})
                    expected.append([fresh[at + o * gs + g] for o in range(outs)])
                at += outs * gs
        if tile == 0 or not keep:
            entries += fresh
    return entries, commands, expected


@cocotb.test()
async def every_pass_gets_its_own_weights(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    for _ in range(12):
        lgp = b.rng.randint(0, LGSEGS)
        entries, commands, expected = layer(b.rng, lgp, keep=bool(b.rng.getrandbits(1)))
        for writes, data in zip(await b.run(entries, commands), expected, strict=True):
            assert [w[3] for w in writes] == data
            # Output channel o belongs to element o of a column; P columns take it at once.
            assert [w[0] << LGSEGLEN | w[2] for w in writes] == list(range(len(data)))
            assert {w[1] for w in writes} == {(1 << LGSEGS) - 1 >> lgp}


@cocotb.test()
async def depthwise_channels_serve_parts_of_the_lanes(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    for lgdw in range(min(2, LGSEGS) + 1):
        entries = [b.rng.getrandbits(72) for _ in range(10 << lgdw)]
        commands = [{"s_outs": 1 << lgdw, "s_g": 0, "s_gs": 1, "s_rewind": 0, "s_keep": 0, "s_dw": 1, "s_lgdw": lgdw}
                    for _ in range(10)]
        got = await b.run(entries, commands)
        part, every = 1 << LGSEGS - lgdw, (1 << LGSEGS) - 1
        for i, writes in enumerate(got):
            assert [(w[0], w[1], w[3]) for w in writes] == [
                (part * k, every & ~(every >> lgdw), entries[(i << lgdw) + k]) for k in range(1 << lgdw)]


@cocotb.test()
async def bypass_sends_a_constant_and_reads_nothing(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    commands = [{"s_outs": 1, "s_g": 0, "s_gs": 1, "s_rewind": 0, "s_keep": 0, "s_bypass": 1, "s_const": 1 << 32}] * 5
    assert [[w[3] for w in writes] for writes in await b.run([], commands)] == [[1 << 32]] * 5


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_weights(simulator, name):
    run_bench(simulator, "kpu_weights", "tb.params.test_weights",
              parameters=parameters(CORES[name]), environment={"KPU_CONFIG": name})
