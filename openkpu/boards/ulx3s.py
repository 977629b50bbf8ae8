# SPDX-License-Identifier: Apache-2.0
"""Radiona ULX3S with an LFE5U-85F: SDR SDRAM of 16 bits at twice the core's clock, UARTBone over its FT231X."""

from __future__ import annotations

from litedram.common import PhySettings, get_default_cl
from litedram.modules import MT48LC16M16
from litedram.phy import HalfRateGENSDRPHY
from litex.build.io import DDROutput
from litex.gen import LiteXModule
from litex.soc.cores.clock import ECP5PLL
from litex.soc.cores.uart import UARTPHY, UARTBone
from litex_boards.platforms import radiona_ulx3s
from migen import ClockDomain, ClockSignal

from .soc import KpuSoC

CLOCK = 40e6
RATE = "1:2"
BAUDRATE = 3_000_000
SDRAM_PHASE = 180  # degrees of the memory's clock, as litex-boards has it for this board
MEMORY = MT48LC16M16  # the timings of the chips on the board (IS42S16160, AS4C32M16) are no slower


class _Clocks(LiteXModule):
    def __init__(self, platform, clock: float) -> None:
        self.cd_sys = ClockDomain()
        self.cd_sys2x = ClockDomain()
        self.cd_sys2x_ps = ClockDomain()
        self.pll = pll = ECP5PLL()
        self.comb += pll.reset.eq(platform.request("rst"))
        pll.register_clkin(platform.request("clk25"), 25e6)
        pll.create_clkout(self.cd_sys, clock)
        pll.create_clkout(self.cd_sys2x, 2 * clock)
        pll.create_clkout(self.cd_sys2x_ps, 2 * clock, phase=SDRAM_PHASE)
        self.specials += DDROutput(1, 0, platform.request("sdram_clock"), ClockSignal("sys2x_ps"))
        self.comb += platform.request("wifi_gpio0").eq(1)  # or the ESP32 on the board resets the FPGA


def soc(config: str, clock: float = CLOCK) -> KpuSoC:
    """The SoC, not yet finalized."""
    platform = radiona_ulx3s.Platform(device="LFE5U-85F", toolchain="trellis")
    memory = HalfRateGENSDRPHY(platform.request("sdram"), clock)
    made = KpuSoC(platform, clock, memory, MEMORY(clock, RATE), config, ident="OpenKPU on ULX3S")
    made.crg = _Clocks(platform, clock)
    made.uartbone_phy = UARTPHY(platform.request("serial"), clock, BAUDRATE)
    made.uartbone = UARTBone(made.uartbone_phy, clk_freq=clock)
    made.add_link("uartbone", made.uartbone.wishbone)
    return made


def phy_settings(clock: float = CLOCK) -> PhySettings:
    """What ``HalfRateGENSDRPHY`` makes of this memory, for simulations that have no pins."""
    cl = get_default_cl(memtype="SDR", tck=1 / clock)
    return PhySettings(phytype="HalfRateGENSDRPHY", memtype="SDR", databits=16, dfi_databits=16, nranks=1, nphases=2,
                       rdphase=0, wrphase=0, cl=cl, read_latency=(cl + 1) // 2 + 1, write_latency=0)
