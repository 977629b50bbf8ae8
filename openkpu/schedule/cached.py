# SPDX-License-Identifier: Apache-2.0
"""What a cached core fetches from and writes back to the external memory (``rtl/cache``), by the rows a layer touches.

>>> traffic([plan(descriptor, core)], core)[0].fetched
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..hw.configs import CoreParameters
from ..hw.fields import ROW_BYTES
from .cycles import Block, blocks
from .plan import Plan
from .rows import ALL_BYTES, Read, pass_reads, stream_reads

WAYS = 2  # CACHE_WAYS of kpu_core


@dataclass(frozen=True)
class Traffic:
    """Of one layer.

    Attributes
    ----------
    reads : rows that were read, ``ext_cache_reads``.
    fetched : lines fetched for them, ``ext_cache_misses``.
    written : lines written back, ``ext_cache_evictions``.
    """

    reads: int
    fetched: int
    written: int


class Cache:
    """Lines with a mask of the bytes that are known; the least recently used one of a set goes."""

    def __init__(self, core: CoreParameters, ways: int = WAYS):
        self.sets: list[OrderedDict[int, list[int]]] = [OrderedDict() for _ in range(core.CACHE_LINES // ways)]
        self.ways = ways
        self.reads = self.fetched = self.written = 0

    def read(self, row: int, need: int) -> None:
        """A row of which some bytes are needed."""
        self.reads += 1
        known = self._line(row)
        if need & ~known[0]:
            self.fetched += 1
            known[0] = ALL_BYTES

    def write(self, row: int, mask: int) -> None:
        """Bytes of a row."""
        line = self._line(row)
        line[0] |= mask
        line[1] = 1

    def _line(self, row: int) -> list[int]:
        lines = self.sets[row % len(self.sets)]
        line = lines.get(row)
        if line is None:
            if len(lines) == self.ways:
                self.written += lines.popitem(last=False)[1][1]
            line = lines[row] = [0, 0]  # known bytes, changed
        lines.move_to_end(row)
        return line


def block_writes(p: Plan, b: Block) -> Iterator[tuple[int, int]]:
    """(row, bytes) that the write-back of a block changes, line by line."""
    d = p.descriptor
    group = d.wb_group
    size = ROW_BYTES // group
    for y in range(b.row, b.row + b.rows):
        for word in range(b.column // ROW_BYTES, (b.column + b.columns - 1) // ROW_BYTES + 1):
            first = max(b.column - word * ROW_BYTES, 0)
            last = min(b.column + b.columns - word * ROW_BYTES, ROW_BYTES)
            for channel in range(b.channel, b.channel + b.outs):
                row = d.image_dst_addr + channel // group * d.wb_channel_switch_addr + y * d.wb_row_switch_addr + word
                yield row, (1 << last) - (1 << first) << channel % group * size & ALL_BYTES


def traffic(plans: Iterable[Plan], core: CoreParameters, cache: Cache | None = None) -> list[Traffic]:
    """What the layers of a model move, one behind the other.

    Parameters
    ----------
    cache : its content before; None is an empty one.
    """
    cache = cache or Cache(core)
    result = []
    for p in plans:
        before = cache.reads, cache.fetched, cache.written
        late: list[tuple[int, int]] = []  # a block is written back while the next one is computed
        for b in blocks(p):
            for first in range(p.passes):
                for line in pass_reads(p, b, first):
                    for need in line:
                        cache.read(need.row, need.need)
            for row, mask in late:
                cache.write(row, mask)
            late = [] if p.descriptor.full_add else list(block_writes(p, b))
        for row, mask in late:
            cache.write(row, mask)
        if p.descriptor.send_data_out and not p.descriptor.full_add:
            last: Read | None = None
            for need in stream_reads(p):
                if need != last:
                    cache.read(need.row, need.need)
                last = need
        result.append(Traffic(cache.reads - before[0], cache.fetched - before[1], cache.written - before[2]))
    return result
