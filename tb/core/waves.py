# SPDX-License-Identifier: Apache-2.0
"""Records what kpu_core does in every cycle of one small layer; ``tools/waves.py`` runs it and draws the figures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from openkpu.golden.layers import Layer, make_descriptor
from openkpu.golden.parameters import BN_FIELDS, pack_activation, pack_fields
from tb.core.test_core import CORE, Bench

SHAPE, OUTPUTS = (2, 4, 7), 16  # input channels, lines and columns; output channels
PIXEL, CHANNEL = (1, 3), 5      # the output pixel (line, column) and the output channel that the page follows

SIGNALS = """
desc_valid desc_ready plan_valid plan_taken layer_start layer_done active irq drained
job_valid job_ready m_axi_arvalid m_axi_arready m_axi_araddr m_axi_rvalid m_axi_rready
act_we bn_we sw_we entry_valid entry_ready w_valid w_seg w_pe set_loaded set_freed
pass_push block_push ff_rd_valid ff_rd_ready ff_rd_row ram_rvalid token_valid token_ready row_valid row_ready
set_valid take q set_done a_valid a_addr a_first a_ends block_late block_done bank_freed
p_we params_valid d_re d_phase d_addr n_pos n_line_end post_en r_valid r_pos r_line_end
ram_wr_valid ram_wr_row ram_wr_be
""".split()


def layer() -> Layer:
    """A 3x3 layer whose results are the rounded means of its windows, times a weight per channel."""
    descriptor = make_descriptor(SHAPE, OUTPUTS, kernel_type=1)
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 200, OUTPUTS * SHAPE[0] * 9, np.uint8)
    bn = pack_fields(BN_FIELDS, norm_mul=np.full(OUTPUTS, 1 << 8), norm_add=np.zeros(OUTPUTS),
                     norm_shift=np.full(OUTPUTS, 8))
    x_start = np.array([-(1 << 35), *range(15)])
    act = pack_activation(x_start, np.full(16, 1), np.full(16, 11), np.zeros(16))
    return Layer("waves", descriptor, True, weights, bn, act, rng.integers(0, 256, SHAPE, np.uint8))


@cocotb.test()
async def record(dut):
    """One layer after reset; cycle 0 is the one in which the registers offer it to the decoder."""
    b = Bench(dut, 0)
    await b.reset()
    source = layer()
    b.ram[:] = 0
    image = source.airam(len(b.ram))
    b.ram[: len(image)] = image
    await b.fill()
    b.place(source)
    expected = b.golden(source)
    await b.regs.write("eight_bit_mode", 1)
    handles = {name: getattr(dut, name) for name in SIGNALS}
    for s in range(CORE.SEGS):
        unit = dut.array.seg[s].u
        handles |= {f"seg{s}_a_valid": unit.a_valid, f"seg{s}_b_valid": unit.b_valid, f"seg{s}_move": unit.move}
    samples: dict[str, list] = {name: [] for name in handles}

    async def sample():
        while dut.desc_valid.value != 1:
            await FallingEdge(dut.clk)
        while True:
            for name, handle in handles.items():
                value = handle.value
                samples[name].append(int(value) if value.is_resolvable else None)
            await FallingEdge(dut.clk)

    task = cocotb.start_soon(sample())
    await b.push(source)
    await b.interrupt()
    for _ in range(3):
        await FallingEdge(dut.clk)
    task.cancel()
    assert not expected
    await b.check_ram("the recorded layer")
    Path(os.environ["KPU_WAVES"]).write_text(json.dumps(samples))
