# SPDX-License-Identifier: Apache-2.0
"""What a map and a layer may be, derived from the hardware's tables (spec/kpu-hardware.md 2, 3, 4.2, 11.1)."""

from __future__ import annotations

from dataclasses import dataclass

from ..hw.fields import AIRAM_BYTES, DESCRIPTOR, ROW_BYTES, Field
from ..hw.layout import MapLayout, groups_of
from ..kmodel.summary import RAM_LIMIT


def field_range(field: Field) -> tuple[int, int]:
    """Smallest and largest value that a field can hold."""
    if field.enc == "s":
        return -(1 << (field.width - 1)), (1 << (field.width - 1)) - 1
    return (1, 1 << field.width) if field.enc == "m1" else (0, (1 << field.width) - 1)


FIELDS: dict[str, tuple[int, int]] = {a.field.name: field_range(a.field) for a in DESCRIPTOR}
"""(smallest, largest) value of every descriptor field."""

MAX_CHANNELS = FIELDS["i_ch_num"][1]
MAX_LOADS = FIELDS["load_time"][1]
MIN_SIDE = 4
"""Smaller maps have to be padded: no vendor compiler lets the chip see them (11.1)."""
MAX_WIDTH, MAX_HEIGHT = 512, 256
"""The vendor compilers' limits, for input maps; wider fields exist, but the chip has never been seen to take more."""

WEIGHT_BUFFER = 2 * 9 * 4096
"""Bytes of the chip's weight buffer (4.2)."""


@dataclass(frozen=True)
class Chip:
    """What the planner may use of a KPU; the defaults are the K210's.

    Attributes
    ----------
    airam_bytes : AI RAM.
    load_bytes : weights of one load, 8 bits each; 16-bit weights may take twice as many bytes (4.2).
    main_bytes : RAM for the file and the working memory together (what ``openkpu info`` compares with).
    """

    airam_bytes: int = AIRAM_BYTES
    load_bytes: int = 30 * 1024
    main_bytes: int = RAM_LIMIT

    def loads(self, in_channels: int, out_channels: int, kernel: int, bits: int = 8,
              depthwise: bool = False) -> tuple[int, int, int]:
        """(weight loads, output channels of one load, bytes of one load) as word 5 holds them.

        More than ``MAX_LOADS`` loads, or 0 channels, mean that the layer has to be split.
        """
        size = bits // 8
        if depthwise:
            return 1, out_channels, out_channels * kernel * kernel * size
        per_channel = kernel * kernel * in_channels * size
        channels = min(out_channels, self.load_bytes * size // per_channel)
        return (-(-out_channels // channels) if channels else MAX_LOADS + 1), channels, channels * per_channel

    def max_out_channels(self, in_channels: int, kernel: int, bits: int = 8) -> int:
        """Output channels that one layer can have; more become several layers."""
        size = bits // 8
        return min(MAX_CHANNELS, MAX_LOADS * (self.load_bytes * size // (kernel * kernel * in_channels * size)))


def channel_group(width: int) -> int:
    """Channels that share one 64-byte row of AI RAM: 4, 2 or 1."""
    return groups_of(width)[0]


def can_place(width: int, channel: int) -> bool:
    """True if a map ``width`` pixels wide can begin at ``channel`` of a larger map of the same size, in place."""
    return channel % channel_group(width) == 0


def map_bytes(channels: int, height: int, width: int) -> int:
    """Bytes of AI RAM that a map takes."""
    group, rows, _ = groups_of(width)
    return -(-channels // group) * rows * height * ROW_BYTES


def fits_map(channels: int, height: int, width: int) -> bool:
    """True if the descriptor's fields can hold a map of this shape and the AI RAM its bytes."""
    layout = MapLayout.of(0, channels, height, width)
    return (1 <= channels <= MAX_CHANNELS and 1 <= height <= FIELDS["i_col_high"][1]
            and 1 <= width <= FIELDS["i_row_wid"][1] and layout.row_step <= FIELDS["row_switch_addr"][1]
            and layout.group_step <= FIELDS["channel_switch_addr"][1]
            and map_bytes(channels, height, width) <= AIRAM_BYTES)


def tall_map(channels: int, height: int, width: int, rows: int) -> tuple[int, int, int] | None:
    """The same bytes of AI RAM as a map whose every row is ``rows`` rows of the given one; None if there is none.

    A vertical neighbour in it is ``rows`` rows away. Channels that share their rows (section 3.2) become one.
    """
    group, words, _ = groups_of(width)
    shape = channels // group, height // rows, rows * words * ROW_BYTES
    return shape if not channels % group and not height % rows and suits_chip(*shape[1:]) else None


def suits_chip(height: int, width: int) -> bool:
    """True if an input map of this size is within the sizes that the vendor's compilers give the chip."""
    return MIN_SIDE <= height <= MAX_HEIGHT and MIN_SIDE <= width <= MAX_WIDTH
