# SPDX-License-Identifier: Apache-2.0
"""The 12-word layer descriptor as a typed object (spec/kpu-hardware.md section 2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, make_dataclass, replace  # noqa: F401 (replace is re-exported)
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .fields import DESCRIPTOR, POOLS, WORDS
from .layout import MapLayout


def _decode(value: int, enc: str, width: int) -> int:
    if enc == "m1":
        return value + 1
    if enc == "s" and value >> (width - 1):
        return value - (1 << width)
    return value


def encode_field(name: str, value: int, enc: str, width: int) -> int:
    """The bits of one field; ValueError if ``value`` does not fit."""
    raw = value - 1 if enc == "m1" else value
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if enc == "s" else (0, (1 << width) - 1)
    if not low <= raw <= high:
        raise ValueError(f"descriptor field {name} = {value} does not fit {width} bits")
    return raw & ((1 << width) - 1)


if TYPE_CHECKING:
    class _Fields:
        """The fields of the table; a type checker knows only that they are integers."""

        __dataclass_fields__: ClassVar[dict[str, Any]]

        def __init__(self, **fields: int): ...
        def __getattr__(self, name: str) -> int: ...
else:
    _Fields = make_dataclass("_Fields", [(a.field.name, int) for a in DESCRIPTOR], frozen=True)

# Under another name: a type checker would make a constructor without fields for a dataclass.
table_record = dataclass(frozen=True, init=False)


@table_record
class Descriptor(_Fields):
    """One KPU layer. Every field carries its true value ("minus one" encodings are undone).

    Field names and meanings: ``openkpu.hw.fields.DESCRIPTOR``. Reserved bits are dropped.
    """

    @classmethod
    def unpack(cls, words: Iterable[int] | bytes) -> Descriptor:
        """From 12 integers or 96 little-endian bytes."""
        if isinstance(words, (bytes, bytearray, memoryview)):
            words = np.frombuffer(words, "<u8", WORDS).tolist()
        words = [int(w) for w in words]
        if len(words) != WORDS:
            raise ValueError(f"a layer descriptor has {WORDS} words, not {len(words)}")
        return cls(**{a.field.name: _decode((words[a.word] >> a.field.lsb) & a.field.mask, a.field.enc, a.field.width)
                      for a in DESCRIPTOR})

    def pack(self) -> list[int]:
        """The 12 words; ValueError if a field does not fit its bits."""
        words = [0] * WORDS
        for a in DESCRIPTOR:
            f = a.field
            words[a.word] |= encode_field(f.name, getattr(self, f.name), f.enc, f.width) << f.lsb
        return words

    @property
    def depthwise(self) -> bool:
        return bool(self.depth_wise_layer)

    @property
    def kernel(self) -> int:
        """Kernel side: 1 or 3 (undefined kernel types count as 1x1)."""
        return 3 if self.kernel_type == 1 else 1

    @property
    def pool(self) -> tuple[int, int]:
        """(window, stride); undefined pool types count as bypass."""
        return POOLS[self.pool_type] if self.pool_type < len(POOLS) else (1, 1)

    @property
    def source_channels(self) -> int:
        """Input channels the layer reads: OC when output channel c uses input channel c only, else IC."""
        return self.o_ch_num if self.depth_wise_layer or self.bypass_conv else self.i_ch_num

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """(IC, H, W)."""
        return self.i_ch_num, self.i_col_high, self.i_row_wid

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(OC, OH, OW)."""
        return self.o_ch_num, self.o_col_high, self.o_row_wid

    @property
    def taps(self) -> int:
        """Weights of one output channel."""
        return self.kernel ** 2 * (1 if self.depthwise else self.i_ch_num)

    @property
    def macs(self) -> int:
        """Multiply-accumulates before pooling."""
        return self.i_row_wid * self.i_col_high * self.taps * self.o_ch_num

    def weight_bytes(self, eight_bit: bool = True) -> int:
        """Bytes of all weights."""
        return self.taps * self.o_ch_num * (1 if eight_bit else 2)

    @property
    def in_layout(self) -> MapLayout:
        """Input map with the register strides."""
        return MapLayout(self.image_src_addr, *self.in_shape, self.coef_group,
                         self.row_switch_addr, self.channel_switch_addr)

    @property
    def out_layout(self) -> MapLayout:
        """Output map with the register strides."""
        return MapLayout(self.image_dst_addr, *self.out_shape, self.wb_group,
                         self.wb_row_switch_addr, self.wb_channel_switch_addr)
