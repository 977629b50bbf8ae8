# SPDX-License-Identifier: Apache-2.0
"""Clock, reset and random numbers of a bench that drives the ports of one module."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles


def runs_on(simulator: str) -> bool:
    """True inside that simulator, "icarus" or "verilator"; false where pytest only collects the bench."""
    return getattr(cocotb, "SIM_NAME", "").lower().startswith(simulator)


class ClockedBench:
    """Starts the clock ``clk``; ``stall`` is the share of cycles in which a port pauses."""

    low: tuple[str, ...] = ()  # inputs that are 0 from the reset on

    def __init__(self, dut, stall: float = 0.0):
        self.dut, self.stall = dut, stall
        self.rng = random.Random(cocotb.RANDOM_SEED)
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())

    async def reset(self) -> None:
        """Two cycles of reset."""
        self.dut.rst.value = 1
        for name in self.low:
            getattr(self.dut, name).value = 0
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
