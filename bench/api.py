# SPDX-License-Identifier: Apache-2.0
"""What the API costs on top of the simulation: seconds per frame, and the part of it spent inside the device.

Usage: python bench/api.py [--backend rtl] [--frames 5]

A frame is what a detection script does: snapshot, run_yolo2, draw, display. Both times come from the same frames, so
other load on the machine does not favour either. Exit code 1 if the API costs more than 10 % over the simulation (only
checked on the RTL).
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import sys
import time
from pathlib import Path

from PIL import Image

from openkpu.api.board.board import Board, Settings, use_board
from openkpu.api.imaging import lcd, sensor
from openkpu.api.maixpy import kpu
from openkpu.devices.backends import open_device

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo"
LIMIT = 0.10


class TimedDevice:
    """Passes every call on to a device and adds up the time the calls take."""

    def __init__(self, device):
        self._device = device
        self.seconds = 0.0

    def __getattr__(self, name):
        member = getattr(self._device, name)
        if not callable(member):
            return member

        def timed(*arguments, **keywords):
            begin = time.perf_counter()
            try:
                return member(*arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - begin

        setattr(self, name, timed)
        return timed


def measure(backend: str, frames: int) -> tuple[float, float]:
    """(seconds per frame, seconds per frame inside the device) of the best frame."""
    picture = Image.open(DEMO / "pictures" / "heldout_006.png").convert("RGB")
    board = use_board(Board(Settings(camera=lambda _: picture)))
    device = TimedDevice(open_device(backend))
    board._device = device
    anchors = [float(v) for v in (DEMO / "anchors.txt").read_text().split(",")]
    lcd.init()
    sensor.reset()
    sensor.set_framesize(sensor.QVGA)
    net = kpu.load(str(DEMO / "shapes_v3.kmodel"))
    kpu.init_yolo2(net, 0.5, 0.3, len(anchors) // 2, anchors)
    best = (float("inf"), 0.0)
    for number in range(frames + 1):
        begin, device.seconds = time.perf_counter(), 0.0
        img = sensor.snapshot()
        for found in kpu.run_yolo2(net, img) or ():
            img.draw_rectangle(found.rect())
        lcd.display(img)
        if number:  # the first frame places the model
            best = min(best, (time.perf_counter() - begin, device.seconds))
    board.close()
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="rtl")
    parser.add_argument("--frames", type=int, default=5)
    options = parser.parse_args()
    frame, inside = measure(options.backend, options.frames)
    cost = frame / inside - 1
    print(f"{options.backend}: {frame:.3f} s per frame, {inside:.3f} s of it in the device: the API costs {cost:.1%}")
    return int(options.backend == "rtl" and cost > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
