# SPDX-License-Identifier: Apache-2.0
"""Real models with the AI RAM behind a cache: cycles, frames per second, traffic of the cache.

Usage: python bench/cached.py [--config NAME] [--all] [--stalls PERCENT] [MODEL ...]; NAME is a configuration with a
cache ("board"), MODEL a file, by default the demo's model and the detectors that are in $OPENKPU_SHARED/kmodels or
../shared/kmodels, with --all every model there. The memory behind the cache moves 200 MB/s at 60 MHz after a latency
of 12 cycles; with --stalls every bus channel stalls at random on top. Every result is compared with the functional
back end; ends with code 1 if one differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from inputs import MODELS, demo_and_found, random_inputs

from openkpu.devices.functional import FunctionalDevice
from openkpu.devices.native import NativeDevice
from openkpu.errors import OpenKPUError
from openkpu.hw.configs import CORES
from openkpu.hw.fields import REGS_BASE, register
from openkpu.kmodel import load
from openkpu.runtime import Session

CLOCK = 60e6
MORE = ("v3_yolo_face_detect", "v3_facedetect", "v3_yolo20")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--config", default="board", choices=[name for name, core in CORES.items() if core.CACHE_LINES])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--stalls", type=int, default=0, metavar="PERCENT")
    options = parser.parse_args(arguments)
    config = CORES[options.config].config(options.config)
    found = [path.stem for path in sorted(MODELS.glob("*.kmodel"))] if options.all else MORE
    files = options.models or demo_and_found(found)
    print(f"{'model':24} {'cycles':>9} {'fps':>6} {'reads':>9} {'misses':>8} {'evictions':>9} {'waits':>9}")
    different = 0
    for file in files:
        model = load(file)
        inputs = random_inputs(model)
        device = NativeDevice(config, stall_percent=options.stalls)
        session = Session(model, device)
        outputs = session.run(inputs)
        counts = [device.read64(REGS_BASE + register(f"ext_cache_{kind}").offset)
                  for kind in ("reads", "misses", "evictions", "wait")]
        device.close()
        expected = Session(model, FunctionalDevice(config)).run(inputs)
        equal = all(np.array_equal(a, b) for a, b in zip(outputs, expected, strict=True))
        different += not equal
        cycles = session.cycles or 0  # no KPU layer, no cycles
        print(f"{file.stem:24} {cycles:9} {CLOCK / cycles if cycles else 0:6.1f} {counts[0]:9} {counts[1]:8} "
              f"{counts[2]:9} {counts[3]:9} {'' if equal else 'DIFFERENT'}", flush=True)
    return int(different > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OpenKPUError as error:
        sys.exit(str(error))
