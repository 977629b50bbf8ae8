# SPDX-License-Identifier: Apache-2.0
"""Records how weights come from the flash into kpu_soc's array; ``tools/waves.py`` runs it and writes the table."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from openkpu.hw.dma import DmaDescriptor
from openkpu.hw.fields import AIRAM_BASE, FLASH_WINDOW_BASE, ROW_BYTES
from tb.core.test_core import CORE
from tb.core.waves import layer
from tb.soc.test_soc import FIFO, LAYER_BYTES, LAYERS, Bench, begin

CHANNEL = 0  # of the DMA
SLAVES = {"sram": 0, "flash": 3}


@cocotb.test()
async def record(dut):
    """Two DMA steps, weights and descriptor; cycle 0 is the first in which the channel asks for its own descriptor."""
    b: Bench = await begin(dut)
    await b.open_flash()
    one = layer()
    weights = bytes(one.weights)
    b.flash.write(weights)
    at = one.descriptor.para_start_addr
    target = one.descriptor.out_layout
    await b.host.write(AIRAM_BASE, bytes(target.end * ROW_BYTES))
    # Everything but the weights is in place; their place holds something else.
    await b.prepare([replace(one, weights=one.weights ^ 0xFF)])
    await b.kpu.write("interrupt_mask", 6)
    soc = dut.dut
    plain = {name: getattr(soc.core, name) for name in """
        m_axi_arvalid m_axi_arready m_axi_araddr m_axi_rvalid m_axi_rready desc_valid plan_valid layer_start
        entry_valid entry_ready w_valid take layer_done""".split()}
    plain |= {f"seg{s}_move": soc.core.array.seg[s].u.move for s in range(CORE.SEGS)}
    plain |= {"cs_n": dut.cs_n, "irq": dut.irq_kpu}
    channel = {name: getattr(soc, f"dma_{name}") for name in (
        "arvalid", "arready", "rvalid", "rready", "awvalid", "awready", "wvalid", "wready", "bvalid", "bready")}
    samples: dict[str, list] = {name: [] for name in plain} | {f"dma_{name}": [] for name in channel}
    samples |= {"flash_arvalid": [], "flash_arready": [], "flash_rvalid": [], "flash_rready": []}

    def bit(handle, index: int) -> int | None:
        value = handle.value[index]
        return int(value) if str(value) in "01" else None

    async def sample():
        while bit(soc.dma_arvalid, CHANNEL) != 1:
            await FallingEdge(dut.clk)
        while True:
            for name, handle in plain.items():
                samples[name].append(int(handle.value) if handle.value.is_resolvable else None)
            for name, handle in channel.items():
                samples[f"dma_{name}"].append(bit(handle, CHANNEL))
            for name in ("arvalid", "arready", "rvalid", "rready"):
                samples[f"flash_{name}"].append(bit(getattr(soc, f"slave_{name}"), SLAVES["flash"]))
            await FallingEdge(dut.clk)

    task = cocotb.start_soon(sample())
    await b.start([DmaDescriptor.copy(FLASH_WINDOW_BASE, at, len(weights)),
                   DmaDescriptor.copy(LAYERS, FIFO, LAYER_BYTES, dst_fixed=1)])
    while dut.irq_kpu.value != 1:
        await FallingEdge(dut.clk)
    task.cancel()
    assert await b.finish() == {"done"}
    assert await b.kpu.read("ext_error") == 0
    ram = np.frombuffer(await b.peek(AIRAM_BASE, target.end * ROW_BYTES), np.uint8)
    assert np.array_equal(target.gather(ram), one.result.output)
    Path(os.environ["KPU_WAVES"]).write_text(json.dumps(samples))
