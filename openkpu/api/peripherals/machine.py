# SPDX-License-Identifier: Apache-2.0
"""Module ``machine``: serial ports, timers, buses, clock and identity of the chip."""

from __future__ import annotations

import time

from openkpu.api.board.board import CHIP_CLOCK_HZ, current_board
from openkpu.api.board.standin import accepting, note
from openkpu.api.peripherals.buses import I2C, SPI
from openkpu.api.peripherals.gpio import GPIO
from openkpu.api.peripherals.timers import PWM, Timer
from openkpu.api.peripherals.uart import UART

__all__ = ["I2C", "PWM", "RTC", "SPI", "UART", "WDT", "ADC", "Pin", "SDCard", "Timer", "cpu_freq", "disable_irq",
           "enable_irq", "freq", "idle", "mem8", "mem16", "mem32", "reset", "reset_cause", "unique_id"]

_UNIQUE_ID = bytes.fromhex("4b32313020616e73776572732034322e")
_DAY_S = 86_400


class WDT:
    """A watchdog that never bites: a simulated frame may take longer than any time-out a script chose for the chip."""

    def __init__(self, id=0, timeout=5000, callback=None, context=None):
        note("machine.WDT", "it accepts feed() and never resets the board")

    def feed(self) -> None:
        """Accepted."""

    def stop(self) -> None:
        """Accepted."""


class RTC:
    """The clock: this computer's local time until ``init`` or ``datetime`` sets another."""

    def __init__(self, *args):
        self._offset = 0.0

    def init(self, date=None) -> None:
        """Set (year, month, day, hour, minute, second, ...); the rest of the tuple is ignored."""
        if date is not None:
            year, month, day, hour, minute, second = [*map(int, date[:6]), 0, 0, 0][:6]
            self._offset = time.mktime((year, month, day, hour, minute, second, 0, 0, -1)) - time.time()

    def now(self) -> tuple[int, ...]:
        """(year, month, day, hour, minute, second, 0, 0)."""
        moment = time.localtime(time.time() + self._offset)
        return (*moment[:6], 0, 0)

    def datetime(self, date=None) -> tuple[int, ...] | None:
        """(year, month, day, weekday, hour, minute, second, 0); with a tuple of that form: set it."""
        if date is not None:
            self.init((*date[:3], *date[4:7]))
            return None
        moment = time.localtime(time.time() + self._offset)
        return (*moment[:3], moment.tm_wday, *moment[3:6], 0)


class Pin(GPIO):
    """A pin by its own number, as other MicroPython ports have it."""

    def __init__(self, id, mode=GPIO.IN, pull=GPIO.PULL_NONE, value=None):
        super().__init__(int(id), mode, pull, value)

    def __call__(self, level=None):
        return self.value(level)

    def on(self) -> None:
        """Set to 1."""
        self.value(1)

    def off(self) -> None:
        """Set to 0."""
        self.value(0)


class SDCard:
    """The card is the folder behind /sd; it is always there."""

    @staticmethod
    def remount(*args, **keywords) -> bool:
        """True."""
        return True


ADC = accepting("machine.ADC", "it reads 0")


class _Memory:
    def __getitem__(self, address) -> int:
        note("machine.mem", "registers read 0 and writes have no effect")
        return 0

    def __setitem__(self, address, value) -> None:
        note("machine.mem", "registers read 0 and writes have no effect")


mem8, mem16, mem32 = _Memory(), _Memory(), _Memory()


def unique_id() -> bytes:
    """Sixteen bytes, the same on every run."""
    return _UNIQUE_ID


def freq(*args) -> int:
    """CPU clock, Hz; setting it has no effect."""
    return CHIP_CLOCK_HZ


cpu_freq = freq


def reset() -> None:
    """Ends the script."""
    current_board().end("the script called machine.reset()")


def reset_cause() -> int:
    """0: power on."""
    return 0


def idle() -> None:
    """Returns at once."""


def disable_irq() -> int:
    """Accepted."""
    return 0


def enable_irq(state=0) -> None:
    """Accepted."""
