# SPDX-License-Identifier: Apache-2.0
"""How the core lays a layer out on its array: the rules of ``rtl/control/kpu_decode.v``.

A layer is cut into strips of input columns, tiles of window rows, blocks of output channels and passes. A pass is what
the array does with one set of weights: nine taps (a 3x3 kernel of one input channel, or nine input channels of
a 1x1 kernel) of a block's output channels over the pixels of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..hw.configs import CoreParameters
from ..hw.descriptor import Descriptor

# pool type -> (log2 of the stride between windows, log2 of the pixels computed per window side)
_WINDOWS = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (2, 2), 5: (1, 0), 6: (1, 0), 7: (2, 0)}
_OVERLAPPING = (8, 9)
DEPTHWISE_COLUMNS = 192  # of a strip on the depthwise path: three words of a line, which the window's registers hold
RIGHT_PIXEL_POOL = 6  # takes the right-hand pixel of each pair


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _log2(n: int) -> int:
    return n.bit_length() - 1


@dataclass(frozen=True)
class Plan:
    """One legal layer's shape on the array. Names as in :data:`openkpu.hw.signals.PLAN`.

    Attributes
    ----------
    dwfast : depthwise streaming path: pixels go past the partial sums straight to the lanes.
    single : every block is one output channel that reads one input channel.
    k3 : 3x3 kernel.
    wide : 16-bit weights, two passes per group of taps.
    width, height : input map after first_stride.
    lgs, lgc : log2 of the stride between pooling windows, and of the pixels computed per window side.
    overlap : windows overlap by one (pools 8 and 9).
    lgi, lgo : log2 of the channels per AI-RAM row, input and output.
    lgp : log2 of the pixel columns P.
    lgsw : log2 of the strip's width in input pixels.
    rows : window rows of a tile.
    last_rows : the same in the last, narrower strip.
    passes : passes of a block.
    piece : most passes whose weights are fetched together.
    keep : the weight buffer keeps the weights for all tiles.
    repetitions : how often the weights are fetched (once if ``keep``).
    block : output channels of a block (depthwise path: channels side by side in the lanes).
    channel_bytes : weight bytes of one output channel.
    """

    descriptor: Descriptor
    dwfast: bool
    single: bool
    k3: bool
    wide: bool
    width: int
    height: int
    lgs: int
    lgc: int
    overlap: bool
    lgi: int
    lgo: int
    lgp: int
    lgsw: int
    rows: int
    last_rows: int
    passes: int
    piece: int
    keep: bool
    repetitions: int
    block: int
    channel_bytes: int

    @property
    def strip_columns(self) -> int:
        """Output columns of a strip."""
        return DEPTHWISE_COLUMNS if self.dwfast else (1 << self.lgsw) >> self.lgs


def plan(d: Descriptor, core: CoreParameters, eight_bit: bool = True, lgp: int | None = None) -> Plan:
    """Plan a legal layer (``openkpu.hw.check``) for a configuration of the core.

    Parameters
    ----------
    lgp : log2 of the pixel columns P, one of :func:`legal_columns`; by default the cheapest, as the RTL chooses.
    """
    lgpes, lglanes = _log2(core.SEGS * core.SEGLEN), _log2(core.SEGS * core.LPS)
    bypass, decim = bool(d.bypass_conv), bool(d.first_stride)
    k3 = d.kernel == 3 and not bypass
    pool = 0 if decim or d.pool_type > 9 else d.pool_type
    by_channel = d.depthwise or bypass
    wide = not eight_bit and not bypass
    lgi, lgo = _log2(d.coef_group), _log2(d.wb_group)
    lgs, lgc = _WINDOWS.get(pool, (0, 0))
    overlap = pool in _OVERLAPPING
    dwfast = by_channel and pool == 0 and lgi == lgo and not decim and not wide
    ow, oh = d.o_row_wid, d.o_col_high

    passes = (1 if by_channel else d.i_ch_num if k3 else _ceil(d.i_ch_num, 9)) << wide
    shape = _Shape(passes, k3, by_channel, decim, overlap, wide, lgi, lgs, lgc)
    tries = [_columns(d, core, shape, choice) for choice in (legal_columns(d, core) if lgp is None else (lgp,))]
    cost, lgp, lgsw, entries = tries[0]
    for each in tries[1:]:
        # Behind a cache fewer columns, whose larger blocks read the input map less often, may cost a sixteenth more.
        if each[0] + (each[0] >> 4) < cost if core.CACHE_LINES else each[0] <= cost:
            cost, lgp, lgsw, entries = each
    strip = (1 << lgsw) >> lgs
    strips = _ceil(ow, strip)
    last_columns = ow - (strips - 1) * strip
    last_entries = (last_columns if overlap else _ceil(last_columns, 1 << lgp)) << 2 * lgc
    rows, tiles = _tiles(oh, core.DEPTH // entries, overlap)
    last_rows, last_tiles = (rows, tiles) if strips == 1 else _tiles(oh, core.DEPTH // last_entries, overlap)
    repetitions = (strips - 1) * tiles + last_tiles
    keep = not dwfast and repetitions > 1 and d.o_ch_num * passes <= core.WEIGHT_ENTRIES
    if dwfast:
        block = 1 << max(lglanes + lgi - 6, 0)
    else:
        block = 1 if by_channel else 1 << (lgpes - lgp)
    taps = (9 if k3 else 1) * (1 if d.depthwise else d.i_ch_num)
    return Plan(
        descriptor=d, dwfast=dwfast, single=by_channel, k3=k3, wide=wide,
        width=_ceil(d.i_row_wid, 1 + decim), height=_ceil(d.i_col_high, 1 + decim),
        lgs=lgs, lgc=lgc, overlap=overlap, lgi=lgi, lgo=lgo, lgp=lgp, lgsw=lgsw, rows=rows, last_rows=last_rows,
        passes=passes, piece=2 if by_channel else core.WEIGHT_ENTRIES >> 2 >> lgpes, keep=keep,
        repetitions=1 if dwfast else repetitions, block=block, channel_bytes=taps << wide)


def effective_macs(d: Descriptor) -> int:
    """Multiply-accumulates that the layer's output depends on.

    A sampling pool (left-top, right-top) or first_stride takes one pixel of a window; the array computes no other.
    ``Descriptor.macs`` counts every pixel, as the chip computes them.
    """
    if d.bypass_conv:
        return 0
    side = 2 if d.first_stride else 1
    pixels = _ceil(d.i_row_wid, side) * _ceil(d.i_col_high, side)
    lgs, lgc = (0, 0) if d.first_stride else _WINDOWS.get(d.pool_type, (0, 0))
    if lgs:
        pixels = min(pixels, d.o_row_wid * d.o_col_high << 2 * lgc)
    return pixels * d.taps * d.o_ch_num


def _tiles(height: int, most: int, overlap: bool) -> tuple[int, int]:
    """Window rows of a tile and number of tiles, when ``most`` rows of windows fit the partial sums."""
    tiles = _ceil(height, most - overlap if most < height else height)
    return _ceil(height, tiles), tiles


def legal_columns(d: Descriptor, core: CoreParameters) -> range:
    """Log2 of the numbers of pixel columns that the array can be folded to for a layer."""
    overlap = not d.first_stride and d.pool_type in _OVERLAPPING
    return range(1 if overlap else _log2(core.SEGS) + 1)


@dataclass(frozen=True)
class _Shape:
    """What the cost of a number of pixel columns depends on; names as in :class:`Plan`."""

    passes: int
    k3: bool
    single: bool
    decim: bool
    overlap: bool
    wide: bool
    lgi: int
    lgs: int
    lgc: int


def _columns(d: Descriptor, core: CoreParameters, s: _Shape, lgp: int) -> tuple[int, int, int, int]:
    """P = 2**lgp pixel columns: (cost, lgp, log2 strip width, partial sums of a row of windows).

    The cost is in cycles, of all blocks and strips: the column groups that the array takes, or the AI-RAM rows to
    read if they are more; for all passes and with the last block's write-back (1x1), or for one pass (3x3). Rows that
    leave less than a sixteenth to spare make the array of a layer of several strips wait now and then.
    """
    lgsw = whole = 5 if s.decim else 6
    if s.overlap:
        lgsw = 5
    while True:
        columns = min((1 << lgsw) >> s.lgs, d.o_row_wid)
        groups = columns + (d.o_row_wid > columns) if s.overlap else _ceil(columns, 1 << lgp)
        entries = groups << 2 * s.lgc
        if entries << s.overlap <= core.DEPTH:
            break
        lgsw -= 1
    strips = _ceil(d.o_row_wid, columns)
    last = d.o_row_wid - (strips - 1) * columns
    last_groups = last if s.overlap else _ceil(last, 1 << lgp)
    blocks = 1 if s.single else _ceil(d.o_ch_num, core.SEGS * core.SEGLEN >> lgp)
    outs = 1 if s.single else min(core.SEGS * core.SEGLEN >> lgp, d.o_ch_num)
    work = [_work(d, core, s, groups << 2 * s.lgc, outs, lgsw == whole) for groups in (groups, last_groups)]
    full, rest = (max(takes, rows + (rows >> 4) if strips > 1 else rows) for takes, rows in work)
    tail = 0 if s.k3 else outs
    return blocks * ((strips - 1) * full + rest) + tail, lgp, lgsw, entries


def _work(d: Descriptor, core: CoreParameters, s: _Shape, entries: int, outs: int,
          whole_words: bool) -> tuple[int, int]:
    """Of one block's passes over the lines of a strip: cycles of the array, and AI-RAM rows to read.

    3x3: of one pass, since all are alike. ``entries`` are the partial sums of a row of windows. The weights of ``outs``
    channels for the next pass come meanwhile, one per cycle and one cycle more.
    """
    lines = d.o_col_high
    takes = lines * entries
    tiles = _ceil(takes, core.DEPTH)
    if tiles == 1:
        takes = max(takes, outs + 1)
    if s.k3:
        # Windows apart from each other share no lines; others need two more for the first line of a tile. At the edge
        # of a word the neighbouring one is needed, too.
        rows = 3 * lines if s.lgs != s.lgc else (lines << s.lgc) + 2 * tiles - 1
        return takes, rows * (2 if whole_words and d.i_row_wid > 64 else 1)
    # 1x1: a pass may begin and end within a row.
    groups = d.i_ch_num if s.lgi == 0 else (d.i_ch_num - 1 >> s.lgi) + (s.passes >> s.wide)
    return s.passes * takes, (lines << s.lgc) * (s.passes if s.single else groups << s.wide)
