# SPDX-License-Identifier: Apache-2.0
"""One object for all settings and counters of a simulated board.

Scripts know nothing of it; the runner (``openkpu script``) makes one from its options, an importing program gets one
from the environment (``K210_COMPAT``, ``K210_FORWARD3``, ``K210_BACKEND``, ``K210_CAMERA``, ``K210_FLASH``,
``K210_SD``, ``K210_LCD``).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from openkpu.api.board.bootkey import BootKey
from openkpu.api.board.settings import Counters, Settings

if TYPE_CHECKING:
    from openkpu.drivers.flash import FlashDriver
    from openkpu.flash import Flash
    from openkpu.hw.device import Device

__all__ = ["Board", "Counters", "Settings", "current_board", "from_environment", "use_board"]

CHIP_CLOCK_HZ = 400_000_000
SYSTEM_HEAP_BYTES = 6 << 20
GC_HEAP_BYTES = 512 << 10
IDLE_POLL_LIMIT = 200_000
DISPLAY_ONLY_LIMIT = 1000
SLEEP_ONLY_LIMIT = 60.0
SLEEP_ONLY_CALLS = 100
EXIT_ATTEMPTS = 100
SLEEP_SLICE = 0.05


def _empty_flash() -> Flash:
    from openkpu.flash import Flash

    return Flash()


@dataclass
class Board:
    """Settings, flash, screen, camera, peripherals and live models of one simulated board."""

    settings: Settings = field(default_factory=Settings)
    flash: Flash = field(default_factory=_empty_flash)
    counters: Counters = field(default_factory=Counters)
    nets: weakref.WeakSet = field(default_factory=weakref.WeakSet)
    pins: dict[int, int] = field(default_factory=dict)
    pin_names: dict[str, int] = field(default_factory=dict)
    ended: str = ""

    def __post_init__(self) -> None:
        self._start = time.monotonic()
        self._device: Device | None = None
        self._flash_controller: FlashDriver | None = None
        self._warned: set[str] = set()
        self._display_only = 0
        self._snapshot_since_display = False
        self._polls = 0
        self._exits = 0
        self._frame = -1
        self._slept = 0.0
        self._sleeps = 0
        self._skipped_seconds = 0.0
        self._in_callback = False
        self.busy = 0
        self._busy_thread: int | None = None
        self.last_progress = time.monotonic()
        self.last_exit = 0.0
        self.lock = threading.RLock()
        self.script_thread: int | None = None
        self.workers: dict[int, None] = {}
        self.host_sleep: Callable[[float], None] | None = None
        self.on_swallowed_exit: Callable[[], None] | None = None
        self.gc_heap_bytes = GC_HEAP_BYTES
        self.system_heap_bytes = SYSTEM_HEAP_BYTES
        self.boot_key = BootKey(self.settings.keys, lambda: self.microseconds() // 1000)
        self.timers: list = []
        self.background_error: BaseException | None = None
        self.sandboxed = False
        self.parts: dict = {}
        self.closers: list = []

    @property
    def strict(self) -> bool:
        """Whether the firmware's surprises are kept."""
        return self.settings.compat == "strict"

    @property
    def device(self) -> Device:
        """The KPU all models of this board run on, opened at first use."""
        if self._device is None:
            from openkpu.devices.backends import open_device
            from openkpu.hw.device import FlashDevice

            device = self._device = open_device(self.settings.backend)
            if isinstance(device, FlashDevice):
                device.flash_write(0, self.flash.image())
        return self._device

    @property
    def flash_controller(self) -> FlashDriver | None:
        """Driver of the simulated flash controller (``FlashDriver``); None if the back end has none."""
        if self._flash_controller is None:
            from openkpu.devices.backends import WITH_FLASH

            if self.settings.backend in WITH_FLASH:
                from openkpu.drivers.flash import FlashDriver

                self._flash_controller = FlashDriver(self.device)
        return self._flash_controller

    def warn_once(self, key: str, message: str) -> None:
        """Print a warning to stderr the first time ``key`` occurs."""
        if key not in self._warned:
            self._warned.add(key)
            print(f"openkpu: {message}", file=sys.stderr)

    # --- time -----------------------------------------------------------------------------------------------------

    def microseconds(self) -> int:
        """Time since the board was made, by the chosen clock; skipped sleeps count as if they had been slept."""
        if self.settings.clock == "chip":
            cycles = self.counters.cycles or 0
            return cycles * 1_000_000 // CHIP_CLOCK_HZ + int(self._skipped_seconds * 1_000_000)
        return int((time.monotonic() - self._start + self._skipped_seconds) * 1_000_000)

    def sleep(self, seconds: float) -> None:
        """Sleep in slices between which timers call back, or, if the settings say so, only move the clock on.

        A script that does nothing but sleep is ended: more than a minute in all without a camera frame, an inference or
        anything that could wake it.
        """
        host_sleep = self.host_sleep or time.sleep
        if seconds <= 0:
            return
        if self._busy_thread == threading.get_ident():  # a back end that waits for its simulator
            host_sleep(seconds)
            return
        if not self.busy:
            self._slept += seconds
            self._sleeps += 1
        if self._slept > SLEEP_ONLY_LIMIT and self._sleeps > SLEEP_ONLY_CALLS and self._only_sleeps():
            self.end(f"the script only slept, {SLEEP_ONLY_LIMIT:.0f} s in all, without a camera frame")
        if not self.settings.sleep or self.settings.clock == "chip":
            self._skipped_seconds += seconds
        if not self.settings.sleep and self.workers:
            host_sleep(0.001)  # the script's other threads get their turn
        if self.settings.sleep:
            left = seconds
            while left > SLEEP_SLICE and not self.ended:
                host_sleep(SLEEP_SLICE)
                left -= SLEEP_SLICE
                self.run_timers()
            if not self.ended:
                host_sleep(left)
        self.run_timers()
        if self.ended:
            self.end(self.ended)

    def _only_sleeps(self) -> bool:
        if self.script_thread is None or (self.workers and time.monotonic() - self.last_progress < SLEEP_ONLY_LIMIT):
            return False
        return not self.timers and not any(getattr(part, "may_receive", False) for part in self.parts.values())

    def run_timers(self) -> None:
        """Call back the timers that are due; only in the script's own thread and never inside each other."""
        own = self.script_thread in (None, threading.get_ident())
        if not self.timers or not own or self.busy or self._in_callback:
            return
        self._in_callback = True
        try:
            for timer in list(self.timers):
                timer.run_if_due(self.microseconds())
        finally:
            self._in_callback = False

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """No timer and no other thread of the script comes between; time spent here is no idle time."""
        with self.lock:
            self.busy += 1
            self._busy_thread = threading.get_ident()
            try:
                yield
            finally:
                self.busy -= 1
                if not self.busy:
                    self._busy_thread = None
                self.progress()
        self.run_timers()

    def progress(self) -> None:
        """Something happened: the limits on waiting start anew."""
        self.last_progress = time.monotonic()
        self._polls = self._sleeps = 0
        self._slept = 0.0

    # --- the script's end -----------------------------------------------------------------------------------------

    def end(self, reason: str) -> None:
        """Leave the script: ``SystemExit(0)``, which the scripts' ``except Exception`` does not catch.

        A script that catches it all the same is left through ``on_swallowed_exit`` after 100 attempts.
        """
        self.ended = self.ended or reason
        self._exits += 1
        self.last_exit = time.monotonic()
        if self._exits > EXIT_ATTEMPTS and self.on_swallowed_exit is not None:
            self.on_swallowed_exit()
        raise SystemExit(0)

    def count_snapshot(self) -> None:
        """A camera frame was taken."""
        self._snapshot_since_display = True
        self._display_only = 0
        self.counters.snapshots += 1

    def on_snapshot(self, counted: bool = False) -> None:
        """Count a frame, unless it has been, and let key events happen."""
        if not counted:
            self.count_snapshot()
        self._next_frame()

    def on_display(self) -> None:
        """A display without a snapshot before it counts as a frame for keys, and a script that only displays ends."""
        if self.ended:
            self.end(self.ended)
        if not self._snapshot_since_display:
            self._display_only += 1
            if self._display_only > DISPLAY_ONLY_LIMIT:
                self.end(f"{DISPLAY_ONLY_LIMIT} frames displayed without taking a picture")
            self._next_frame()
        self._snapshot_since_display = False
        self.counters.displays += 1

    def on_poll(self, what: str, hint: str) -> None:
        """Something was asked for that does not change by itself; a script that only waits for it is ended."""
        if self.ended:
            self.end(self.ended)
        self._polls += 1
        self.run_timers()
        if self._polls > IDLE_POLL_LIMIT:
            self.end(f"{what} {IDLE_POLL_LIMIT} times without a frame in between ({hint})")

    def check_frame_limit(self) -> None:
        """End the script when it has ended already or the chosen number of camera frames has been taken."""
        if self.ended:
            self.end(self.ended)
        if self.settings.frames is not None and self.counters.snapshots >= self.settings.frames:
            self.end(f"frame limit of {self.settings.frames} reached")

    def _next_frame(self) -> None:
        self.progress()
        self._frame += 1
        self.boot_key.frame_started(self._frame)
        self.run_timers()

    def count_run(self, cycles: int | None) -> None:
        """Add one inference and, if the back end counts them, its cycles."""
        self.counters.inferences += 1
        if cycles is not None:
            self.counters.cycles = (self.counters.cycles or 0) + cycles

    def held_bytes(self) -> int:
        """System heap held by live models, bytes."""
        return sum(net.heap_bytes for net in list(self.nets))

    def close(self) -> None:
        """Release models, screen, peripherals and simulator; closing twice is harmless."""
        for net in list(self.nets):
            net.release()
        for closer in self.closers:
            closer()
        self.closers.clear()
        self.timers.clear()
        if self._device is not None:
            self._device.close()
            self._device = self._flash_controller = None


_current: Board | None = None


@atexit.register
def _close_current() -> None:
    if _current is not None:
        _current.close()


def current_board() -> Board:
    """The board in use; the first call makes one from the environment."""
    global _current
    if _current is None:
        _current = from_environment(os.environ)
    return _current


def use_board(board: Board) -> Board:
    """Make ``board`` the current one; the former one is closed."""
    global _current
    if _current is not None and _current is not board:
        _current.close()
    _current = board
    return board


def from_environment(environment) -> Board:
    """Board with the settings of ``K210_*`` variables; unset ones keep their defaults."""
    settings = Settings(
        compat=environment.get("K210_COMPAT", "friendly"),
        forward3=environment.get("K210_FORWARD3", "end_layer"),
        backend=environment.get("K210_BACKEND", "functional"),
        camera=environment.get("K210_CAMERA") or None,
        sd=_path(environment.get("K210_SD")),
        lcd=_path(environment.get("K210_LCD")),
    )
    flash = _empty_flash()
    for item in filter(None, environment.get("K210_FLASH", "").split(os.pathsep)):
        flash.burn_argument(item)
    return Board(settings, flash)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
