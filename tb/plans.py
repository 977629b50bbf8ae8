# SPDX-License-Identifier: Apache-2.0
"""Plans as the bus of bits that kpu_decode gives to the units of the data path."""

from __future__ import annotations

from openkpu.hw.signals import PLAN
from openkpu.schedule.plan import Plan

PLAN_BITS = PLAN.width
unpack, pack = PLAN.unpack, PLAN.pack


def fields(p: Plan) -> dict[str, int]:
    """The fields of a plan as its bus names them."""
    d = p.descriptor
    result = {
        "DWFAST": p.dwfast, "SINGLE": p.single, "K3": p.k3, "BYPASS": d.bypass_conv, "WIDE": p.wide, "W": p.width,
        "H": p.height, "OW": d.o_row_wid, "OH": d.o_col_high, "IC": d.i_ch_num, "OC": d.o_ch_num, "LGS": p.lgs,
        "LGC": p.lgc, "OVERLAP": p.overlap, "LGI": p.lgi, "LGO": p.lgo, "LGP": p.lgp, "LGSW": p.lgsw, "TR": p.rows,
        "TR_LAST": p.last_rows, "NG": p.passes, "GP": p.piece, "KEEP": p.keep, "REPS": p.repetitions,
        "SRC": d.image_src_addr, "DST": d.image_dst_addr, "PAD": d.pad_value, "DECIM": d.first_stride,
        "CHSW": d.channel_switch_addr, "ROWSW": d.row_switch_addr, "OCHSW": d.wb_channel_switch_addr,
        "OROWSW": d.wb_row_switch_addr, "INT_EN": d.int_en, "FULL_ADD": d.full_add, "SEND": d.send_data_out,
        "SHR_W": d.shr_w, "SHR_X": d.shr_x, "LOAD_BN": d.load_para, "LOAD_ACT": d.load_act, "LOAD_W": d.load_coor,
        "BN_ADDR": d.bwsx_base_addr, "ACT_ADDR": d.active_addr, "W_ADDR": d.para_start_addr,
        "POOL": 0 if d.first_stride or d.pool_type > 9 else d.pool_type, "BURST": d.dma_burst_size - 1,
        "LOAD_SIZE": d.para_size, "LOAD_NCH": d.o_ch_num_coef, "CH_BYTES": p.channel_bytes}
    if d.bypass_conv:
        result |= {"ARG_W": 0, "ARG_X": 0, "ADDC": 0}
    else:
        channels = 1 if d.depthwise else d.i_ch_num
        result |= {"ARG_W": d.arg_w & 0xFFFFFF, "ARG_X": d.arg_x & 0xFFFFFF,
                   "ADDC": d.arg_add * channels & (1 << 36) - 1}
    return {name: int(value) for name, value in result.items()}
