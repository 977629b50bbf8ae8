# SPDX-License-Identifier: Apache-2.0
"""Cycle model of the core: how long every stage of a layer takes, and what the layer takes as a whole.

The stages of the core run decoupled by queues and double buffers. The model walks a layer pass by pass and keeps for
every stage, one class each, the cycle in which it is done with what it was given: a stage starts when its input
is there and the buffer that it fills is free. Latencies are those of the RTL's pipelines. The result agrees with
the core's own counters within 3 % or 200 cycles per layer (tests/test_cycle_model.py).

>>> run([plan(descriptor, CORES["full"])], CORES["full"])[0].total
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from ..hw.configs import CoreParameters
from ..hw.fields import ACT_TABLE_BYTES
from .plan import RIGHT_PIXEL_POOL, Plan, legal_columns, plan

__all__ = ["WAITS", "LayerCycles", "Plan", "plan", "run"]

WAITS = ("parameters", "features", "write-back")
"""What the array can wait for, as the counters ext_wait_*."""

MEMORY_LATENCY = 20  # from a burst's address to its first word
OUTSTANDING = 8      # bursts that the memory accepts before it answers the first
WORDS = 17           # of a descriptor, and the checks
TRY = 22             # the planner's cycles for one number of pixel columns
DIVIDE = 14
FETCH = 2            # from the plan to the first burst's address
STREAM_LATENCY = 8   # from the last read of the output stream to the layer's end
LANE_STAGES = 14     # from a partial sum's read to the byte in the write-back
LANE_PARAMETERS = 6  # from there to the last stage that uses the channel's parameters
QUEUE = 4            # commands that the sequencer can be ahead of a unit
LONG_AGO: float = -10**9


@dataclass
class LayerCycles:
    """What a layer takes, in clock cycles.

    Attributes
    ----------
    total : from the layer's start to its end; the core's ``ext_cycles``.
    busy : in which the array computed; ``ext_busy``.
    wait : in which it had work and waited, by reason; about ``ext_wait_*``.
    tail : behind the array's last cycle: post-processing, write-back, output stream.
    """

    total: int = 0
    busy: int = 0
    wait: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WAITS, 0))
    tail: int = 0

    @property
    def limit(self) -> str:
        """The array, or what it lost most of its time to if that is more than a tenth of the layer."""
        lost = {**self.wait, "tail": self.tail}
        reason = max(lost, key=lost.__getitem__)
        return reason if lost[reason] > 0.1 * self.total else "array"


@dataclass(frozen=True)
class Block:
    """Output channels of one tile, the unit of post-processing."""

    channel: int
    outs: int
    row: int
    rows: int
    column: int
    columns: int
    last_strip: bool
    last_tile: bool


def blocks(p: Plan) -> Iterator[Block]:
    """The blocks of a layer as ``rtl/control/kpu_seq.v`` walks them."""
    d = p.descriptor
    channels = range(0, d.o_ch_num, p.block)
    areas = []
    for column in range(0, d.o_row_wid, p.strip_columns):
        columns = min(p.strip_columns, d.o_row_wid - column)
        last_strip = column + columns == d.o_row_wid
        rows = d.o_col_high if p.dwfast else p.last_rows if last_strip else p.rows
        for row in range(0, d.o_col_high, rows):
            height = min(rows, d.o_col_high - row)
            areas.append((row, height, column, columns, last_strip, row + height == d.o_col_high))
    walk = [(c, a) for c in channels for a in areas] if p.dwfast else [(c, a) for a in areas for c in channels]
    for channel, area in walk:
        yield Block(channel, min(p.block, d.o_ch_num - channel), *area)


def take_cycles(p: Plan, b: Block, lanes: int) -> int:
    """Cycles the array computes on one line of a pass (``kpu_issue.v``)."""
    if p.dwfast:
        return -(-b.columns // lanes)
    if p.overlap:
        return b.columns + (not b.last_strip)
    return -(-b.columns // (1 << p.lgp)) << p.lgc


def line_rows(p: Plan, b: Block, first: int) -> list[int]:
    """AI-RAM rows (or lines of padding) that each line of a pass needs (``kpu_feature_fetch.v``).

    ``first`` is the number of the pass within its block.
    """
    d = p.descriptor
    per_word = 64 >> d.first_stride
    start = b.column << p.lgs
    x = 0 if p.dwfast else start % per_word
    if p.dwfast:
        span, lines, step = 0, d.o_col_high, 1
    else:
        wider = b.columns + (p.overlap and not b.last_strip)
        span = wider - 1 if p.overlap else \
            (b.columns - 1 << p.lgs) + (1 << p.lgc) - 1 + (d.pool_type == RIGHT_PIXEL_POOL and not d.first_stride)
        lines = b.rows + (p.overlap and not b.last_tile) if p.overlap else b.rows << p.lgc
        step = 1 if p.lgc else 1 << p.lgs
    word_start = start - start % per_word
    if p.dwfast:
        words = -(-b.columns // 64)
        right = p.k3 and not b.last_strip
    else:
        words, right = 1, x + span + p.k3 >= per_word and p.width - word_start > per_word
    if not (p.k3 or p.dwfast):
        group = 1 << p.lgi
        channel = b.channel if p.single else 9 * (first >> p.wide)
        slots = 1 if p.single else min(9, d.i_ch_num - channel)
        return [-(-(channel % group + slots) // group) * (1 + right)] * lines
    inside = words + right + (p.k3 and word_start > 0 and x == 0)
    y = b.row << p.lgs
    needs = []
    for line in range(lines):
        fresh = line == 0 or step != 1
        above = 0 if not fresh or (line == 0 and y == 0) else 1 if y == 0 else inside
        needs.append(above + (inside if fresh else 0) + (1 if y + 1 == p.height else inside))
        y += step
    return needs


def word_cycles(p: Plan) -> float:
    """Cycles per word from memory; short bursts do not cover its latency."""
    return max(1.0, (MEMORY_LATENCY + 1) / (OUTSTANDING * p.descriptor.dma_burst_size))


@cache
def unpack_cycles(size: int, wide: bool) -> float:
    """Cycles that ``kpu_unpack`` takes per channel of ``size`` weight bytes, if memory keeps up.

    A group of up to nine weights leaves its buffer of 32 bytes in one cycle, in two if they have 16 bits; a word comes
    in whenever there will be room for it. A channel's last, smaller group lets the buffer fill up.
    """
    group, channels = 9 << wide, 32
    if size % group == 0:
        return max(size / 8, size // group << wide)
    cycles = fill = first = 0
    for _ in range(channels):
        for left in range(size, 0, -group):
            need, steps = min(left, group), 1 + wide
            while steps:
                steps -= fill >= need
                fill -= 0 if steps else need
                fill += 8 if fill <= 24 else 0
                cycles += 1
        first = first or cycles
    return (cycles - first) / (channels - 1)


class Parameters:
    """``kpu_fetch``, ``kpu_unpack`` and the weight buffer: when parameters are there."""

    def __init__(self, core: CoreParameters):
        self.space: float = core.WEIGHT_ENTRIES
        self.pieces: deque[list[float]] = deque()  # entries, cycle in which they are freed; oldest first
        self.done = float(LONG_AGO)

    def tables(self, p: Plan, start: float) -> float:
        """Begin a layer whose plan is there at ``start``; cycle in which its tables have arrived."""
        d = p.descriptor
        if d.load_act or d.load_para or not d.bypass_conv:
            self.done = max(self.done, start + FETCH + MEMORY_LATENCY)
        if d.load_act:
            self.done += ACT_TABLE_BYTES // 8 * word_cycles(p)
        if d.load_para:
            self.done += d.o_ch_num * word_cycles(p)
        return self.done + 3

    def piece(self, p: Plan, b: Block, first: int, passes: int) -> float:
        """Cycle in which the weights of ``passes`` passes of a block from the ``first`` on have arrived."""
        d = p.descriptor
        group = 9 << p.wide  # bytes that are taken together
        left: float = passes * b.outs
        if p.channel_bytes <= 9 * p.piece:
            work = b.outs * max(p.channel_bytes / 8 * word_cycles(p), unpack_cycles(p.channel_bytes, p.wide))
        else:
            size = min(p.channel_bytes - first // 2 ** p.wide * group, passes // 2 ** p.wide * group)
            address = d.para_start_addr + first // 2 ** p.wide * group
            work = 0.0
            for channel in range(b.channel, b.channel + b.outs):
                skip = (address + channel * p.channel_bytes) % 8
                beats = -(-(skip + size) // 8)
                work += max(beats * word_cycles(p), -(-size // group) << p.wide)
        each = max(work / left, 1.0)
        self.pieces.append([left, LONG_AGO])
        while left:
            if not self.space:
                freed, cycle = self.pieces.popleft()
                self.space += freed
                self.done = max(self.done, cycle)
            now = min(left, self.space)
            self.done += now * each
            self.space -= now
            left -= now
        return self.done

    def free(self, cycle: float, pieces: int = 1) -> None:
        """The array has taken the oldest pieces that are not free yet."""
        for piece in self.pieces:
            if pieces and piece[1] == LONG_AGO:
                piece[1] = cycle
                pieces -= 1


class WeightLoad:
    """``kpu_weights``: one entry per cycle into the weight set that the array does not use."""

    def __init__(self, start: float):
        self.last = start
        self.freed = deque([LONG_AGO] * 2)  # cycles in which the two sets became free

    def load(self, outs: int, command: float, arrived: float) -> float:
        """Cycle in which a set with ``outs`` entries, the last there at ``arrived``, can be used."""
        begin = max(self.last + 1, command, self.freed.popleft())
        self.last = max(begin + outs, arrived)
        return self.last + 3


def move_cycles(p: Plan, b: Block, core: CoreParameters) -> int:
    """Cycles in which a row's pixels go to the RAM of their line; 0 where the window former has registers."""
    if core.SEGS * core.LPS > 8 or core.SEGS > 4:  # as kpu_window chooses
        return 0
    if p.dwfast and (p.lgi or p.width > 64):
        return 8
    per_word = 64 >> p.descriptor.first_stride
    start = b.column << p.lgs
    return -(-min(p.width - (start - start % per_word), per_word) // 8)


class Features:
    """``kpu_feature_fetch`` and ``kpu_window``: one row per cycle into a set of lines, used after it has moved on."""

    def __init__(self) -> None:
        self.ready = LONG_AGO              # the latest set's last row has been placed
        self.moved = [LONG_AGO, LONG_AGO]  # the two latest sets have come into use
        self.fetched = LONG_AGO            # first row of the latest pass has been requested
        self.used = [LONG_AGO, LONG_AGO]   # last use of the two latest sets

    def use(self, rows: Sequence[int], take: int, command: float, begin: float, move: int = 0,
            same_lines: bool = False, words: int = 1) -> tuple[float, float]:
        """Run a pass that begins at ``begin`` over its lines; (its last cycle, cycles it waited for rows).

        Parameters
        ----------
        move : from :func:`move_cycles`. The rows of a set come while the set before moves to the lines' RAM.
        same_lines : a row takes the register of a row of the set before, which must have moved.
        words : of a line; several change each other's neighbours, and wait until the set before is in use.
        """
        self.fetched = max(self.fetched + 3, command + 3)
        ready = max(self.ready, self.fetched + 2)
        older, newer = self.used
        now, waited = begin, 0.0
        for count in rows:
            if move:
                before = self.moved[1] if words > 1 else self.moved[0] + (move if same_lines else 0)
                ready = max(ready, before) + count
                placed = max(ready, self.moved[1]) + move
                self.moved = [self.moved[1], max(placed, newer)]
            else:
                ready = placed = max(ready, older - 1) + count
            start = max(now, placed + 1) + 1
            waited += start - now - 1
            now = start + take - 1
            older, newer = newer, now
        self.ready = ready
        self.used = [older, newer]
        return now, waited


class LaneParameters:
    """``kpu_params``: one channel per cycle into the lanes' spare parameter set."""

    def __init__(self, tables: float):
        self.tables = tables
        self.last = LONG_AGO
        self.freed = deque([LONG_AGO] * 2)

    def load(self, channels: int, begin: float) -> float:
        """Cycle in which the lanes can begin with the next set."""
        start = max(self.last + 1, begin, self.freed.popleft(), self.tables)
        self.last = start + channels
        return self.last + 4


class WriteBack:
    """``kpu_writeback``: collects a piece of every channel's line while the piece before is written."""

    def __init__(self) -> None:
        self.written = [LONG_AGO, LONG_AGO]

    def piece(self, read: float, window: int, columns: int, steps: int) -> float:
        """Collect a piece whose first sum is read at ``read``; its last read's cycle, stalls included."""
        stored = max(read + window - 1 + LANE_STAGES, self.written[0] + 1) + (columns - 1) * window
        self.written = [self.written[1], max(stored + 1, self.written[1]) + steps]
        return stored - LANE_STAGES


class Drain:
    """``kpu_drain`` and the lanes: one sum per cycle, the lanes serve the PEs of a segment in turn."""

    def __init__(self, core: CoreParameters, p: Plan, tables: float):
        self.core, self.p = core, p
        self.lanes = LaneParameters(tables)
        self.out = WriteBack()
        self.last = LONG_AGO
        spc = core.SEGS >> p.lgp
        self.channels = spc * core.LPS
        self.steps = self.channels // max(core.piece << p.lgo >> 6, 1)  # slots of a row in a piece go together
        self.window = 4 if p.overlap else 1 << 2 * p.lgc

    def block(self, b: Block, late: float, done: float) -> float:
        """Drain a block whose last pass began at ``late`` and ended at ``done``; cycle in which its bank is free."""
        pieces = self.pieces(b)
        now = max(self.last + 1, done + 2 + self.core.SEGS)
        for phase in range(self.core.SEGLEN // self.core.LPS):
            ready = self.lanes.load(self.channels, late + 2)
            # Only between phases can the drain go on without a pause.
            now = now if phase and ready <= now - 1 else max(now, ready) + 1
            for _ in range(b.rows):
                for columns in pieces:
                    now = self.out.piece(now, self.window, columns, self.steps) + 1
            self.lanes.freed.append(now - 1 + LANE_PARAMETERS)
        self.last = now - 1
        return self.last

    def pieces(self, b: Block) -> list[int]:
        """Column groups of the pieces of a line."""
        bounds = [b.column, *range(b.column - b.column % self.core.piece + self.core.piece, b.column + b.columns,
                                   self.core.piece), b.column + b.columns]
        return [-(-(end - begin) // (1 << self.p.lgp)) for begin, end in pairwise(bounds)]


def run(plans: Iterable[Plan], core: CoreParameters, prefetched: bool = False) -> list[LayerCycles]:
    """Cycles of layers that are queued together, so that each one's parameters are fetched during the one before.

    Parameters
    ----------
    prefetched : the first layer's parameters have been fetched before it starts, too.
    """
    parameters = Parameters(core)
    plans = list(plans)
    results = []
    begin = started = 0.0
    planned = LONG_AGO if prefetched else 0.0
    for p in plans:
        # One plan waits for its layer's start, while parameters come; the next one is made meanwhile.
        fetched = max(planned, LONG_AGO if p is plans[0] else started + 1)
        begin = started = max(begin, fetched)
        tables = parameters.tables(p, fetched)
        planned = max(fetched, 0) + decode_cycles(p, core)
        walk = _depthwise if p.dwfast else _convolution
        result, end, finished, free = walk(p, core, parameters, begin, tables)
        if p.descriptor.send_data_out:
            end = max(end, stream_end(p, finished, free, end))
        result.total = round(end - begin)
        waits = {reason: round(waited) for reason, waited in result.wait.items()}
        result.wait.update(waits)
        result.tail = result.total - result.busy - sum(waits.values())
        results.append(result)
        begin = end + 1
    return results


def decode_cycles(p: Plan, core: CoreParameters) -> int:
    """Cycles of ``kpu_decode`` and ``kpu_planner`` for a layer whose words are there."""
    d = p.descriptor
    tries = len(legal_columns(d, core))
    rows = 0 if p.k3 else 4 if p.single else 4 + DIVIDE
    strips = 1 if d.o_row_wid <= (1 << p.lgsw) >> p.lgs else 2
    return WORDS + TRY * tries + rows + 3 * DIVIDE * strips + 8


def stream_end(p: Plan, finished: Sequence[tuple[float, int]], free: float, end: float) -> float:
    """Cycle in which ``kpu_stream_out`` is done, with a consumer that takes a word per cycle.

    Parameters
    ----------
    finished : (cycle, channels) as channels become complete in the AI RAM.
    free : share of the cycles up to ``end`` in which the feature fetch reads no row.
    """
    d = p.descriptor
    each = -(-d.o_row_wid // 8) * d.o_col_high
    now = 0.0
    for cycle, channels in finished:
        now = max(now, cycle)
        work = channels * each
        beside = min(work, max(0.0, end - now) * free)
        now += (beside / free if beside else 0.0) + work - beside
    return now + STREAM_LATENCY


def _convolution(p: Plan, core: CoreParameters, parameters: Parameters, start: float,
                 tables: float) -> tuple[LayerCycles, float, list[tuple[float, int]], float]:
    """What a layer takes, the cycle of its end, and what :func:`stream_end` needs to know."""
    result = LayerCycles()
    load, features, drain = WeightLoad(start), Features(), Drain(core, p, tables)
    begun = deque([LONG_AGO] * QUEUE)
    banks = deque([LONG_AGO] * 2)
    command = now = start + 2
    single_cycle = False
    rows: dict[tuple, list[int]] = {}
    finished: list[tuple[float, int]] = []
    reads = 0
    for b in blocks(p):
        take = take_cycles(p, b, core.SEGS * core.LPS)
        move = move_cycles(p, b, core)
        first_tile = b.row == 0 and b.column == 0
        last_tile = b.last_strip and b.last_tile
        bank = banks.popleft()
        for first in range(0, p.passes, p.piece):
            count = min(p.piece, p.passes - first)
            bypass = p.descriptor.bypass_conv
            fetched = not bypass and (first_tile or not p.keep)
            arrived = parameters.piece(p, b, first, count) if fetched else LONG_AGO
            for g in range(first, first + count):
                key = (b.row, b.column, 0 if p.k3 else g, b.channel if p.single else 0)
                if key not in rows:
                    rows[key] = line_rows(p, b, g)
                command = max(command + 1, begun.popleft() + 2)
                loaded = load.load(b.outs, command, arrived - (first + count - 1 - g))
                ready = max(now + single_cycle, command)
                begin = max(ready, loaded, bank if g == 0 else LONG_AGO)
                result.wait["parameters"] += max(0, min(loaded, begin) - ready)
                result.wait["write-back"] += begin - max(ready, min(loaded, begin))
                begun.append(begin)
                now, waited = features.use(rows[key], take, command, begin, move, not p.k3)
                result.wait["features"] += waited
                result.busy += take * len(rows[key])
                reads += sum(rows[key])
                single_cycle = take == 1 and len(rows[key]) == 1
                load.freed.append(now + 1)
            if not bypass and (not p.keep or last_tile):
                parameters.free(load.last + 1)
        banks.append(drain.block(b, begin, now) + 1)
        if last_tile:
            finished.append((drain.out.written[1] + 3, b.outs))
    end = drain.out.written[1] + 4
    return result, end, finished, max(0.05, 1 - reads / (end - start))


def _depthwise(p: Plan, core: CoreParameters, parameters: Parameters, start: float,
               tables: float) -> tuple[LayerCycles, float, list[tuple[float, int]], float]:
    """The streaming path: pixels go through one multiplier row each, straight to the lanes."""
    result = LayerCycles()
    load, features, lanes = WeightLoad(start), Features(), LaneParameters(tables)
    begun = deque([LONG_AGO] * QUEUE)
    command = now = start + 2
    rows: dict[int, list[int]] = {}
    finished: list[tuple[float, int]] = []
    reads = 0
    for b in blocks(p):
        take = take_cycles(p, b, core.SEGS * core.LPS)
        if b.column not in rows:
            rows[b.column] = line_rows(p, b, 0)
        command = max(command + 1, begun.popleft() + 2)
        begin = ready = max(now, command)
        if b.column == 0:
            arrived = LONG_AGO if p.descriptor.bypass_conv else parameters.piece(p, b, 0, 1)
            loaded = load.load(b.outs, command, arrived)
            valid = lanes.load(p.block, loaded)
            begin = max(ready, loaded, valid)
            result.wait["parameters"] += max(0, min(loaded, begin) - ready)
            result.wait["write-back"] += begin - max(ready, min(loaded, begin))
            if not p.descriptor.bypass_conv:
                parameters.free(load.last + 1)
        begun.append(begin)
        now, waited = features.use(rows[b.column], take, command, begin, move_cycles(p, b, core),
                                   words=-(-b.columns // 64))
        result.wait["features"] += waited
        result.busy += take * len(rows[b.column])
        reads += sum(rows[b.column])
        if b.last_strip:
            load.freed.append(now + 2)
            lanes.freed.append(now + 1 + LANE_PARAMETERS)
            finished.append((now + LANE_STAGES + 5, b.outs))
    end = now + LANE_STAGES + 6
    return result, end, finished, max(0.05, 1 - reads / (end - start))
