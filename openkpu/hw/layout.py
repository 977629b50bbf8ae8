# SPDX-License-Identifier: Apache-2.0
"""AI-RAM layout of a feature map: gather and scatter (spec/kpu-hardware.md section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import ROW_BYTES


def groups_of(width: int) -> tuple[int, int, int]:
    """(channels per row G, rows per line R, slot pitch P in bytes) of a map ``width`` pixels wide."""
    if width <= 16:
        return 4, 1, 16
    if width <= 32:
        return 2, 1, 32
    return 1, -(-width // ROW_BYTES), ROW_BYTES


@dataclass(frozen=True)
class MapLayout:
    """Where the bytes of one map are. ``base``, ``row_step`` and ``group_step`` are 64-byte rows.

    byte(c, y, x) = 64*(base + (c // group)*group_step + y*row_step + x // 64) + (c % group)*(64 // group) + x % 64
    """

    base: int
    channels: int
    height: int
    width: int
    group: int
    row_step: int
    group_step: int

    @classmethod
    def of(cls, base: int, channels: int, height: int, width: int) -> MapLayout:
        """The layout every compiler uses for a map of this shape at row ``base``."""
        g, r, _ = groups_of(width)
        return cls(base, channels, height, width, g, r, r * height)

    @property
    def rows(self) -> int:
        """64-byte rows from the base to the end of the map."""
        last = ((self.channels - 1) // self.group) * self.group_step + (self.height - 1) * self.row_step
        return last + (self.width - 1) // ROW_BYTES + 1

    @property
    def end(self) -> int:
        """First row behind the map."""
        return self.base + self.rows

    def offsets(self) -> np.ndarray:
        """Byte offsets from the AI-RAM base, int64, shape (C, H, W)."""
        c = np.arange(self.channels)[:, None, None]
        y = np.arange(self.height)[None, :, None]
        x = np.arange(self.width)[None, None, :]
        g = max(self.group, 1)
        row = self.base + (c // g) * self.group_step + y * self.row_step + x // ROW_BYTES
        return row * ROW_BYTES + (c % g) * (ROW_BYTES // g) + x % ROW_BYTES

    def _view(self, ram: np.ndarray) -> np.ndarray | None:
        """A strided (CG, G, H, W) view of ``ram`` when the strides allow one, else None."""
        g = self.group
        if g not in (1, 2, 4) or (g > 1 and self.width > ROW_BYTES // g):
            return None
        groups = -(-self.channels // g)
        start = self.base * ROW_BYTES
        extent = ((groups - 1) * self.group_step + (self.height - 1) * self.row_step) * ROW_BYTES + (
            (g - 1) * (ROW_BYTES // g) + self.width)
        if start + extent > ram.size:
            return None
        return np.lib.stride_tricks.as_strided(
            ram[start:], (groups, g, self.height, self.width),
            (self.group_step * ROW_BYTES, ROW_BYTES // g, self.row_step * ROW_BYTES, 1))

    def gather(self, ram: np.ndarray) -> np.ndarray:
        """The dense (C, H, W) uint8 map out of ``ram`` (uint8, AI RAM as bytes)."""
        view = self._view(ram)
        if view is None:
            return ram[self.offsets()]
        return view.reshape(-1, self.height, self.width)[: self.channels]

    def scatter(self, ram: np.ndarray, data: np.ndarray) -> None:
        """Write the dense (C, H, W) uint8 ``data``; bytes outside the map stay as they are."""
        view = self._view(ram)
        whole = self.channels // self.group * self.group if self.group else 0
        if view is None or whole == 0:
            ram[self.offsets()] = data
            return
        view[: whole // self.group] = data[:whole].reshape(-1, self.group, self.height, self.width)
        if whole < self.channels:
            view[whole // self.group, : self.channels - whole] = data[whole:]
