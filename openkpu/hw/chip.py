"""What the real K210 needs for a layer: the fit of measured layers in spec/kpu-hardware.md 10.4."""

from __future__ import annotations

from .descriptor import Descriptor

BN_BYTES = 8  # per output channel


def chip_cycles(d: Descriptor, eight_bit: bool = True) -> int:
    """Estimated cycles of the real chip for one layer.

    The fit is within 4 % for the measured layers, which have 8-bit weights; 16-bit weights load faster per byte than
    it says.
    """
    group = max(d.coef_group, 1)
    in_groups = 1 if d.depthwise else -(-d.i_ch_num // group)
    passes = -(-d.o_ch_num // group) if d.depthwise else d.o_ch_num
    rows = d.channel_switch_addr
    fetched = d.weight_bytes(eight_bit) + BN_BYTES * d.o_ch_num
    return round(1.03 * passes * in_groups * rows + 0.93 * passes * in_groups + 1.19 * passes * rows
                 + 0.68 * fetched + 2860)
