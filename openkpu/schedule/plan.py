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
RIGHT_PIXEL_POOL = 6  # takes the right-hand pixel of each pair


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _log2(n: int) -> int:
    return n.bit_length() - 1


@dataclass(frozen=True)
class Plan:
    """One legal layer's shape on the array. Names as in ``rtl/include/kpu_plan.vh``.

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
        return 64 if self.dwfast else (1 << self.lgsw) >> self.lgs


def plan(d: Descriptor, core: CoreParameters, eight_bit: bool = True) -> Plan:
    """Plan a legal layer (``openkpu.hw.check``) for a configuration of the core."""
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

    lgp, lgsw, entries = _columns(d, core, k3, by_channel, decim, overlap, lgi, lgs, lgc)
    strip = (1 << lgsw) >> lgs
    strips = _ceil(ow, strip)
    last_columns = ow - (strips - 1) * strip
    last_entries = (last_columns if overlap else _ceil(last_columns, 1 << lgp)) << 2 * lgc
    rows, tiles = _tiles(oh, core.DEPTH // entries, overlap)
    last_rows, last_tiles = (rows, tiles) if strips == 1 else _tiles(oh, core.DEPTH // last_entries, overlap)
    repetitions = (strips - 1) * tiles + last_tiles
    passes = (1 if by_channel else d.i_ch_num if k3 else _ceil(d.i_ch_num, 9)) << wide
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
        passes=passes, piece=2 if by_channel else core.WEIGHT_ENTRIES >> 2 >> (lgpes - lgp), keep=keep,
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


def _columns(d: Descriptor, core: CoreParameters, k3: bool, by_channel: bool, decim: bool, overlap: bool,
             lgi: int, lgs: int, lgc: int) -> tuple[int, int, int]:
    """The cheapest number of pixel columns: (log2 P, log2 strip width, partial sums of a row of windows)."""
    pes = core.SEGS * core.SEGLEN
    reads = 3 if k3 else (9, 5, 3)[lgi]  # rows that one line of a pass needs
    best: tuple[int, int, int, int] | None = None
    for lgp in range(1 if overlap else min(_log2(core.SEGS), 3 - lgs) + 1):
        lgsw = 5 if decim or (overlap and lgp == 0) else 6
        while True:
            columns = min((1 << lgsw) >> lgs, d.o_row_wid)
            groups = columns + (d.o_row_wid > columns) if overlap else _ceil(columns, 1 << lgp)
            entries = groups << 2 * lgc
            if entries << overlap <= core.DEPTH:
                break
            lgsw -= 1
        blocks = 1 if by_channel else _ceil(d.o_ch_num, pes >> lgp)
        cost = blocks * max(groups << lgc, reads)
        if best is None or cost < best[0]:
            best = cost, lgp, lgsw, entries
    assert best is not None
    return best[1:]
