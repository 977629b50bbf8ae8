# SPDX-License-Identifier: Apache-2.0
"""kpu_seq: the commands of a layer, their order, and the layer's start and end."""

from __future__ import annotations

import os

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.schedule.cycles import blocks
from openkpu.schedule.plan import Plan, plan
from tb.bench import CONFIGURATIONS, run_bench
from tb.clocked import ClockedBench
from tb.commands import block_command, passes, random_plan
from tb.plans import PLAN_BITS, fields, pack

NAME = os.environ.get("KPU_CONFIG", "full")
CORE = CORES[NAME]
UNITS = ("pass", "block")


class Bench(ClockedBench):
    """Takes commands, finishes blocks a while later, and streams the result."""

    low = ("plan_valid", "pass_ready", "block_ready", "stream_done")

    async def reset(self) -> None:
        await super().reset()
        self.dut.drained.value = 1

    async def run(self, p: Plan, error: int = 0, cycles: int | None = None) -> None:
        """One layer from its plan to its end, or only its first ``cycles``."""
        dut, rng = self.dut, self.rng
        bits = pack(fields(p) | {"ERR": error})
        wanted = {"pass": [one.command for one in passes(p, CORE)], "block": [block_command(p, b) for b in blocks(p)]}
        if error:
            wanted = {unit: [] for unit in UNITS}
        total = sum(map(len, wanted.values()))
        got = {unit: [] for unit in UNITS}
        kept: dict[str, dict | None] = dict.fromkeys(UNITS)
        finished = starts = streams = 0
        streaming = accepted = taken = False
        first = now = 0
        for _ in range(cycles or int(total * 4 / (1 - self.stall) ** 2) + 1000):
            dut.plan_valid.value = int(not taken and rng.random() >= self.stall)
            dut.plan.value = rng.getrandbits(PLAN_BITS) if taken else bits
            for unit in UNITS:
                getattr(dut, f"{unit}_ready").value = int(rng.random() >= self.stall)
            finished += finished < len(got["block"]) and rng.random() < 0.2
            dut.drained.value = int(finished == len(got["block"]))
            stream_done = streaming and rng.random() < 0.2
            dut.stream_done.value = int(stream_done)
            await FallingEdge(dut.clk)
            assert dut.layer_start.value == int(accepted), "a layer starts in the cycle after its plan"
            starts += accepted
            assert dut.active.value == int(taken and dut.layer_done.value == 0)
            accepted = dut.plan_valid.value == 1 and dut.plan_ready.value == 1
            assert not (accepted and taken), "the next plan is taken before the layer ends"
            if taken:
                assert int(dut.layer.value) == bits, "the plan changes in the middle of the layer"
            now += 1
            first = first or now * (dut.pass_valid.value == 1)
            if not self.stall and len(got["pass"]) < len(wanted["pass"]) and first:
                # The feature fetch takes at least three cycles to prepare a pass.
                assert len(got["pass"]) == (now - first + 1) // 2, "a command every second cycle"
            for unit in UNITS:
                kept[unit] = self._handshake(unit, wanted[unit], got[unit], kept[unit])
            if dut.stream_start.value == 1:
                assert not any(got.values()), "the stream begins with the layer"
                streams += 1
            if dut.layer_done.value == 1:
                assert finished == len(wanted["block"]) and not streaming
                break
            streaming = (streaming or dut.stream_start.value == 1) and not stream_done
            taken = taken or accepted
            await RisingEdge(dut.clk)
        else:
            assert cycles, f"the layer does not end after {len(got['pass'])} of {len(wanted['pass'])} passes: {p}"
            return
        for unit in UNITS:
            assert len(got[unit]) == len(wanted[unit]), f"{unit} {len(got[unit])} of {len(wanted[unit])} is missing"
        assert starts == 1 and streams == p.descriptor.send_data_out
        await RisingEdge(dut.clk)

    def _handshake(self, unit: str, wanted: list[dict], got: list[dict], kept: dict | None) -> dict | None:
        """Compare what a unit is told; the command if it has to wait."""
        dut = self.dut
        valid, ready = (getattr(dut, f"{unit}_{name}").value == 1 for name in ("valid", "ready"))
        if not valid:
            assert kept is None, f"a {unit} command is withdrawn"
            return None
        assert len(got) < len(wanted), f"there is a {unit} too many"
        expected = wanted[len(got)]
        command = {name: int(getattr(dut, f"{unit}_{name}").value) for name in expected}
        wrong = {name: (command[name], expected[name]) for name in expected if command[name] != expected[name]}
        assert not wrong, f"{unit} {len(got)}: (got, expected) {wrong}"
        if not ready:
            return command
        got.append(command)
        return None


def layer(b: Bench) -> Plan:
    return random_plan(b.rng, CORE, most_passes=150, most_cycles=10_000_000)


@cocotb.test()
async def commands_of_random_layers_in_every_second_cycle(dut):
    b = Bench(dut, 0.0)
    await b.reset()
    for _ in range(15):
        await b.run(layer(b))


@cocotb.test()
async def stalls_change_nothing(dut):
    b = Bench(dut, 0.5)
    await b.reset()
    for _ in range(8):
        await b.run(layer(b))


@cocotb.test()
async def weights_that_are_fetched_in_pieces(dut):
    b = Bench(dut, 0.2)
    await b.reset()
    for eight_bit in (True, False):
        d = make_descriptor((80, 4, 4), CORE.SEGS * CORE.SEGLEN, kernel_type=1, eight_bit=eight_bit, image_dst_addr=0)
        p = plan(d, CORE, eight_bit)
        assert p.passes > p.piece
        await b.run(p)


@cocotb.test()
async def an_illegal_layer_starts_and_ends_without_commands(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    for error in (1, 2, 4, 8, 15):
        await b.run(layer(b), error)
    await b.run(layer(b))


@cocotb.test()
async def reset_in_the_middle_of_a_layer(dut):
    b = Bench(dut, 0.3)
    await b.reset()
    for _ in range(5):
        await b.run(layer(b), cycles=b.rng.randint(2, 200))
        await b.reset()
        await b.run(layer(b))


@pytest.mark.parametrize("simulator, name", CONFIGURATIONS)
def test_kpu_seq(simulator, name):
    core = CORES[name]
    lgsegs = core.SEGS.bit_length() - 1
    run_bench(simulator, "kpu_seq", "tb.control.test_seq", environment={"KPU_CONFIG": name},
              parameters={"LGPES": lgsegs + core.SEGLEN.bit_length() - 1,
                          "LGLANES": lgsegs + core.LPS.bit_length() - 1})
