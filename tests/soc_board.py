# SPDX-License-Identifier: Apache-2.0
"""The SoC that tests simulate: a small core with the chip's AI RAM; 256 KiB of SRAM and 1 MiB of flash."""

from dataclasses import replace

from openkpu.devices.soc import SocDevice
from openkpu.hw.configs import CORES
from openkpu.hw.device import KpuConfig
from rtl import skip_without_tools

SRAM_BYTES = 256 << 10
FLASH_BYTES = 1 << 20
JEDEC = 0xEF4014
CORE = replace(CORES["tiny"], AIRAM_ROWS=CORES["full"].AIRAM_ROWS, WEIGHT_ENTRIES=4096)


def config() -> KpuConfig:
    """What the board can hold."""
    return replace(CORE.config("soc-test"), sram_bytes=SRAM_BYTES)


def open_board() -> SocDevice:
    """A board with random initial state; skips the test when no simulator can be built."""
    with skip_without_tools():
        return SocDevice(config(), core=CORE, flash_bytes=FLASH_BYTES, jedec=JEDEC, program_cycles=2000,
                         erase_cycles=20_000, random_state=True)
