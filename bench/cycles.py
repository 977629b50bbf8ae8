"""Clock cycles of the real models' KPU layers in the RTL, configuration "full", beside target, model and the chip.

Usage: python bench/cycles.py [--predict] [MODEL ...]; MODEL is a file, by default the demo's model and every model with
a target that is in $OPENKPU_SHARED/kmodels or ../shared/kmodels. --predict prints the cycle model's figures only,
without a simulator. The input is in the AI RAM already, parameters come at 8 bytes per cycle after a latency of 20
cycles, layers are queued as the driver queues them. Ends with code 1 if a target is missed.

Columns: cycles counted by the core and predicted by the model, the project's target and aim, MACs that the outputs
depend on / 576, that over the cycles, and what the real chip takes by its measured formula (in brackets: how many times
as long).
"""

from __future__ import annotations

import sys
from pathlib import Path

from inputs import demo_and_found, random_inputs

from openkpu.cli.profile import predict
from openkpu.devices.native import NativeDevice
from openkpu.errors import OpenKPUError
from openkpu.hw.configs import CORES
from openkpu.kmodel import Model, load
from openkpu.runtime import Session
from openkpu.schedule.chip import chip_cycles
from openkpu.schedule.plan import effective_macs

CORE = CORES["full"]
PES = 576
# model: (target, aim)
TARGETS = {
    "v3_facedetect": (446_000, 392_000), "v3_yolo_face_detect": (150_000, 125_000), "v3_yolo20": (328_000, 307_000),
    "v3_mask": (880_000, 850_000), "v3_ld5": (216_000, 205_000), "v4_face_detect_320x240": (150_000, 125_000),
    "v5_yolox_nano_224": (400_000, 350_000)}


def count(model: Model) -> int:
    """Cycles of one run on the RTL, summed over the KPU layers."""
    device = NativeDevice(CORE.config("full"))
    session = Session(model, device)
    session.run(random_inputs(model))
    device.close()
    return session.cycles


def main(arguments: list[str]) -> int:
    only_predict = "--predict" in arguments
    paths = [Path(a) for a in arguments if a != "--predict"] or demo_and_found(TARGETS)
    print(f"{'model':24} {'counted':>9} {'model':>9} {'target':>9} {'aim':>9} {'ideal':>9} {'array':>6} {'chip':>17}")
    missed = 0
    for path in paths:
        name, model = path.stem, load(path)
        predicted = sum(layer.total for layer in predict(model, CORE))
        counted = None if only_predict else count(model)
        cycles = counted or predicted
        target, aim = TARGETS.get(name, (None, None))
        ideal = sum(effective_macs(layer.descriptor) for layer in model.kpu_layers) / PES
        chip = sum(chip_cycles(layer.descriptor, layer.eight_bit) for layer in model.kpu_layers)
        missed += bool(target and cycles > target)
        verdict = "" if not target else "missed" if cycles > target else "aim reached" if cycles <= aim else "reached"
        print(f"{name:24} {counted or '-':>9} {predicted:9} {target or '-':>9} {aim or '-':>9} {ideal:9.0f} "
              f"{ideal / cycles:6.1%} {chip:9.0f} ({chip / cycles:4.1f}x) {verdict}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OpenKPUError as error:
        sys.exit(str(error))
