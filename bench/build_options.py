# SPDX-License-Identifier: Apache-2.0
"""What the simulator's build options cost and bring: seconds to build, clock cycles per second of wall-clock time.

Usage: python bench/build_options.py; needs an otherwise idle machine and some minutes for every variant. The libraries
stay in the cache, so that a second run measures only their speed.
"""

from __future__ import annotations

import sys
import time

from inputs import DEMO, random_inputs
from simulation import RUNS

from openkpu.devices import build
from openkpu.devices.native import NativeDevice
from openkpu.errors import OpenKPUError
from openkpu.hw.configs import CORES
from openkpu.kmodel import load
from openkpu.runtime import Session

# Level of the C++ compiler, further options of Verilator.
VARIANTS = [("-O3", []), ("-O2", []), ("-O1", []), ("-Os", []), ("-O3 -march=native", []), ("-O3", ["--threads", "2"])]


def speed() -> float:
    """Cycles per second of the best of some runs of the demo's detector."""
    device = NativeDevice()
    session = Session(load(DEMO / "shapes.kmodel"), device)
    inputs = random_inputs(session.model)
    best = 0.0
    for _ in range(RUNS):
        cycles, begin = device.cycles, time.perf_counter()
        session.run(inputs)
        best = max(best, (device.cycles - cycles) / (time.perf_counter() - begin))
    device.close()
    return best


def main() -> None:
    """Print a line for every variant."""
    standard = build.VERILATE
    for optimise, verilate in VARIANTS:
        build.OPTIMISE, build.VERILATE = optimise, [*standard, *verilate]
        begin = time.perf_counter()
        build.library(CORES["full"])
        built = time.perf_counter() - begin
        print(f"{' '.join([optimise, *verilate]):24} built in {built:5.0f} s (0: was in the cache), "
              f"{speed():9,.0f} cycles/s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except OpenKPUError as error:
        sys.exit(str(error))
