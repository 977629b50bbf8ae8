# SPDX-License-Identifier: Apache-2.0
"""The real K210's cycles for a layer, by a fit of measurements (spec/kpu-hardware.md 10.4)."""

from __future__ import annotations

from ..hw.descriptor import Descriptor


def chip_cycles(d: Descriptor, eight_bit: bool = True) -> float:
    """Cycles of the chip at 400 MHz; fitted to 22 layers of one model with an error of at most 4 %.

    The chip works on one 64-byte row of AI RAM per cycle and output channel; parameter loads are hardly hidden.
    """
    in_groups = 1 if d.depthwise else -(-d.i_ch_num // d.coef_group)
    out = -(-d.o_ch_num // d.wb_group) if d.depthwise else d.o_ch_num
    rows = d.channel_switch_addr
    parameters = d.weight_bytes(eight_bit) + 8 * d.o_ch_num
    return 1.03 * out * in_groups * rows + 0.93 * out * in_groups + 1.19 * out * rows + 0.68 * parameters + 2860
