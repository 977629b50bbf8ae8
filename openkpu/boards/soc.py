# SPDX-License-Identifier: Apache-2.0
"""The SoC that all boards share: links, LiteDRAM and the KPU, with or without a processor."""

from __future__ import annotations

from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.csr import CSRStorage
from migen.fhdl.bitcontainer import log2_int

from ..hw.board import AIRAM_WINDOW, CSR_BASE, CSR_LOCATIONS, CSR_PAGE, REGISTER_WINDOW, REGISTER_WINDOW_BYTES
from ..hw.configs import CORES
from ..hw.fields import ROW_BYTES
from .kpu import Kpu


class MemoryStatus(LiteXModule):
    """Where LiteX's BIOS says whether the external memory works."""

    def __init__(self) -> None:
        self.init_done = CSRStorage(1)
        self.init_error = CSRStorage(1)


class KpuSoC(SoCCore):
    """A LiteX SoC with a KPU at the addresses of ``openkpu.hw.board``.

    Parameters
    ----------
    platform, clock : as LiteX's; Hz.
    phy, module : of the external memory, as LiteDRAM's.
    config : which of ``openkpu.hw.configs.CORES``.
    cpu : LiteX's name of a processor, None for none: a host then starts the memory and drives the KPU.
    ident : text in the identification ROM; "" for no ROM.
    """

    csr_map = CSR_LOCATIONS
    mem_map = SoCCore.mem_map | {"csr": CSR_BASE}

    def __init__(self, platform, clock: float, phy, module, config: str = "board", cpu: str | None = None,
                 ident: str = "") -> None:
        firmware = {} if cpu else {"integrated_sram_size": 0, "with_timer": False, "with_uart": False}
        SoCCore.__init__(self, platform, clock, cpu_type=cpu, ident=ident, csr_paging=CSR_PAGE,
                         integrated_rom_size=0x10000 if cpu else 0, uart_name="crossover", **firmware)
        self.add_module("sdrphy" if phy.settings.memtype == "SDR" else "ddrphy", phy)  # as LiteX's BIOS calls it
        # A second-level cache would hide from the KPU what the host has written.
        self.add_sdram("sdram", phy=phy, module=module, l2_cache_size=0)
        core = CORES[config]
        ports = self.sdram.crossbar.get_port
        self.kpu = Kpu(platform, ports(), ports() if core.CACHE_LINES else None, core, clock,
                       0 if cpu else _mode_register(phy.settings))
        size = core.AIRAM_ROWS * ROW_BYTES
        self.bus.add_slave("kpu_airam", self.kpu.airam, SoCRegion(AIRAM_WINDOW, size, cached=False))
        self.bus.add_slave("kpu_registers", self.kpu.registers,
                           SoCRegion(REGISTER_WINDOW, REGISTER_WINDOW_BYTES, cached=False))
        if cpu:
            self.ddrctrl = MemoryStatus()  # the name by which LiteX's BIOS knows it
            self.comb += self.kpu.memory_started.eq(self.ddrctrl.init_done.storage)

    def add_link(self, name: str, master) -> None:
        """A Wishbone master by which a host reaches the SoC."""
        self.bus.add_master(name, master)
        self.kpu.watch(master)


def _mode_register(settings) -> int:
    """As in ``litedram.init.get_sdr_phy_init_sequence``; 0 for memories that need more than this."""
    return settings.cl << 4 | log2_int(settings.nphases) if settings.memtype == "SDR" else 0
