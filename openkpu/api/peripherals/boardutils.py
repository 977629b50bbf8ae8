# SPDX-License-Identifier: Apache-2.0
"""``Maix.utils``, ``Maix.freq`` and ``Maix.config`` (spec/driver-api.md section 3.5)."""

from __future__ import annotations

from openkpu.api.board.board import CHIP_CLOCK_HZ, current_board
from openkpu.hw.device import FlashDevice


class utils:
    """Heap and flash helpers."""

    @staticmethod
    def gc_heap_size(size: int | None = None) -> int:
        """Set (for the memory figures only) and return the Python heap's size, bytes."""
        board = current_board()
        if size is not None:
            if int(size) < 1:
                raise ValueError(f"gc heap size {size} must be positive")
            board.gc_heap_bytes = int(size)
        return board.gc_heap_bytes

    @staticmethod
    def heap_free() -> int:
        """Free system heap, bytes: the budget minus what live models hold."""
        board = current_board()
        return board.system_heap_bytes - board.held_bytes()

    @staticmethod
    def flash_read(offset: int, size: int) -> bytes:
        """``size`` bytes of the flash image at ``offset``."""
        return current_board().flash.read(int(offset), int(size))


    @staticmethod
    def flash_write(offset: int, data) -> None:
        """Overwrite the flash image in memory; the files it was burnt from stay as they are."""
        board = current_board()
        board.flash.write(int(offset), bytes(data))
        if board.flash_controller is not None and isinstance(board.device, FlashDevice):
            board.device.flash_write(int(offset), bytes(data))


class freq:
    """Clock settings; the simulation's clocks do not change."""

    @staticmethod
    def set(cpu=None, pll1=None, kpu_div=None, **other) -> None:
        """Accepted."""

    @staticmethod
    def set_cpu(mhz) -> None:
        """Accepted."""

    @staticmethod
    def set_kpu(mhz) -> None:
        """Accepted."""

    @staticmethod
    def get_cpu() -> int:
        """400 MHz."""
        return CHIP_CLOCK_HZ // 1_000_000

    @staticmethod
    def get_kpu() -> int:
        """400 MHz."""
        return CHIP_CLOCK_HZ // 1_000_000

    @staticmethod
    def get() -> tuple[int, int]:
        """CPU and KPU clock, MHz."""
        return freq.get_cpu(), freq.get_kpu()


class config:
    """The board's configuration file; there is none."""

    @staticmethod
    def get_value(key, default=None):
        """``default``."""
        return default
