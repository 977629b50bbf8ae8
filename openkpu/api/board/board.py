"""One object for all settings and counters of a simulated board.

Scripts know nothing of it; the runner (``openkpu script``) makes one from its options, an importing program gets one
from the environment (``K210_COMPAT``, ``K210_FORWARD3``, ``K210_BACKEND``, ``K210_CAMERA``, ``K210_FLASH``,
``K210_SD``, ``K210_LCD``).
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openkpu.api.board.bootkey import BootKey
from openkpu.devices.backends import WITH_FLASH
from openkpu.errors import UsageError
from openkpu.flash import Flash

CHIP_CLOCK_HZ = 400_000_000
SYSTEM_HEAP_BYTES = 6 << 20
GC_HEAP_BYTES = 512 << 10
IDLE_POLL_LIMIT = 200_000
DISPLAY_ONLY_LIMIT = 1000
EXIT_ATTEMPTS = 100


@dataclass
class Settings:
    """What the user chose. Every field has the runner's default.

    Attributes
    ----------
    compat : "friendly" or "strict"
        Strict keeps the firmware's surprises (spec/driver-api.md section 0.1).
    forward3 : "end_layer" or "out_index"
        Meaning of ``KPU.forward``'s third positional argument (section 1.7.1).
    backend : str
        Name of a back end in ``openkpu.devices.backends``.
    camera : str, path, callable or None
        Source of ``sensor.snapshot`` (see ``openkpu.api.imaging.feed``); None is the synthetic scene.
    frames : int or None
        Stop after that many frames; the feed is repeated as needed. None: stop at the end of the feed.
    scaling : "stretch", "fit" or "crop"
        How a feed picture is brought to the frame size.
    ai : "rgb565" or "rgb888"
        Whether the AI plane of a snapshot is made from the RGB565 pixels or from the 8-bit picture.
    clock : "wall" or "chip"
        Source of ``ticks_ms`` and fps: wall clock, or simulated KPU cycles at 400 MHz.
    keys : tuple of (frame, milliseconds)
        Presses of the boot key.
    """

    compat: str = "friendly"
    forward3: str = "end_layer"
    backend: str = "functional"
    camera: Any = None
    frames: int | None = None
    scaling: str = "stretch"
    ai: str = "rgb565"
    mirror: bool = False
    clock: str = "wall"
    sleep: bool = True
    keys: tuple[tuple[int, int], ...] = ()
    sd: Path | None = None
    fs: Path | None = None
    lcd: Path | None = None
    lcd_last: bool = False
    window: bool = False

    def __post_init__(self) -> None:
        choices = {"compat": ("friendly", "strict"), "forward3": ("end_layer", "out_index"),
                   "scaling": ("stretch", "fit", "crop"), "ai": ("rgb565", "rgb888"), "clock": ("wall", "chip")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(allowed)}")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"frames is {self.frames}, but must be at least 1")


@dataclass
class Counters:
    """What happened so far; ``cycles`` is None until a back end has reported cycles."""

    snapshots: int = 0
    displays: int = 0
    inferences: int = 0
    detections: int = 0
    cycles: int | None = None


@dataclass
class Board:
    """Settings, flash, screen, camera and live models of one simulated board."""

    settings: Settings = field(default_factory=Settings)
    flash: Flash = field(default_factory=Flash)
    counters: Counters = field(default_factory=Counters)
    nets: weakref.WeakSet = field(default_factory=weakref.WeakSet)
    pins: dict[int, int] = field(default_factory=dict)
    ended: str = ""

    def __post_init__(self) -> None:
        self._start = time.monotonic()
        self._device = None
        self._flash_controller = None
        self._warned: set[str] = set()
        self._display_only = 0
        self._snapshot_since_display = False
        self._polls = 0
        self._exits = 0
        self._frame = -1
        self.on_swallowed_exit: Callable[[], None] | None = None
        self.gc_heap_bytes = GC_HEAP_BYTES
        self.system_heap_bytes = SYSTEM_HEAP_BYTES
        self.boot_key = BootKey(self.settings.keys, lambda: self.microseconds() // 1000)
        self.closers: list = []

    @property
    def strict(self) -> bool:
        """Whether the firmware's surprises are kept."""
        return self.settings.compat == "strict"

    @property
    def device(self):
        """The KPU all models of this board run on, opened at first use."""
        if self._device is None:
            from openkpu.devices.backends import open_device

            self._device = open_device(self.settings.backend)
            if self.settings.backend in WITH_FLASH:
                self._device.flash_write(0, self.flash.image())
        return self._device

    @property
    def flash_controller(self):
        """Driver of the simulated flash controller (``FlashDriver``); None if the back end has none."""
        if self._flash_controller is None and self.settings.backend in WITH_FLASH:
            from openkpu.drivers.flash import FlashDriver

            self._flash_controller = FlashDriver(self.device)
        return self._flash_controller

    def warn_once(self, key: str, message: str) -> None:
        """Print a warning to stderr the first time ``key`` occurs."""
        if key not in self._warned:
            self._warned.add(key)
            print(f"openkpu: {message}", file=sys.stderr)

    def microseconds(self) -> int:
        """Time since the board was made, by the chosen clock."""
        if self.settings.clock == "chip":
            return (self.counters.cycles or 0) * 1_000_000 // CHIP_CLOCK_HZ
        return int((time.monotonic() - self._start) * 1_000_000)

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the settings say that sleeping is skipped."""
        if self.settings.sleep and seconds > 0:
            time.sleep(seconds)

    def end(self, reason: str) -> None:
        """Leave the script: ``SystemExit(0)``, which the scripts' ``except Exception`` does not catch.

        A script that catches it all the same is left through ``on_swallowed_exit`` after 100 attempts.
        """
        self.ended = self.ended or reason
        self._exits += 1
        if self._exits > EXIT_ATTEMPTS and self.on_swallowed_exit is not None:
            self.on_swallowed_exit()
        raise SystemExit(0)

    def on_snapshot(self) -> None:
        """Count a frame and let key events happen."""
        self._snapshot_since_display = True
        self._display_only = 0
        self._next_frame()
        self.counters.snapshots += 1

    def on_display(self) -> None:
        """A display without a snapshot before it counts as a frame, so that waiting screens end as well."""
        if not self._snapshot_since_display:
            self._display_only += 1
            if self.settings.frames is None and self._display_only > DISPLAY_ONLY_LIMIT:
                self.end(f"{DISPLAY_ONLY_LIMIT} frames displayed without taking a picture")
            self.check_frame_limit()
            self._next_frame()
        self._snapshot_since_display = False
        self.counters.displays += 1

    def on_poll(self) -> None:
        """An input pin was read; a script that only waits for a key that will never come is ended."""
        self._polls += 1
        if self._polls > IDLE_POLL_LIMIT:
            self.end(f"input pins were read {IDLE_POLL_LIMIT} times without a frame in between (see --key)")

    def check_frame_limit(self) -> None:
        """End the script when the chosen number of frames has been used."""
        if self.settings.frames is not None and self._frame + 1 >= self.settings.frames:
            self.end(f"frame limit of {self.settings.frames} reached")

    def _next_frame(self) -> None:
        self._polls = 0
        self._frame += 1
        self.boot_key.frame_started(self._frame)

    def count_run(self, cycles: int | None) -> None:
        """Add one inference and, if the back end counts them, its cycles."""
        self.counters.inferences += 1
        if cycles is not None:
            self.counters.cycles = (self.counters.cycles or 0) + cycles

    def held_bytes(self) -> int:
        """System heap held by live models, bytes."""
        return sum(net.heap_bytes for net in list(self.nets))

    def close(self) -> None:
        """Release models, screen and simulator; closing twice is harmless."""
        for net in list(self.nets):
            net.release()
        for closer in self.closers:
            closer()
        self.closers.clear()
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
    flash = Flash()
    for item in filter(None, environment.get("K210_FLASH", "").split(os.pathsep)):
        flash.burn_argument(item)
    return Board(settings, flash)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
