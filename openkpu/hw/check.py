# SPDX-License-Identifier: Apache-2.0
"""What makes a layer descriptor illegal: one function for driver, functional device and RTL.

Fields carry their true values here ("minus one" undone). kernel = 3 if kernel_type is 1 else 1; channels read
CI = OC for depthwise and bypass_conv layers, else IC; stride s = 2 for first_stride (whatever the pool type), else that
of the pool type, 1 for types above 9; B = bytes per weight; taps = kernel^2 * (1 if depthwise else IC);
N = min(o_ch_num_coef, OC).

A layer has two maps, each with base, channels C, height H, width W, group G, row_step and group_step. Input:
image_src_addr, CI, i_col_high, i_row_wid, coef_group, row_switch_addr, channel_switch_addr. Output:
image_dst_addr, OC, o_col_high, o_row_wid, wb_group, wb_row_switch_addr, wb_channel_switch_addr.

========================  ==========================================================================================
bit of ``ext_error``      set when
========================  ==========================================================================================
bad_geometry              of either map: G is not 1, 2 or 4
bad_geometry              of either map: G > 1 and W > 64 / G
bad_geometry              of either map, lines overlap: H > 1 and row_step <= (W-1) // 64
bad_geometry              of either map, groups overlap: C > G and group_step <= (H-1) * row_step + (W-1) // 64
bad_geometry              OW != W // s or OH != H // s (rounded up instead of down for first_stride)
bad_geometry              load_time * o_ch_num_coef < OC (not for bypass_conv)
bad_geometry              para_size < N * taps * B (only with load_coor and without bypass_conv)
airam_range               of either map: base + ((C-1) // G) * group_step + (H-1) * row_step + (W-1) // 64
                          >= rows of AI RAM (not checked if G is not 1, 2 or 4)
weight_size               N * taps * B > bytes of the weight buffer (not for bypass_conv)
unsupported               16-bit weights in a configuration without them (not for bypass_conv)
unsupported               bwsx_base_addr (with load_para) or active_addr (with load_act) is not a multiple of 8
========================  ==========================================================================================

The remaining bit, ``bus_error``, comes up only while parameters are fetched. Everything else is legal: loads behind
the last channel are not carried out, kernel_type above 1 counts as 1x1, pool_type above 9 as bypass. Source and
destination that overlap are not detected; the result of such a layer is unspecified but stays inside the destination.

A layer with an error fetches and writes nothing, counts as finished, and sets ``calc_done`` even without ``int_en``, so
that no driver waits for it in vain. (A bus error may come when part of the map is written.) With ``send_data_out`` it
streams as many bytes as a legal layer of these sizes would, all zero: a DMA that waits for them would never end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .descriptor import Descriptor
from .device import KpuConfig
from .fields import ROW_BYTES, register
from .layout import MapLayout


@dataclass(frozen=True)
class LayerError:
    """One broken rule: the ``ext_error`` bit it sets and a clause that says what is wrong."""

    bit: str
    reason: str


def descriptor_errors(d: Descriptor, config: KpuConfig, eight_bit: bool) -> list[LayerError]:
    """All rules that ``d`` breaks in ``config`` with the given ``eight_bit_mode``; empty for a legal layer."""
    source = replace(d.in_layout, channels=d.source_channels)
    rows = config.airam_bytes // ROW_BYTES
    return (_map_errors("input", source, rows) + _map_errors("output", d.out_layout, rows) + _size_errors(d)
            + _load_errors(d, config, eight_bit))


def error_bits(errors: list[LayerError]) -> int:
    """The errors as the low bits of ``ext_error``."""
    lsb = {f.name: f.lsb for f in register("ext_error").fields}
    bits = 0
    for error in errors:
        bits |= 1 << lsb[error.bit]
    return bits


def _map_errors(name: str, m: MapLayout, rows: int) -> list[LayerError]:
    if m.group not in (1, 2, 4):
        return [LayerError("bad_geometry", f"the channel group of the {name} map is {m.group}, not 1, 2 or 4")]
    errors = []
    slot, line_end = ROW_BYTES // m.group, (m.width - 1) // ROW_BYTES
    group_end = (m.height - 1) * m.row_step + line_end
    if m.group > 1 and m.width > slot:
        errors.append(LayerError("bad_geometry", f"the {name} map is {m.width} wide, its channel slots {slot}"))
    if m.height > 1 and m.row_step <= line_end:
        errors.append(LayerError("bad_geometry", f"a row step of {m.row_step} makes lines of the {name} map overlap"))
    if m.channels > m.group and m.group_step <= group_end:
        errors.append(LayerError("bad_geometry",
                                 f"a channel step of {m.group_step} makes channels of the {name} map overlap"))
    if m.end > rows:
        errors.append(LayerError("airam_range", f"the {name} map ends at row {m.end - 1}, the AI RAM has {rows} rows"))
    return errors


def _size_errors(d: Descriptor) -> list[LayerError]:
    stride = d.pool[1]
    width, height = d.i_row_wid // stride, d.i_col_high // stride
    if d.first_stride:
        width, height = -(-d.i_row_wid // 2), -(-d.i_col_high // 2)
    if (width, height) == (d.o_row_wid, d.o_col_high):
        return []
    return [LayerError("bad_geometry", f"the output is {d.o_row_wid}x{d.o_col_high} where input and pool give "
                                       f"{width}x{height}")]


def _load_errors(d: Descriptor, config: KpuConfig, eight_bit: bool) -> list[LayerError]:
    errors = []
    for name, used, address in (("bwsx_base_addr", d.load_para, d.bwsx_base_addr),
                                ("active_addr", d.load_act, d.active_addr)):
        if used and address % 8:
            errors.append(LayerError("unsupported", f"{name} 0x{address:08x} is not a multiple of 8"))
    if d.bypass_conv:
        return errors
    if d.load_time * d.o_ch_num_coef < d.o_ch_num:
        errors.append(LayerError("bad_geometry", f"{d.load_time} weight loads of {d.o_ch_num_coef} channels do not "
                                                 f"cover {d.o_ch_num} output channels"))
    needed = min(d.o_ch_num_coef, d.o_ch_num) * d.taps * (1 if eight_bit else 2)
    if d.load_coor and d.para_size < needed:
        errors.append(LayerError("bad_geometry", f"para_size {d.para_size} is less than the {needed} bytes of a load"))
    if needed > config.weight_bytes:
        errors.append(LayerError("weight_size", f"one weight load of {needed} bytes exceeds the buffer of "
                                                f"{config.weight_bytes}"))
    if not eight_bit and not config.has_16bit:
        errors.append(LayerError("unsupported", f"configuration '{config.name}' has no 16-bit weights"))
    return errors

