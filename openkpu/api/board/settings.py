# SPDX-License-Identifier: Apache-2.0
"""What the user chose for a run, and what happened in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openkpu.errors import UsageError

BOARD_NAMES = ("generic", "amigo", "bit", "cube", "dock", "go", "m5stickv", "maixduino")


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
    camera_rotation : 0, 90, 180 or 270
        Degrees by which camera pictures are turned clockwise, for scripts written for a camera mounted otherwise.
    board : str
        Name in ``openkpu.api.board.boards.BOARDS``: pin names and size of the screen.
    uart : tuple of str
        ``[UARTn=]TARGET``: what is connected to the serial ports (see ``openkpu.api.peripherals.uart``).
    network : bool
        Whether sockets reach other computers than this one.
    time_limit : float
        Seconds without a camera frame or an inference after which a script is ended; 0 is no limit.
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
    camera_rotation: int = 0
    board: str = "generic"
    uart: tuple[str, ...] = ()
    network: bool = False
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        choices = {"compat": ("friendly", "strict"), "forward3": ("end_layer", "out_index"),
                   "scaling": ("stretch", "fit", "crop"), "ai": ("rgb565", "rgb888"), "clock": ("wall", "chip"),
                   "camera_rotation": (0, 90, 180, 270), "board": BOARD_NAMES}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}, but must be one of "
                                 f"{', '.join(map(str, allowed))}")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"frames is {self.frames}, but must be at least 1")
        if self.time_limit < 0:
            raise UsageError(f"time_limit is {self.time_limit}, but must be at least 0")


@dataclass
class Counters:
    """What happened so far; ``cycles`` is None until a back end has reported cycles."""

    snapshots: int = 0
    displays: int = 0
    inferences: int = 0
    detections: int = 0
    cycles: int | None = None
