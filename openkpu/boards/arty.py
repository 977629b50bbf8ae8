# SPDX-License-Identifier: Apache-2.0
"""Digilent Arty A7-100T: DDR3 of 16 bits, Etherbone over 100 Mbit Ethernet. Never built with Vivado."""

from __future__ import annotations

from litedram.modules import MT41K128M16
from litedram.phy import A7DDRPHY
from liteeth.phy.mii import LiteEthPHYMII
from litex.gen import LiteXModule
from litex.soc.cores.clock import S7IDELAYCTRL, S7PLL
from litex_boards.platforms import digilent_arty
from migen import ClockDomain

from .soc import KpuSoC

CLOCK = 75e6
ADDRESS = "192.168.1.50"


class _Clocks(LiteXModule):
    def __init__(self, platform, clock: float) -> None:
        self.cd_sys = ClockDomain()
        self.cd_sys4x = ClockDomain()
        self.cd_sys4x_dqs = ClockDomain()
        self.cd_idelay = ClockDomain()
        self.cd_eth = ClockDomain()
        self.pll = pll = S7PLL(speedgrade=-1)
        self.comb += pll.reset.eq(~platform.request("cpu_reset"))
        pll.register_clkin(platform.request("clk100"), 100e6)
        pll.create_clkout(self.cd_sys, clock)
        pll.create_clkout(self.cd_sys4x, 4 * clock)
        pll.create_clkout(self.cd_sys4x_dqs, 4 * clock, phase=90)
        pll.create_clkout(self.cd_idelay, 200e6)
        pll.create_clkout(self.cd_eth, 25e6)
        self.comb += platform.request("eth_ref_clk").eq(self.cd_eth.clk)
        self.idelayctrl = S7IDELAYCTRL(self.cd_idelay)


def soc(config: str, clock: float = CLOCK) -> KpuSoC:
    """The SoC, not yet finalized. Its BIOS calibrates the DDR3, which needs a processor."""
    platform = digilent_arty.Platform(variant="a7-100", toolchain="vivado")
    memory = A7DDRPHY(platform.request("ddram"), memtype="DDR3", nphases=4, sys_clk_freq=clock)
    made = KpuSoC(platform, clock, memory, MT41K128M16(clock, "1:4"), config, cpu="vexriscv",
                  ident="OpenKPU on Arty A7-100T")
    made.crg = _Clocks(platform, clock)
    made.ethphy = LiteEthPHYMII(platform.request("eth_clocks"), platform.request("eth"))
    made.add_etherbone(phy=made.ethphy, ip_address=ADDRESS)
    made.kpu.watch(made.etherbone.wishbone.bus)
    return made
