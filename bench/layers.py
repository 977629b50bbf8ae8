# SPDX-License-Identifier: Apache-2.0
"""Clock cycles of single small layers in the RTL, configuration "full": cold, and queued behind others of their kind.

Usage: python bench/layers.py [--write]; --write puts the table into docs/performance.md.

Columns: cycles of the first layer, whose parameters and plan nothing hides, and of the last of six that are queued
together, both counted by the core; the target for a queued one; the bound of bench/cycles.py. Parameters come at 8
bytes per cycle after 20 cycles.
"""

from __future__ import annotations

import re
import sys

import numpy as np
from cycles import bound
from inputs import ROOT

from openkpu.devices.native import NativeDevice
from openkpu.drivers.kpu import ALL_INTERRUPTS, CLEAR, ONLY_CALC_DONE
from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import Descriptor, replace
from openkpu.hw.fields import EXT_LOG_BASE, EXT_LOG_STRIDE, REGS_BASE, SRAM_BASE, register

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- written by bench/layers.py -->", "<!-- end -->"
COPIES = 6
# name: ((input shape, output channels, descriptor fields), most cycles)
LAYERS = {
    "3x3, 32 -> 32, 6x6": (((32, 6, 6), 32, {"kernel_type": 1}), 494),
    "1x1, 64 -> 64, 4x4": (((64, 4, 4), 64, {}), 441),
    "1x1, 32 -> 32, 8x8": (((32, 8, 8), 32, {}), 275),
    "depthwise 3x3, 64, 6x6": (((64, 6, 6), 64, {"kernel_type": 1, "depth_wise_layer": 1}), 330)}


def count(device: NativeDevice, d: Descriptor) -> list[int]:
    """Cycles of ``COPIES`` layers that are queued together."""
    for name, value in (("ext_control", CLEAR), ("interrupt_clear", ALL_INTERRUPTS), ("interrupt_mask", ONLY_CALC_DONE),
                        ("eight_bit_mode", 1)):
        device.write64(REGS_BASE + register(name).offset, value)
    for number in range(COPIES):
        for word in replace(d, int_en=int(number + 1 == COPIES), send_data_out=0).pack():
            device.write64(REGS_BASE + register("layer_argument_fifo").offset, word)
    device.wait_interrupt(1_000_000)
    return [device.read64(REGS_BASE + EXT_LOG_BASE + number * EXT_LOG_STRIDE) & 0xFFFF_FFFF for number in range(COPIES)]


def main(arguments: list[str]) -> int:
    device = NativeDevice(CORES["full"].config("full"))
    device.write_memory(SRAM_BASE, np.random.default_rng(3).bytes(1 << 20))
    lines = ["| layer | cold | queued | target | bound |", "|---|---|---|---|---|"]
    for name, ((shape, channels, fields), target) in LAYERS.items():
        d = make_descriptor(shape, channels, **fields)
        first, *_, last = count(device, d)
        lines.append(f"| {name} | {first} | {last} | {target} | {bound(d):.0f} |")
    device.close()
    print("\n".join(lines))
    if "--write" in arguments:
        table = "\n".join([BEGIN, *lines, END])
        PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: table, PAGE.read_text(), flags=re.DOTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
