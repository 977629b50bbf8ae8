# SPDX-License-Identifier: Apache-2.0
"""``machine.Timer`` and ``machine.PWM``: timers call back between the script's instructions, on the board's clock."""

from __future__ import annotations

import traceback

from openkpu.api.board.board import current_board
from openkpu.api.board.log import peripheral_log

_UNITS_US = {0: 1_000_000, 1: 1000, 2: 1, 3: 0.001}


class Timer:
    """A hardware timer.

    Parameters
    ----------
    id, channel : which timer (0...2) and channel (0...3).
    mode : ``MODE_ONE_SHOT``, ``MODE_PERIODIC``, or ``MODE_PWM`` for a ``PWM``.
    period, unit : time until the call, in ``UNIT_S``, ``UNIT_MS``, ``UNIT_US`` or ``UNIT_NS``.
    callback : called with the timer; ``timer.callback_arg()`` gives ``arg``.
    start : begin at once; else ``start()`` does.

    A periodic timer that was held up by a long inference calls back once and goes on from there, as an interrupt that
    was pending would.
    """

    TIMER0, TIMER1, TIMER2 = 0, 1, 2
    CHANNEL0, CHANNEL1, CHANNEL2, CHANNEL3 = 0, 1, 2, 3
    MODE_ONE_SHOT, MODE_PERIODIC, MODE_PWM = 0, 1, 2
    UNIT_S, UNIT_MS, UNIT_US, UNIT_NS = 0, 1, 2, 3

    def __init__(self, id=0, channel=0, mode=0, period=1000, unit=1, callback=None, arg=None, start=True,
                 priority=1, div=0):
        self.init(id, channel, mode, period, unit, callback, arg, start, priority, div)

    def init(self, id=0, channel=0, mode=0, period=1000, unit=1, callback=None, arg=None, start=True,
             priority=1, div=0) -> None:
        """Set everything anew; parameters as for the class."""
        if id not in (0, 1, 2) or channel not in (0, 1, 2, 3):
            raise ValueError(f"Timer {id}, channel {channel} does not exist: timers 0 to 2 have the channels 0 to 3")
        if unit not in _UNITS_US or mode not in (0, 1, 2):
            raise ValueError(f"Timer: mode {mode} or unit {unit} does not exist")
        if period <= 0:
            raise ValueError(f"Timer: period is {period}, but must be positive")
        self.id, self.channel = id, channel
        self._board = current_board()
        self._mode, self._period, self._unit = mode, period, unit
        self._callback, self._arg = callback, arg
        self._due: int | None = None
        if self in self._board.timers:
            self._board.timers.remove(self)
        if start and mode != Timer.MODE_PWM:
            self.start()

    def callback_arg(self, arg=None):
        """Set (if given) and return what was given as ``arg``."""
        if arg is not None:
            self._arg = arg
        return self._arg

    def callback(self, function=None):
        """Set (if given) and return the function."""
        if function is not None:
            self._callback = function
        return self._callback

    def period(self, period=None, unit=None):
        """Set (if given) and return the period."""
        if period is not None:
            self._period = period
            self._unit = self._unit if unit is None else unit
            if self._due is not None:
                self.start()
        return self._period

    def start(self) -> None:
        """Begin to count."""
        self._due = self._board.microseconds() + self._microseconds()
        if self not in self._board.timers:
            self._board.timers.append(self)

    restart = start

    def stop(self) -> None:
        """Hold."""
        self._due = None
        if self in self._board.timers:
            self._board.timers.remove(self)

    deinit = stop

    def _microseconds(self) -> int:
        return max(1, int(self._period * _UNITS_US[self._unit]))

    def is_due(self, now: int) -> bool:
        """Whether the time ``now`` (microseconds) has come."""
        return self._due is not None and now >= self._due

    def run_if_due(self, now: int) -> None:
        """Call back if it is time; an exception of the callback is printed, as the firmware does."""
        if self._due is None or not self.is_due(now):
            return
        if self._mode == Timer.MODE_PERIODIC:
            period = self._microseconds()
            self._due += period * (1 + (now - self._due) // period)
        else:
            self.stop()
        if self._callback is None:
            return
        try:
            self._callback(self)
        except Exception as error:
            self._board.background_error = self._board.background_error or error
            traceback.print_exc()

    def __repr__(self) -> str:
        return (f"[MAIXPY]TIMER:({id(self):#x}) id={self.id}, channel={self.channel}, mode={self._mode}, "
                f"period={self._period}, unit={self._unit}")


class PWM:
    """A pulse-width output: frequency and duty are remembered and each change is logged.

    Parameters
    ----------
    tim : a ``Timer`` in ``MODE_PWM``, or its number.
    freq : Hz.
    duty : 0...100.
    pin : number of the pin.
    """

    def __init__(self, tim=None, freq=1000, duty=50, pin=None, enable=True):
        self._log = peripheral_log(current_board())
        self._name = f"pwm pin {pin}" if pin is not None else "pwm"
        self._enabled = bool(enable)
        self._freq, self._duty = freq, 0.0
        self.init(freq, duty, pin)

    def init(self, freq=1000, duty=50, pin=None, enable=True) -> None:
        """Set frequency and duty anew."""
        self.freq(freq)
        self.duty(duty)

    def freq(self, freq=None):
        """Set (if given) and return the frequency, Hz."""
        if freq is not None:
            if freq <= 0:
                raise ValueError(f"PWM: freq is {freq}, but must be positive")
            self._freq = freq
            self._log(self._name, f"freq {freq}")
        return self._freq

    def duty(self, duty=None):
        """Set (if given) and return the duty, 0...100."""
        if duty is not None:
            if not 0 <= duty <= 100:
                raise ValueError(f"PWM: duty is {duty}, but must be 0 to 100")
            self._duty = duty
            self._log(self._name, f"duty {duty}")
        return self._duty

    def enable(self) -> None:
        """Output on."""
        self._enabled = True
        self._log(self._name, "on")

    def disable(self) -> None:
        """Output off."""
        self._enabled = False
        self._log(self._name, "off")

    deinit = disable
