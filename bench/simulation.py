# SPDX-License-Identifier: Apache-2.0
"""Speed of the native RTL simulation in clock cycles per second of one core.

Usage: python bench/simulation.py [MODEL]; by default the demo's detector. Configuration "full", one thread, random
pixels. Seconds are those that the process had a core, so that other programs on the machine count less.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from inputs import DEMO, random_inputs

from openkpu.devices.native import NativeDevice
from openkpu.errors import OpenKPUError
from openkpu.kmodel import load
from openkpu.runtime import Session

RUNS = 5
TARGET = 200_000


def main(arguments: list[str]) -> int:
    """Print the speed of every run, and the best beside the project's target on its own machine."""
    model = load(Path(arguments[0]) if arguments else DEMO / "shapes.kmodel")
    begin = time.perf_counter()
    device = NativeDevice()
    opened = time.perf_counter() - begin
    session = Session(model, device)
    inputs = random_inputs(model)
    best = 0.0
    print(f"{model.source}: opened in {opened:.1f} s (built now if it was not in the cache)")
    for _ in range(RUNS):
        before, cpu, wall = device.cycles, time.process_time(), time.perf_counter()
        session.run(inputs)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        cycles = device.cycles - before
        best = max(best, cycles / cpu)
        print(f"{cycles:,} cycles, {session.cycles:,} of them in KPU layers: {cpu:.2f} s of a core, {wall:.2f} s: "
              f"{cycles / cpu:,.0f} cycles/s")
    device.close()
    print(f"best: {best:,.0f} cycles/s on one core; target {TARGET:,}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OpenKPUError as error:
        sys.exit(str(error))
