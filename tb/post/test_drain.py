# SPDX-License-Identifier: Apache-2.0
"""kpu_drain: the order in which partial sums reach the lanes, and the controls that go with them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.schedule.cycles import Block, blocks
from openkpu.schedule.plan import Plan, plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.commands import column_groups
from tb.plans import fields, pack

CORE = CORES[os.environ.get("KPU_CONFIG", "full")]
PHASES = CORE.SEGLEN // CORE.LPS
OUTPUTS = ("d_phase", "d_addr", "t_first", "t_last", "t_pos", "t_line_end", "t_params_end")


def computed(p: Plan, b: Block) -> tuple[int, int]:
    """(column groups of a computed line, computed lines) of a block."""
    return column_groups(p, b), b.rows + (not b.last_tile) if p.overlap else b.rows << p.lgc


def expected(p: Plan, b: Block) -> Iterator[tuple[int, ...]]:
    """All reads of a block. The array has numbered its sums line by line, group by group, column by column."""
    groups, lines = computed(p, b)
    side = 2 if p.overlap else 1 << p.lgc
    length = groups << p.lgc
    outputs = b.columns if p.overlap else groups
    for phase in range(PHASES):
        for row in range(b.rows):
            for group in range(outputs):
                for wy in range(side):
                    for wx in range(side):
                        line = min(row + wy, lines - 1) if p.overlap else (row << p.lgc) + wy
                        x = min(group + wx, groups - 1) if p.overlap else (group << p.lgc) + wx
                        last = wx == wy == side - 1
                        line_end = last and group == outputs - 1
                        yield (phase, line * length + x, int(wx == wy == 0), int(last),
                               b.column % 64 + (group << p.lgp), int(line_end), int(line_end and row == b.rows - 1))


@cocotb.test()
async def blocks_of_random_layers_are_read_in_window_order(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    for name in ("s_valid", "block_done", "params_valid", "en"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    bank = 0
    for _ in range(8):
        channels, pool = rng.choice((16, 30, 64, 128)), rng.choice((0, *range(10)))
        p = plan(make_descriptor((4, rng.randint(4, 12), rng.choice((4, 7, 20, 33, 64, 80))), channels, pool_type=pool,
                                 kernel_type=rng.getrandbits(1)), CORE)
        dut.layer.value = pack(fields(p))
        stall = rng.choice((0.0, 0.4))
        todo = list(blocks(p))[:12]
        done = drained = freed = sets = takes = 0
        reads: list[tuple[int, ...]] = []
        wanted = [(bank ^ i & 1, *read) for i, b in enumerate(todo) for read in expected(p, b)]
        for _ in range(len(wanted) * 4 + 2000):
            current = todo[drained] if drained < len(todo) else None
            dut.s_valid.value = int(current is not None)
            if current:
                groups, _ = computed(p, current)
                for name, value in (("rows", current.rows), ("ox", current.column), ("cols", current.columns),
                                    ("groups", groups), ("below", int(not current.last_tile))):
                    getattr(dut, f"s_{name}").value = value
            # At most two blocks are finished and not drained: there are two banks.
            finish = done < len(todo) and done - freed < 2 and rng.random() < 0.1
            dut.block_done.value = int(finish)
            done += finish
            sets += sets - takes < 2 and rng.random() < 0.3
            dut.params_valid.value = int(sets > takes)
            dut.en.value = int(rng.random() >= stall)
            await FallingEdge(dut.clk)
            if dut.d_re.value == 1:
                assert dut.en.value == 1 and drained < done, "sums are read before they are complete"
                reads.append((int(dut.d_bank.value), *(int(getattr(dut, name).value) for name in OUTPUTS)))
            if dut.params_take.value == 1:
                assert sets > takes, "parameters are taken that are not there"
                takes += 1
            # The block's last sum stands in the RAM's output until the lanes advance once more.
            if dut.bank_freed.value == 1:
                freed += 1
                assert dut.en.value == 1 and freed == drained, "a bank is freed before its last sum was taken"
            else:
                assert freed == drained or dut.en.value == 0, "a bank is not freed with its last sum"
            drained += int(dut.s_ready.value == 1)
            await RisingEdge(dut.clk)
            if freed == len(todo):
                break
        wrong = [i for i, (a, e) in enumerate(zip(reads, wanted, strict=False)) if a != e]
        assert reads == wanted, f"read {wrong[0] if wrong else len(reads)} of {len(wanted)} is wrong: {p}"
        assert takes == PHASES * len(todo), "every phase has its own parameters"
        bank ^= len(todo) & 1


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_drain(simulator, name):
    core = CORES[name]
    run_bench(simulator, "kpu_drain", "tb.post.test_drain", environment={"KPU_CONFIG": name},
              parameters={"PHASES": core.SEGLEN // core.LPS, "SKEW": core.SEGS,
                          "ADDR_W": core.DEPTH.bit_length() - 1})
