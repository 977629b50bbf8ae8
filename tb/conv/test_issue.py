# SPDX-License-Identifier: Apache-2.0
"""kpu_issue: when passes begin, the pixels they take, and what goes with each to the array or to the lanes."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.schedule.plan import Plan, plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.commands import ISSUE_FIELDS, Pass, passes, random_plan
from tb.plans import fields, pack

NAME = os.environ.get("KPU_CONFIG", "full")
CORE = CORES[NAME]
PULSES = ("block_late", "block_done", "set_freed", "params_take")


@dataclass
class State:
    """What the bench knows about the unit before a clock edge."""

    p: Plan
    todo: deque[Pass]
    running: Pass | None = None
    left: deque[tuple[int, bool]] = field(default_factory=deque)  # q, end of the line
    address: int = 0
    sets: int = 0           # weight sets loaded and not begun
    sets_in_use: int = 0    # loaded and not freed
    banks: int = 2          # free
    banks_done: int = 0     # complete, to be drained
    parameters: int = 0     # sets of lane parameters not taken
    taking: bool = False    # one of them is being taken
    bank: int = 1           # of the running pass

    def can_begin(self) -> tuple[bool, bool]:
        """Whether the next pass has (its weights, the rest)."""
        c = self.todo[0].command
        if self.p.dwfast:
            return not c["load"] or self.sets > 0, not c["load"] or (self.parameters > 0 and not self.taking)
        return not c["load"] or self.sets > 0, not c["first"] or self.banks > 0


class Bench(ClockedBench):
    low = ("s_valid", "set_loaded", "bank_freed", "params_valid", "set_valid")

    async def reset(self) -> None:
        self.dut.post_en.value = 1
        await super().reset()
        self.bank = 1

    async def run(self, p: Plan, cycles: int | None = None) -> None:
        """All passes of a layer, or its first ``cycles``."""
        dut, rng, stall = self.dut, self.rng, self.stall
        dut.layer.value = pack(fields(p))
        todo = deque(passes(p, CORE))
        s = State(p, todo, bank=self.bank)
        to_load = sum(one.command["load"] for one in todo)
        to_take = sum(len(one.lines) * len(one.takes) for one in todo)
        set_valid = False
        array: tuple | None = None      # what leaves for the array
        lanes: tuple | None = None      # what stands before the lanes
        pulses = dict.fromkeys(PULSES, False)
        for _ in range(cycles or int(8 * (to_take + 10 * len(todo)) / (1 - stall) ** 2) + 200):
            set_valid = set_valid or rng.random() >= stall
            loaded = to_load > 0 and s.sets_in_use < 2 and rng.random() >= stall
            freed = s.banks_done > 0 and rng.random() >= stall
            s.parameters += int(p.dwfast and s.parameters < 2 and rng.random() >= stall)
            post_en = rng.random() >= stall
            s_valid = bool(todo) and rng.random() >= stall
            for name, value in (("set_valid", set_valid), ("set_loaded", loaded), ("bank_freed", freed),
                                ("post_en", post_en), ("s_valid", s_valid), ("params_valid", s.parameters > 0)):
                getattr(dut, name).value = int(value)
            for name in ISSUE_FIELDS:
                getattr(dut, f"s_{name}").value = todo[0].command[name] if s_valid else rng.getrandbits(1)
            # kpu_core masks the channel to its slot in the row.
            dut.s_slot.value = todo[0].command["channel"] % (1 << p.lgi) if s_valid else rng.getrandbits(2)
            await FallingEdge(dut.clk)
            self._registered(array, lanes, pulses)
            s.taking = pulses["params_take"]
            pulses = dict.fromkeys(PULSES, False)
            # Tokens wait for the lanes; a weight set is free when its last token has left.
            if p.dwfast and lanes and post_en and lanes[2]:
                pulses["set_freed"] = True
                s.sets_in_use -= 1
            token = self._take(s, set_valid, post_en, pulses)
            array = None if p.dwfast else token
            if post_en:
                lanes = token if p.dwfast else None
            set_valid = set_valid and dut.set_done.value == 0
            s.sets += loaded
            s.sets_in_use += loaded
            to_load -= loaded
            s.parameters -= s.taking
            s.banks += freed
            s.banks_done -= freed
            if s_valid and dut.s_ready.value == 1:
                self._begin(s, pulses)
            await RisingEdge(dut.clk)
            if not todo and not s.running and s.banks == 2 and not s.sets_in_use:
                break
        else:
            assert cycles, f"{len(todo)} passes are left: {p}"
            return
        for name in ("s_valid", "set_loaded", "bank_freed", "params_valid", "set_valid"):
            getattr(dut, name).value = 0
        await FallingEdge(dut.clk)
        self._registered(array, lanes, pulses)
        await RisingEdge(dut.clk)
        self.bank = s.bank

    def _take(self, s: State, set_valid: bool, post_en: bool, pulses: dict) -> tuple | None:
        """Check the cycle of the running pass and the beginning of the next; what is taken."""
        dut = self.dut
        take = s.running is not None and set_valid and (post_en or not s.p.dwfast)
        assert dut.take.value == int(take)
        token, ends, one = None, False, s.running
        if take:
            (q, line_end), ends = s.left.popleft(), not s.left
            assert (int(dut.q.value), dut.set_done.value == 1) == (q, line_end), f"take of {one}"
            c = one.command
            if s.p.dwfast:
                token = (q % 64, line_end, ends and c["free"], ends and c["free"])
            else:
                token = (s.address, c["first"], s.bank, ends and c["free"], c["high"])
                assert s.address < CORE.DEPTH
            s.address += 1
        else:
            assert dut.set_done.value == 0
        # A pass of one cycle would be followed by the next one before its sum can be read again.
        may_begin = not one or (ends and len(one.lines) * len(one.takes) > 1)
        has_weights, has_rest = s.can_begin() if s.todo else (True, True)
        valid = dut.s_valid.value == 1
        begins = valid and may_begin and has_weights and has_rest
        assert dut.s_ready.value == int(begins), "a pass begins when everything is there, and not before"
        waits = {"param": not one and valid and not has_weights, "feature": bool(one) and not set_valid,
                 "writeback": (not one and (not valid or (has_weights and not has_rest)))
                 or (bool(one) and set_valid and not take)}
        for name, expected in waits.items():
            assert getattr(dut, f"wait_{name}").value == int(expected), f"wait_{name}"
        if ends:
            c = one.command
            s.running = None
            pulses["block_done"] = bool(c["last"])
            if not s.p.dwfast:
                s.banks_done += c["last"]
                pulses["set_freed"] = bool(c["free"])
                s.sets_in_use -= c["free"]
        return token

    def _begin(self, s: State, pulses: dict) -> None:
        """The next pass has been accepted."""
        s.running = s.todo.popleft()
        c, takes = s.running.command, s.running.takes
        s.left = deque((q, q == takes[-1]) for _ in s.running.lines for q in takes)
        s.address = 0
        pulses["block_late"] = bool(c["last"])
        pulses["params_take"] = bool(s.p.dwfast and c["load"])
        if c["first"] and not s.p.dwfast:
            s.bank ^= 1
            s.banks -= 1
        if c["load"]:
            s.sets -= 1

    def _registered(self, array: tuple | None, lanes: tuple | None, pulses: dict[str, bool]) -> None:
        """Outputs that follow one cycle later."""
        dut = self.dut
        assert (dut.a_valid.value, dut.d_valid.value) == (int(array is not None), int(lanes is not None))
        if array:
            got = tuple(int(getattr(dut, f"a_{name}").value) for name in ("addr", "first", "bank", "ends", "high"))
            assert got == array, f"(address, first, bank, end of weights, high) {got} instead of {array}"
        if lanes:
            got = tuple(int(getattr(dut, name).value) for name in ("d_pos", "d_line_end", "d_params_end", "a_ends"))
            assert got == lanes, f"(position, end of line, end of parameters, of weights) {got} instead of {lanes}"
        for name, expected in pulses.items():
            assert getattr(dut, name).value == int(expected), name


def layer(b: Bench) -> Plan:
    return random_plan(b.rng, CORE, most_passes=200, most_cycles=1_000)


@cocotb.test()
async def passes_of_random_layers_follow_without_a_gap(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(10):
        await b.run(layer(b))


@cocotb.test()
async def stalls_of_every_unit_change_nothing(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    for _ in range(8):
        await b.run(layer(b))


@cocotb.test()
async def passes_of_one_cycle(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(2):
        await b.run(plan(make_descriptor((80, 4, 4), 40, pool_type=7, image_dst_addr=0), CORE))
        b.stall = 0.3


@cocotb.test()
async def reset_in_the_middle_of_a_layer(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    for _ in range(3):
        await b.run(layer(b), cycles=b.rng.randint(1, 200))
        await b.reset()
        await b.run(layer(b))


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_issue(simulator, name):
    core = CORES[name]
    run_bench(simulator, "kpu_issue", "tb.conv.test_issue",
              parameters={"LGLANES": (core.SEGS * core.LPS).bit_length() - 1, "ADDR_W": core.DEPTH.bit_length() - 1},
              environment={"KPU_CONFIG": name})
