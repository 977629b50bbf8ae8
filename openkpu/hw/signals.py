# SPDX-License-Identifier: Apache-2.0
"""The buses between units of the RTL as tables: plan, job and token, each a flat bus of named fields.

``python -m openkpu.hw.generate`` writes ``rtl/include/kpu_<bus>.vh`` from them, with one macro for the bits of every
field (``plan[`PL_OC]``); benches pack and unpack the same tables. Packed structs would be nicer, but Icarus 11 has
none in packages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .fields import POOL_NAMES


@dataclass(frozen=True)
class Signal:
    """One field of a bus: its name, its width in bits, what it says, and the names of its values from 0 on."""

    name: str
    width: int
    doc: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bus:
    """A flat bus. The first field has the lowest bits.

    Attributes
    ----------
    name : of the include file, ``kpu_<name>.vh``, and of the width macro, ``<NAME>_W``.
    prefix : of the fields' macros.
    title : one or two sentences for the head of the include file.
    """

    name: str
    prefix: str
    title: str
    signals: tuple[Signal, ...]

    @property
    def width(self) -> int:
        """Bits of the whole bus."""
        return sum(s.width for s in self.signals)

    def ranges(self) -> Iterator[tuple[Signal, int]]:
        """Every field with its lowest bit."""
        low = 0
        for signal in self.signals:
            yield signal, low
            low += signal.width

    def unpack(self, bits: int) -> dict[str, int]:
        """All fields of a bus."""
        return {s.name: bits >> low & (1 << s.width) - 1 for s, low in self.ranges()}

    def pack(self, values: Mapping[str, int]) -> int:
        """A bus; fields that are not given are 0. KeyError for an unknown name, ValueError for a value too large."""
        places = {s.name: (s, low) for s, low in self.ranges()}
        bits = 0
        for name, value in values.items():
            signal, low = places[name]
            if not 0 <= value < 1 << signal.width:
                raise ValueError(f"{self.name}: {name} = {value} does not fit {signal.width} bits")
            bits |= value << low
        return bits


PLAN = Bus("plan", "PL", "One layer after decoding and planning. kpu_decode packs it, the units of the data path pick "
           "what they need.", (
               Signal("ERR", 4, "bits 0 to 3 of ext_error; nonzero: the layer is skipped"),
               Signal("INT_EN", 1),
               Signal("FULL_ADD", 1, "stream one sum per channel instead of the map"),
               Signal("SEND", 1, "stream the result"),
               Signal("TOTAL", 32, "bytes of the stream, minus one"),
               Signal("DWFAST", 1, "depthwise streaming path"),
               Signal("SINGLE", 1, "one output channel per block, reading the channel of the same number"),
               Signal("K3", 1, "3x3 kernel"),
               Signal("BYPASS", 1, "constant weights, nothing fetched"),
               Signal("WIDE", 1, "16-bit weights"),
               Signal("SRC", 15, "rows"),
               Signal("DST", 15, "rows"),
               Signal("IC", 11, "input channels"),
               Signal("OC", 11, "output channels"),
               Signal("W", 11, "input width after first_stride"),
               Signal("H", 10, "input height after first_stride"),
               Signal("OW", 11),
               Signal("OH", 10),
               Signal("DECIM", 1, "first_stride"),
               Signal("PAD", 8, "pad value"),
               Signal("POOL", 4, "pool type, 0 where none is carried out",
                      tuple(name.replace(" ", "_").replace("-", "_") for name in POOL_NAMES)),
               Signal("LGS", 2, "log2 of the stride between windows"),
               Signal("LGC", 2, "log2 of the pixels computed per window side"),
               Signal("OVERLAP", 1, "pools 8 and 9: windows overlap by one"),
               Signal("LGI", 2, "log2 of the input channels per row"),
               Signal("CHSW", 15, "rows from one input channel group to the next"),
               Signal("ROWSW", 4, "rows from one input line to the next"),
               Signal("LGO", 2, "log2 of the output channels per row"),
               Signal("OCHSW", 15, "as CHSW, output"),
               Signal("OROWSW", 4, "as ROWSW, output"),
               Signal("SHR_W", 4),
               Signal("SHR_X", 4),
               Signal("ARG_W", 24),
               Signal("ARG_X", 24),
               Signal("ADDC", 36, "arg_add times channels"),
               Signal("LOAD_BN", 1),
               Signal("LOAD_ACT", 1),
               Signal("BN_ADDR", 32),
               Signal("ACT_ADDR", 32),
               Signal("W_ADDR", 32),
               Signal("BURST", 8, "beats minus one"),
               Signal("LOAD_SIZE", 17, "bytes from one load to the next"),
               Signal("LOAD_NCH", 11, "channels of a load"),
               Signal("CH_BYTES", 15, "weight bytes of an output channel"),
               Signal("LOAD_W", 1, "fetch weights"),
               Signal("LGP", 2, "log2 of the pixel columns"),
               Signal("LGSW", 3, "log2 of the strip width in input pixels"),
               Signal("TR", 10, "window rows per tile"),
               Signal("TR_LAST", 10, "the same in the last, narrower strip"),
               Signal("NG", 12, "passes per block: channel groups, twice for 16-bit weights"),
               Signal("GP", 12, "passes whose weights are fetched together"),
               Signal("KEEP", 1, "weights stay in the buffer for all tiles"),
               Signal("REPS", 15, "how often the weights are fetched"),
           ))

JOB = Bus("job", "JOB", "One contiguous piece of parameters, from kpu_fetch, which asks memory for it, to kpu_unpack, "
          "which takes its bytes.", (
              Signal("KIND", 2, "0 activation table, 1 batch norm, 2 weights, 3 mark: a layer's tables have come",
                     ("activation_table", "batch_norm", "weights", "mark")),
              Signal("BYTES", 26),
              Signal("SKIP", 3, "bytes of the first word that come before"),
              Signal("ACT_BANK", 1, "table written"),
              Signal("BN_BANK", 1),
              Signal("SW_BANK", 1),
              Signal("CH_BYTES", 15, "weight bytes of every channel in this piece"),
              Signal("CHANNEL", 10, "first output channel"),
              Signal("SLOT", 6, "its place in the block"),
              Signal("LAST", 1, "last piece of its channels"),
              Signal("FIRST", 1, "first piece of its channels"),
              Signal("SUMS", 1, "the weight sums are wanted: first time that the weights are fetched"),
              Signal("WIDE", 1, "16-bit weights"),
              Signal("CENTRE", 1, "depthwise 1x1 kernel: its weight goes to the centre of the window"),
          ))

TOKEN = Bus("token", "TOKEN", "What becomes of one AI-RAM row, or of a line outside the image, from kpu_feature_fetch "
            "to kpu_window.", (
                Signal("WIDTH", 7, "pixels of the line in this word"),
                Signal("SLOTS", 4, "1x1: input channels of the pass, 0 for 3x3"),
                Signal("SUB", 2, "first channel's slot in the row"),
                Signal("COUNT", 4, "line registers that the row fills"),
                Signal("LINE", 4, "first of them; 3x3: 0 above, 1 at, 2 below, 3 more per word"),
                Signal("PLACE", 2, "0 the word itself, 1 its neighbour on the left, 2 on the right",
                       ("itself", "left", "right")),
                Signal("ABOVE", 1, "the line above lies outside the image, too"),
                Signal("OUT", 1, "line outside the image: no row comes"),
                Signal("SHIFT", 1, "the set's lines move up by one first"),
                Signal("LAST", 1, "the set is complete"),
                Signal("WORD", 2, "depthwise: 64-byte word of the set that it belongs to"),
            ))

BUSES = (PLAN, JOB, TOKEN)
