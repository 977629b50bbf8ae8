# SPDX-License-Identifier: Apache-2.0
"""What a KPU layer moves: bytes of parameters, rows of AI RAM."""

from __future__ import annotations

from ..hw.configs import CoreParameters
from ..hw.descriptor import replace
from ..hw.fields import ACT_TABLE_BYTES, SRAM_BASE
from ..kmodel import KpuConv
from ..schedule.cycles import blocks, line_rows
from ..schedule.plan import Plan, plan

BN_BYTES = 8  # per output channel


def traffic(layer: KpuConv, core: CoreParameters) -> dict[str, int]:
    """Of one map of a batch: weight bytes once and as often as they are fetched, table bytes, AI-RAM rows read."""
    d = replace(layer.descriptor, para_start_addr=SRAM_BASE)
    p = plan(d, core, layer.eight_bit)
    weights = 0 if d.bypass_conv else p.channel_bytes * d.o_ch_num
    return {"weight_bytes": weights, "fetched_bytes": weights * (1 if p.keep else p.repetitions),
            "table_bytes": BN_BYTES * d.o_ch_num + ACT_TABLE_BYTES, "rows_read": rows_read(p)}


def rows_read(p: Plan) -> int:
    """AI-RAM rows that the feature fetch asks for, and lines of padding, which take as long."""
    known: dict[tuple[int, ...], int] = {}
    total = 0
    for b in blocks(p):
        for first in range(1 if p.dwfast else p.passes):
            key = (b.row, b.rows, b.column, 0 if p.k3 else first, b.channel if p.single else 0)
            if key not in known:
                known[key] = sum(line_rows(p, b, first))
            total += known[key]
    return total
