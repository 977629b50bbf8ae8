# SPDX-License-Identifier: Apache-2.0
"""The board's key: low while pressed, with edge interrupts (spec/driver-api.md section 3.5, key events)."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class BootKey:
    """Presses given as (frame, milliseconds); frames count from 0.

    A press lasts its time on the board's clock, but at least until its level has been read or the next frame begins,
    so that a script which polls once per frame cannot miss it.
    """

    def __init__(self, presses: Sequence[tuple[int, int]], milliseconds: Callable[[], int]):
        self._presses = {frame: duration for frame, duration in presses}
        self._milliseconds = milliseconds
        self._release_at: int | None = None
        self._seen = False
        self.listeners: list[Callable[[int], None]] = []

    def level(self) -> int:
        """0 while pressed, else 1."""
        if self._release_at is None:
            return 1
        if self._seen and self._milliseconds() >= self._release_at:
            self._release()
            return 1
        self._seen = True
        return 0

    def frame_started(self, frame: int) -> None:
        """Let presses and releases that are due at this frame happen."""
        if self._release_at is not None and self._milliseconds() >= self._release_at:
            self._release()
        if frame in self._presses:
            self._release_at = self._milliseconds() + self._presses[frame]
            self._seen = False
            self._tell(0)

    def _release(self) -> None:
        self._release_at = None
        self._tell(1)

    def _tell(self, level: int) -> None:
        for listener in list(self.listeners):
            listener(level)
