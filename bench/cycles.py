# SPDX-License-Identifier: Apache-2.0
"""Clock cycles of the real models' KPU layers in the RTL, configuration "full", beside target, model and the chip.

Usage: python bench/cycles.py [--predict] [MODEL ...]; MODEL is a file, by default the demo's model and every model with
a target that is in $OPENKPU_SHARED/kmodels or ../shared/kmodels. --predict prints the cycle model's figures only,
without a simulator. The input is in the AI RAM already, parameters come at 8 bytes per cycle after a latency of 20
cycles, layers are queued as the driver queues them. Ends with code 1 if a target is missed.

Columns: cycles counted by the core and predicted by the model, the project's target and aim; MACs that the outputs
depend on / 576, that over the cycles, and all MACs over the cycles; the bound, which is per layer the largest of those
MACs / 576, parameter bytes / 8, and AI-RAM rows of a map, and that over the cycles; what the real chip takes by its
measured formula (in brackets: how many times as long).
"""

from __future__ import annotations

import sys
from pathlib import Path

from inputs import demo_and_found, random_inputs

from openkpu.devices.native import NativeDevice
from openkpu.errors import OpenKPUError
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import Descriptor
from openkpu.hw.fields import ACT_TABLE_BYTES
from openkpu.kmodel import Model, load
from openkpu.profiling.layers import predict
from openkpu.runtime import Session
from openkpu.schedule.chip import chip_cycles
from openkpu.schedule.plan import effective_macs

CORE = CORES["full"]
PES = 576
# model: (target, aim)
TARGETS = {
    "v3_facedetect": (391_000, 387_000), "v3_yolo_face_detect": (94_000, 88_000), "v3_yolo20": (313_000, 306_000),
    "v3_mask": (846_000, 840_500), "v3_ld5": (216_000, 205_000), "v4_face_detect_320x240": (94_000, 88_000),
    "v4_RFB-320": (246_000, 233_000), "v4_mb-0.25": (94_000, 87_000), "v5_rand_fullconv_128": (92_000, 90_400),
    "v5_rand_yolo_mb_320x240": (246_000, 240_500), "v5_ulffd_landmark": (288_000, 280_000),
    "v5_yolox_nano_224": (351_000, 321_500)}


def count(model: Model) -> int:
    """Cycles of one run on the RTL, summed over the KPU layers."""
    device = NativeDevice(CORE.config("full"))
    session = Session(model, device)
    session.run(random_inputs(model))
    device.close()
    return session.cycles


def bound(d: Descriptor, eight_bit: bool = True) -> float:
    """Cycles that no engine with 576 multipliers, an 8-byte parameter bus and these memories can be below."""
    parameters = (0 if d.bypass_conv else d.weight_bytes(eight_bit)) + 8 * d.o_ch_num + ACT_TABLE_BYTES
    return max(effective_macs(d) / PES, parameters / 8, d.in_layout.rows, d.out_layout.rows)


def main(arguments: list[str]) -> int:
    only_predict = "--predict" in arguments
    paths = [Path(a) for a in arguments if a != "--predict"] or demo_and_found(TARGETS)
    print(f"{'model':24} {'counted':>8} {'model':>8} {'target':>8} {'aim':>8} {'ideal':>8} {'array':>6} {'nominal':>7} "
          f"{'bound':>8} {'of it':>6} {'chip':>16}")
    missed = 0
    for path in paths:
        name, model = path.stem, load(path)
        predicted = sum(layer.total for layer in predict(model, CORE))
        counted = None if only_predict else count(model)
        cycles = counted or predicted
        target, aim = TARGETS.get(name, (None, None))
        ideal = sum(effective_macs(layer.descriptor) for layer in model.kpu_layers) / PES
        chip = sum(chip_cycles(layer.descriptor, layer.eight_bit) for layer in model.kpu_layers)
        nominal = sum(layer.descriptor.macs for layer in model.kpu_layers) / PES
        least = sum(bound(layer.descriptor, layer.eight_bit) for layer in model.kpu_layers)
        missed += bool(target and cycles > target)
        verdict = "" if not target else "missed" if cycles > target else "aim reached" if cycles <= aim else "reached"
        print(f"{name:24} {counted or '-':>8} {predicted:8} {target or '-':>8} {aim or '-':>8} {ideal:8.0f} "
              f"{ideal / cycles:6.1%} {nominal / cycles:7.1%} {least:8.0f} {least / cycles:6.1%} "
              f"{chip:8.0f} ({chip / cycles:4.1f}x) {verdict}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OpenKPUError as error:
        sys.exit(str(error))
