"""What makes a layer descriptor illegal: one function for driver, functional device and RTL.

Fields carry their true values here ("minus one" undone). kernel = 3 if kernel_type is 1 else 1; channels read
CI = OC for depthwise and bypass_conv layers, else IC; stride s = 2 for first_stride (whatever the pool type), else that
of the pool type, 1 for types above 9; B = bytes per weight; taps = kernel^2 * (1 if depthwise else IC);
N = min(o_ch_num_coef, OC).

========================  ==========================================================================================
bit of ``ext_error``      set when
========================  ==========================================================================================
bad_geometry              coef_group or wb_group is not 1, 2 or 4
bad_geometry              coef_group > 1 and W > 64/coef_group; wb_group > 1 and OW > 64/wb_group
bad_geometry              OW != W // s or OH != H // s (rounded up instead of down for first_stride)
bad_geometry              output lines overlap: OH > 1 and wb_row_switch_addr <= (OW-1) // 64
bad_geometry              output groups overlap: OC > wb_group and
                          wb_channel_switch_addr <= (OH-1) * wb_row_switch_addr + (OW-1) // 64
bad_geometry              load_time * o_ch_num_coef < OC (not for bypass_conv)
bad_geometry              para_size < N * taps * B (only with load_coor and without bypass_conv)
airam_range               image_src_addr + ((CI-1) // coef_group) * channel_switch_addr + (H-1) * row_switch_addr
                          + (W-1) // 64 >= rows of AI RAM; the same for the output with wb_group, OC, OH, OW
weight_size               N * taps * B > bytes of the weight buffer (not for bypass_conv)
unsupported               16-bit weights in a configuration without them (not for bypass_conv)
unsupported               bwsx_base_addr (with load_para) or active_addr (with load_act) is not a multiple of 8
========================  ==========================================================================================

The remaining bit, ``bus_error``, comes up only while parameters are fetched. Everything else is legal: loads behind
the last channel are not carried out, kernel_type above 1 counts as 1x1, pool_type above 9 as bypass. Source and
destination that overlap are not detected; the result of such a layer is unspecified but stays inside the destination.

A layer with an error fetches and writes nothing, streams nothing, counts as finished, and sets ``calc_done`` even
without ``int_en``, so that no driver waits for it in vain. (A bus error may come when part of the map is written.)
"""

from __future__ import annotations

from dataclasses import dataclass

from ..devices.base import KpuConfig
from .descriptor import Descriptor
from .fields import ROW_BYTES, register


@dataclass(frozen=True)
class LayerError:
    """One broken rule: the ``ext_error`` bit it sets and a clause that says what is wrong."""

    bit: str
    reason: str


def descriptor_errors(d: Descriptor, config: KpuConfig, eight_bit: bool) -> list[LayerError]:
    """All rules that ``d`` breaks in ``config`` with the given ``eight_bit_mode``; empty for a legal layer."""
    return _geometry(d) + _loads(d, config, eight_bit) + _ranges(d, config)


def error_bits(errors: list[LayerError]) -> int:
    """The errors as the low bits of ``ext_error``."""
    lsb = {f.name: f.lsb for f in register("ext_error").fields}
    bits = 0
    for error in errors:
        bits |= 1 << lsb[error.bit]
    return bits


def _geometry(d: Descriptor) -> list[LayerError]:
    reasons = []
    for name, group, width in (("coef_group", d.coef_group, d.i_row_wid), ("wb_group", d.wb_group, d.o_row_wid)):
        if group not in (1, 2, 4):
            reasons.append(f"{name} is {group}, not 1, 2 or 4")
        elif group > 1 and width > ROW_BYTES // group:
            reasons.append(f"a map {width} wide does not fit the {ROW_BYTES // group}-byte slots of {name} {group}")
    stride = d.pool[1]
    size = (-(-d.i_col_high // 2), -(-d.i_row_wid // 2)) if d.first_stride else (
        d.i_col_high // stride, d.i_row_wid // stride)
    if size != (d.o_col_high, d.o_row_wid):
        reasons.append(f"the output is {d.o_row_wid}x{d.o_col_high} where input and pool give {size[1]}x{size[0]}")
    if d.o_col_high > 1 and d.wb_row_switch_addr <= (d.o_row_wid - 1) // ROW_BYTES:
        reasons.append(f"wb_row_switch_addr {d.wb_row_switch_addr} makes output lines overlap")
    if d.o_ch_num > d.wb_group and d.wb_channel_switch_addr <= (
            (d.o_col_high - 1) * d.wb_row_switch_addr + (d.o_row_wid - 1) // ROW_BYTES):
        reasons.append(f"wb_channel_switch_addr {d.wb_channel_switch_addr} makes output channels overlap")
    return [LayerError("bad_geometry", reason) for reason in reasons]


def _loads(d: Descriptor, config: KpuConfig, eight_bit: bool) -> list[LayerError]:
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


def _ranges(d: Descriptor, config: KpuConfig) -> list[LayerError]:
    rows = config.airam_bytes // ROW_BYTES
    channels = d.o_ch_num if d.depthwise or d.bypass_conv else d.i_ch_num
    maps = (
        ("input", d.image_src_addr, channels, d.coef_group, d.channel_switch_addr, d.i_col_high, d.row_switch_addr,
         d.i_row_wid),
        ("output", d.image_dst_addr, d.o_ch_num, d.wb_group, d.wb_channel_switch_addr, d.o_col_high,
         d.wb_row_switch_addr, d.o_row_wid))
    errors = []
    for name, base, count, group, group_step, height, row_step, width in maps:
        last = base + (count - 1) // max(group, 1) * group_step + (height - 1) * row_step + (width - 1) // ROW_BYTES
        if last >= rows:
            errors.append(LayerError("airam_range", f"the {name} map ends at row {last}, the AI RAM has {rows} rows"))
    return errors
