# SPDX-License-Identifier: Apache-2.0
"""The simulator's side of the cocotb back end: ``kpu_core`` between cocotbext-axi's bus masters and memory.

``python -m openkpu.devices.cocotb_server SIMULATOR CONFIGURATION FOLDER SEED STALL`` builds the simulator into FOLDER
(if it is not there) and runs :func:`serve` in it, which answers the requests of
``openkpu.devices.cocotb_device.CocotbDevice`` until that one closes the connection. The clock runs during
requests only.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Iterator
from multiprocessing.connection import Client
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from cocotb_tools.runner import get_runner
from cocotbext.axi import (
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiMaster,
    AxiRamRead,
    AxiReadBus,
    AxiResp,
    AxiStreamBus,
    AxiStreamSink,
)

from ..errors import DeviceError
from ..hw.configs import CORES
from ..hw.sources import INCLUDE, below
from .build import is_sealed, seal, start_afresh
from .verilator import cocotb_arguments

CLOCK_NS = 10
# No correct bus transaction takes so long; a push into a full queue may take some layers.
BUS_CYCLES = 1_000_000
PUSH_CYCLES = 200_000_000
PROGRAMS = {"verilator": "kpu_core", "icarus": "sim.vvp"}  # as cocotb's runner names what it builds
ADDRESS_SPACE = 1 << 30  # the address bits that the bus decodes


class Server:
    """Carries out requests; every public method is one."""

    def __init__(self, dut, rng: random.Random, stall: float):
        self.dut = dut
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.airam = AxiMaster(AxiBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst, max_burst_len=256)
        self.sram = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=ADDRESS_SPACE)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.sink.pause = True
        self._streamed = bytearray()
        if stall:
            ports = [self.axil.write_if, self.airam.write_if, self.axil.read_if, self.airam.read_if, self.sram]
            for port in ports:
                for name in ("aw_channel", "w_channel", "b_channel", "ar_channel", "r_channel"):
                    if hasattr(port, name):
                        getattr(port, name).set_pause_generator(_pauses(rng, stall))

    async def reset(self) -> None:
        """Reset the core; memories keep their content."""
        self._streamed.clear()
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 8)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def read64(self, offset: int) -> int:
        """One register."""
        answer = await with_timeout(self.axil.read(offset, 8), BUS_CYCLES * CLOCK_NS, "ns")
        return int.from_bytes(answer.data, "little")

    async def write64(self, offset: int, value: int) -> None:
        """One register."""
        await with_timeout(self.axil.write(offset, value.to_bytes(8, "little")), PUSH_CYCLES * CLOCK_NS, "ns")

    async def read_airam(self, offset: int, size: int) -> bytes:
        """Bytes of AI RAM."""
        answer = await with_timeout(self.airam.read(offset, size), (BUS_CYCLES + size) * CLOCK_NS, "ns")
        return _checked(answer).data

    async def write_airam(self, offset: int, data: bytes) -> None:
        """Bytes of AI RAM."""
        _checked(await with_timeout(self.airam.write(offset, data), (BUS_CYCLES + len(data)) * CLOCK_NS, "ns"))

    async def read_sram(self, offset: int, size: int) -> bytes:
        """Bytes of main SRAM; no clock cycle passes."""
        return bytes(self.sram.read(offset, size))

    async def write_sram(self, offset: int, data: bytes) -> None:
        """Bytes of main SRAM; no clock cycle passes."""
        self.sram.write(offset, data)

    async def stream(self, size: int, cycles: int) -> bytes:
        """Up to ``size`` bytes off the output stream, as many as come within ``cycles``."""
        self.sink.pause = False
        for _ in range(cycles):
            while not self.sink.empty():
                data = bytes(self.sink.recv_nowait().tdata)
                self._streamed += data + bytes(-len(data) % 8)  # whole words, as the DMA gets them
            if len(self._streamed) >= size:
                break
            await RisingEdge(self.dut.clk)
        self.sink.pause = True
        data = bytes(self._streamed[:size])
        del self._streamed[:size]
        return data

    async def run(self, cycles: int) -> bool:
        """Run until the interrupt line is high; False if it is not after ``cycles``."""
        for _ in range(cycles):
            if self.dut.irq.value == 1:
                return True
            await RisingEdge(self.dut.clk)
        return bool(self.dut.irq.value == 1)


def _checked(answer):
    if answer.resp != AxiResp.OKAY:
        raise DeviceError("the AI RAM does not have all of these bytes")
    return answer


def _pauses(rng: random.Random, share: float) -> Iterator[bool]:
    while True:
        yield rng.random() < share


@cocotb.test()
async def serve(dut):
    """Answer (name, arguments) with (ok, result or message, clock cycles) until the other side hangs up."""
    for name in ("", "s_axil", "s_axi", "m_axi", "m_axis"):
        logging.getLogger(f"cocotb.{dut._name}{'.' + name if name else ''}").setLevel(logging.ERROR)
    Clock(dut.clk, CLOCK_NS, "ns").start()
    server = Server(dut, random.Random(cocotb.RANDOM_SEED), float(os.environ["OPENKPU_STALL"]))
    await server.reset()
    with Client(os.environ["OPENKPU_SOCKET"]) as connection:
        while True:
            try:
                name, arguments = connection.recv()
            except EOFError:
                return
            try:
                reply = True, await getattr(server, name)(*arguments)
            except SimTimeoutError:
                reply = False, f"the core did not answer the request {name} in a bounded time"
            except DeviceError as error:
                reply = False, str(error)
            connection.send((*reply, round(get_sim_time("ns") / CLOCK_NS)))


def main(arguments: list[str]) -> None:
    """Build the simulator and run :func:`serve` in it."""
    simulator, config, folder, seed, stall = arguments
    args, plusargs = [], []
    if simulator == "verilator":
        args = ["-Wno-lint", *cocotb_arguments()]
        plusargs = ["+verilator+rand+reset+2", f"+verilator+seed+{int(seed) + 1}"]
    parameters = CORES[config].verilog()
    runner = get_runner(simulator)
    program = Path(folder) / PROGRAMS[simulator]
    if not is_sealed(program):
        start_afresh(Path(folder))
        runner.build(sources=below(["kpu_core"]), hdl_toplevel="kpu_core", parameters=parameters, includes=[INCLUDE],
                     build_dir=folder, build_args=args, timescale=("1ns", "1ps"))
        seal(program)
    os.environ["OPENKPU_STALL"] = stall
    runner.test(hdl_toplevel="kpu_core", hdl_toplevel_lang="verilog", test_module="openkpu.devices.cocotb_server",
                build_dir=folder, test_dir=os.environ["OPENKPU_RUN"], seed=int(seed), plusargs=plusargs,
                parameters=parameters, results_xml=str(Path(os.environ["OPENKPU_RUN"]) / "results.xml"),
                timescale=("1ns", "1ps"))


if __name__ == "__main__":
    main(sys.argv[1:])
