# SPDX-License-Identifier: Apache-2.0
"""Seconds per frame and peak memory of the functional back end on one core.

Usage: python bench/functional.py [MODEL.kmodel ...]; without arguments the demo's and, where they are
found, the three models of the project's targets.
Every model runs in a process of its own, so that the peak memory is its own.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import resource
import subprocess
import sys
import time
from pathlib import Path

from inputs import demo_and_found, random_inputs

from openkpu.devices.backends import open_device
from openkpu.kmodel import load
from openkpu.runtime import Session

FRAMES = 5
# seconds per frame: the project's limit, and the vendor's C++ simulator on the same machine
TARGETS = {"v3_facedetect": (0.8, 0.26), "v3_yolo20": (0.7, 0.28), "v3_mask": (1.2, 0.64)}


def measure(path: Path) -> str:
    """One line of the table. The best frame counts: others only show what else the machine does."""
    begin = time.perf_counter()
    model = load(path)
    loaded = time.perf_counter() - begin
    inputs = random_inputs(model)
    session = Session(model, open_device("functional"))
    seconds = []
    for _ in range(FRAMES):
        begin = time.perf_counter()
        session.run(inputs)
        seconds.append(time.perf_counter() - begin)
    macs = sum(layer.descriptor.macs * layer.batches for layer in model.kpu_layers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    limit = "limit {} s, vendor's simulator {} s".format(*TARGETS[path.stem]) if path.stem in TARGETS else ""
    return (f"{path.stem:24} {macs / 1e6:8.1f} M MAC  load {loaded:5.2f} s  frame {min(seconds):5.2f} s "
            f"(worst {max(seconds):5.2f})  peak {peak:4.0f} MB  {limit}")


def main() -> int:
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        print(measure(Path(sys.argv[2])), flush=True)
        return 0
    paths = [Path(a) for a in sys.argv[1:]] or demo_and_found(TARGETS)
    return max(subprocess.run([sys.executable, __file__, "--one", str(p)], check=False).returncode for p in paths)


if __name__ == "__main__":
    sys.exit(main())
