# SPDX-License-Identifier: Apache-2.0
"""Where a LiteX SoC with a KPU has what: ``openkpu.boards`` builds it so, ``openkpu.devices.board`` finds it so.

The chip's SRAM is the beginning of the external memory. The AI RAM and the registers are 0x5000_0000 above the chip's
addresses, in LiteX's uncached range. Rows of the AI RAM that are not in the cache lie ``ROWS_OFFSET`` into the external
memory; whoever reads them there reads old bytes.
"""

from __future__ import annotations

from .fields import AIRAM_BASE, REGS_BASE

MAIN_RAM = 0x4000_0000
ROWS_OFFSET = 0x80_0000
SHIFT = 0x5000_0000
AIRAM_WINDOW = AIRAM_BASE + SHIFT
REGISTER_WINDOW = REGS_BASE + SHIFT
REGISTER_WINDOW_BYTES = 0x1_0000
# The upper half of the register window repeats two registers: bursts with rising addresses reach one of them.
STREAM_WINDOW, STREAM_REGISTER = 0x8000, 0x0030
PUSH_WINDOW, PUSH_REGISTER = 0xC000, 0x0000
ALIAS_BYTES = 0x4000

CSR_BASE = 0xF000_0000
CSR_PAGE = 0x800
CSR_LOCATIONS = {"kpu": 16, "sdram": 17}

PAGE_MAGIC = 0x4F4B4244  # "OKBD"
PAGE_REGISTERS = {
    "magic": "0x4F4B4244, 'OKBD'",
    "clock_khz": "of the core",
    "reset": "1 holds the core and its way to the memory in reset",
    "cycles": "clock cycles since power-on, the lower 32 bits",
    "owner": "token of the host that has the board, 0 = nobody; taken by writing it, given back by writing its inverse",
    "link_words": "words written over the links since power-on",
    "link_sum": "sum of the addresses and the data of these words",
    "irq": "the interrupt line",
    "dram_mode": "mode register that a host has to load into SDR SDRAM; 0 = firmware starts the memory",
    "dram_ready": "set by who has started the external memory",
}
OWNER_SECONDS = 2  # without any access


def page_address(name: str) -> int:
    """Bus address of a register of the board page; each has 32 bits."""
    return CSR_BASE + CSR_PAGE * CSR_LOCATIONS["kpu"] + 4 * list(PAGE_REGISTERS).index(name)


def sdram_address(offset: int) -> int:
    """Bus address of a register of LiteDRAM, by its place in its page."""
    return CSR_BASE + CSR_PAGE * CSR_LOCATIONS["sdram"] + offset
