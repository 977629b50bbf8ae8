# SPDX-License-Identifier: Apache-2.0
"""MicroPython's additions to ``time``, ``gc`` and ``sys`` (spec/driver-api.md section 3.5)."""

from __future__ import annotations

import gc
import sys
import time
import traceback
import tracemalloc

from openkpu.api.board.board import CHIP_CLOCK_HZ, current_board

_TICKS_PERIOD = 1 << 30
_FPS_WINDOW_MS = 2000


class Clock:
    """``time.clock()``: frames per second between ``tick()`` and ``fps()``, averaged over two seconds."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._frames, self._total, self._stored = 0, 0.0, _milliseconds()

    def tick(self) -> None:
        """A frame begins."""
        self._stored = _milliseconds()

    def fps(self) -> float:
        """A frame ended: frames per second so far; starts anew once two seconds are averaged."""
        average = self.avg()
        if self._total >= _FPS_WINDOW_MS:
            self._frames, self._total = 0, 0.0
        return 1000 / average if average else float("inf")

    def avg(self) -> float:
        """A frame ended: mean milliseconds per frame."""
        self._frames += 1
        self._total += _milliseconds() - self._stored
        return self._total / self._frames


def _milliseconds() -> float:
    return current_board().microseconds() / 1000


def clock() -> Clock:
    """A new frame clock."""
    return Clock()


def ticks_ms() -> int:
    """Milliseconds, modulo 2^30."""
    return current_board().microseconds() // 1000 % _TICKS_PERIOD


def ticks_us() -> int:
    """Microseconds, modulo 2^30."""
    return current_board().microseconds() % _TICKS_PERIOD


def ticks_cpu() -> int:
    """Clock cycles at 400 MHz, modulo 2^30."""
    return current_board().microseconds() * (CHIP_CLOCK_HZ // 1_000_000) % _TICKS_PERIOD


def ticks() -> int:
    """As ``ticks_ms``."""
    return ticks_ms()


def ticks_add(ticks: int, delta: int) -> int:
    """``ticks`` moved by ``delta``, modulo 2^30."""
    return (ticks + delta) % _TICKS_PERIOD


def ticks_diff(a: int, b: int) -> int:
    """a - b in the range -2^29...2^29-1."""
    half = _TICKS_PERIOD // 2
    return (a - b + half) % _TICKS_PERIOD - half


def sleep_ms(milliseconds) -> None:
    """Sleep, unless sleeping is switched off (``--no-sleep``)."""
    current_board().sleep(milliseconds / 1000)


def sleep_us(microseconds) -> None:
    """Sleep, unless sleeping is switched off (``--no-sleep``)."""
    current_board().sleep(microseconds / 1_000_000)


def mem_free() -> int:
    """Bytes free in a Python heap of the configured size, at least 0."""
    return max(0, current_board().gc_heap_bytes - mem_alloc())


def mem_alloc() -> int:
    """Bytes in use: what ``tracemalloc`` traces, else an estimate of 16 bytes per young object."""
    if tracemalloc.is_tracing():
        return tracemalloc.get_traced_memory()[0]
    return min(current_board().gc_heap_bytes, 16 * sum(gc.get_count()))


def threshold(amount: int | None = None) -> int:
    """Accepted; -1, since the host decides when to collect."""
    return -1


def print_exception(error: BaseException, file=None) -> None:
    """Traceback of an exception, to stdout unless a file is given."""
    traceback.print_exception(error, file=sys.stdout if file is None else file)


TIME_ADDITIONS = {f.__name__: f for f in (clock, ticks, ticks_ms, ticks_us, ticks_cpu, ticks_add, ticks_diff,
                                          sleep_ms, sleep_us)}
GC_ADDITIONS = {f.__name__: f for f in (mem_free, mem_alloc, threshold)}
SYS_ADDITIONS = {"print_exception": print_exception}


def install() -> None:
    """Add MicroPython's names to the standard modules; existing names are not replaced."""
    for module, additions in ((time, TIME_ADDITIONS), (gc, GC_ADDITIONS), (sys, SYS_ADDITIONS)):
        for name, function in additions.items():
            if not hasattr(module, name):
                setattr(module, name, function)
