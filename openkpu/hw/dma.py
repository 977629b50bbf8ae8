# SPDX-License-Identifier: Apache-2.0
"""DMA descriptors: build, pack and chain them (field table ``openkpu.hw.fields.DMA_DESCRIPTOR``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import make_dataclass, replace
from typing import TYPE_CHECKING

from .descriptor import encode_field, table_record
from .fields import DMA_DESCRIPTOR, DMA_OPS, DMA_WORDS

DESCRIPTOR_BYTES = 8 * DMA_WORDS

if TYPE_CHECKING:
    from .descriptor import _Fields
else:
    _Fields = make_dataclass("_Fields", [(a.field.name, int, 0) for a in DMA_DESCRIPTOR], frozen=True)


@table_record
class DmaDescriptor(_Fields):
    """One step of a DMA chain; fields and meanings as in the table. Addresses are bus addresses, sizes bytes."""

    @classmethod
    def copy(cls, src: int, dst: int, row_bytes: int, rows: int = 1, **fields: int) -> DmaDescriptor:
        """Move ``rows`` rows of ``row_bytes`` bytes; strides default to dense rows."""
        dense = {"src_stride": row_bytes, "dst_stride": row_bytes}
        return cls(op=DMA_OPS["copy"], src=src, dst=dst, row_bytes=row_bytes, rows=rows, **(dense | fields))

    @classmethod
    def wait(cls, src: int, value: int, mask: int = (1 << 64) - 1, **fields: int) -> DmaDescriptor:
        """Hold the chain until (64-bit word at ``src``) & ``mask`` is at least ``value``."""
        return cls(op=DMA_OPS["wait"], src=src, value=value, mask=mask, **fields)

    def pack(self) -> bytes:
        """The 64 bytes in memory; ValueError if a field does not fit its bits."""
        words = [0] * DMA_WORDS
        for a in DMA_DESCRIPTOR:
            f = a.field
            words[a.word] |= encode_field(f.name, getattr(self, f.name), f.enc, f.width) << f.lsb
        return b"".join(word.to_bytes(8, "little") for word in words)


def chain(descriptors: Sequence[DmaDescriptor], address: int) -> bytes:
    """The bytes of ``descriptors`` linked one behind the other, to be stored at ``address`` (a multiple of 64)."""
    if address % DESCRIPTOR_BYTES:
        raise ValueError(f"a DMA chain must lie on a {DESCRIPTOR_BYTES}-byte boundary, not at 0x{address:X}")
    last = len(descriptors) - 1
    return b"".join(
        replace(d, next=address + (i + 1) * DESCRIPTOR_BYTES if i < last else 0).pack()
        for i, d in enumerate(descriptors))
