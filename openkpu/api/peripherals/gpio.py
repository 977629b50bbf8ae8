# SPDX-License-Identifier: Apache-2.0
"""Pins: ``Maix.GPIO`` (spec/driver-api.md section 3.5)."""

from __future__ import annotations

from openkpu.api.board.board import current_board
from openkpu.api.board.boards import key_pins
from openkpu.api.peripherals.fpioa import NUMBERS

_NAMES = [f"GPIOHS{n}" for n in range(32)] + [f"GPIO{n}" for n in range(8)]


class GPIO:
    """A pin. Inputs read 1; the one connected to the boot key (M5StickV: button A) follows ``--key`` events.

    Parameters
    ----------
    id : one of the ``GPIOHS...``/``GPIO...`` constants.
    mode : ``IN`` or ``OUT``; a pull constant is taken as an input, since one vendor script passes it there.
    """

    IN, OUT = 0, 1
    PULL_NONE, PULL_UP, PULL_DOWN = 2, 3, 4
    IRQ_RISING, IRQ_FALLING, IRQ_BOTH = 1, 2, 3
    WAKEUP_NOT_SUPPORT = 0

    def __init__(self, id: int, mode: int = 0, pull: int = 2, value: int | None = None):
        self._id, self._mode, self._pull = int(id), mode, pull
        self._level = 1 if value is None else int(bool(value))
        self._handler = None
        self._trigger = 0
        self._board = current_board()

    def _is_key(self) -> bool:
        return any(self._board.pins.get(pin) == self._id for pin in key_pins())

    def value(self, level: int | None = None) -> int | None:
        """Set an output, or read the pin."""
        if level is not None:
            self._level = int(bool(level))
            return None
        if self._mode == GPIO.OUT:
            return self._level
        self._board.on_poll("input pins were read", "see --key")
        return self._board.boot_key.level() if self._is_key() else 1

    def toggle(self) -> None:
        """Invert an output."""
        self._level ^= 1

    def irq(self, handler, trigger: int = 3, wake: int = 0, priority: int = 7) -> None:
        """Call ``handler(pin)`` on the chosen edges, between frames."""
        self.disirq()
        self._handler, self._trigger = handler, trigger
        self._board.boot_key.listeners.append(self._edge)

    def disirq(self) -> None:
        """No more calls."""
        if self._edge in self._board.boot_key.listeners:
            self._board.boot_key.listeners.remove(self._edge)
        self._handler = None

    def _edge(self, level: int) -> None:
        wanted = GPIO.IRQ_RISING if level else GPIO.IRQ_FALLING
        if self._handler is not None and self._is_key() and self._trigger & wanted:
            self._handler(self)

    def mode(self, mode: int | None = None) -> int:
        """Set and return the mode."""
        if mode is not None:
            self._mode = mode
        return self._mode


for _name in _NAMES:
    setattr(GPIO, _name, NUMBERS[_name])
