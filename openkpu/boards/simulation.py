# SPDX-License-Identifier: Apache-2.0
"""The ULX3S's SoC for simulation: LiteDRAM's controller before its model of the memory, a UARTBone of whole bytes."""

from __future__ import annotations

import sys
from pathlib import Path

from litedram.modules import MT48LC16M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import Pins, Subsignal
from litex.build.sim import SimPlatform
from litex.gen import LiteXModule
from litex.soc.cores.uart import RS232PHYModel, UARTBone
from migen import ClockDomain

from .soc import KpuSoC
from .ulx3s import CLOCK, RATE, phy_settings

_IO = [
    ("sys_clk", 0, Pins(1)),
    ("sys_rst", 0, Pins(1)),
    ("serial", 0,
     Subsignal("source_valid", Pins(1)), Subsignal("source_ready", Pins(1)), Subsignal("source_data", Pins(8)),
     Subsignal("sink_valid", Pins(1)), Subsignal("sink_ready", Pins(1)), Subsignal("sink_data", Pins(8))),
]


class _Clock(LiteXModule):
    def __init__(self, platform) -> None:
        self.cd_sys = ClockDomain()
        self.comb += [self.cd_sys.clk.eq(platform.request("sys_clk")), self.cd_sys.rst.eq(platform.request("sys_rst"))]


def simulation_soc(config: str = "board") -> KpuSoC:
    """The SoC, not yet finalized."""
    platform = SimPlatform("SIM", _IO)
    module = MT48LC16M16(CLOCK, RATE)
    phy = SDRAMPHYModel(module, settings=phy_settings(), clk_freq=CLOCK)
    soc = KpuSoC(platform, CLOCK, phy, module, config)
    soc.crg = _Clock(platform)
    soc.uartbone_phy = RS232PHYModel(platform.request("serial"))
    soc.uartbone = UARTBone(soc.uartbone_phy, clk_freq=CLOCK)
    soc.add_link("uartbone", soc.uartbone.wishbone)
    return soc


def write_verilog(soc: KpuSoC, folder: Path) -> Path:
    """Write a SoC's Verilog, without that of the KPU."""
    soc.finalize()
    file = folder / "sim.v"
    soc.platform.get_verilog(soc, name="sim").write(str(file))
    return file


def main(arguments: list[str]) -> None:
    """``python -m openkpu.boards.simulation CONFIGURATION FOLDER``."""
    config, folder = arguments
    write_verilog(simulation_soc(config), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
