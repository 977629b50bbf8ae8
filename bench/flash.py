# SPDX-License-Identifier: Apache-2.0
"""Cycles per frame of a model in SRAM and streamed from flash: ``make bench-flash``.

Every figure is counted by the simulated SoC at the chip's clock ratio (KPU 400 MHz, SPI 80 MHz). Results are compared
with those of the functional back end, bit for bit. For each layer the report says what limits it when the next batch
is fetched while the KPU computes: its own computing, or the flash. Ends with code 1 if two buffers cost more than 10 %
above max(computing, flash transfer).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from inputs import DEMO, MODELS, random_inputs

from openkpu.cli.options import print_table, show_shape
from openkpu.devices.functional import FunctionalDevice
from openkpu.devices.soc import SocDevice, soc_config
from openkpu.drivers.flash import CHIP_CLOCK_HZ, MAX_SPI_HZ, FlashDriver
from openkpu.errors import OpenKPUError
from openkpu.kmodel import load
from openkpu.runtime import Session
from openkpu.runtime.streaming import FlashSession

DETECTOR = MODELS / "v3_facedetect.kmodel"
ADDRESS = 0x300000
TOLERANCE = 1.10


class Layers:
    """Hook that notes the cycles of every KPU layer."""

    def __init__(self):
        self.cycles: dict[int, int] = {}

    def layer_started(self, layer) -> None:
        pass

    def layer_done(self, result, output) -> None:
        if result.where == "kpu":
            self.cycles[result.index] = self.cycles.get(result.index, 0) + result.cycles


class Bench:
    """One model on one SoC; ``report`` holds all figures."""

    def __init__(self, path: Path, core: str, sram: int, batch: int):
        self.model = load(path)
        self.inputs = random_inputs(self.model)
        self.expected = Session(self.model, FunctionalDevice()).run(self.inputs)
        self.device = SocDevice(soc_config(core, sram))
        self.device.flash_write(ADDRESS, self.model.image)
        self.batch = batch
        self.report: dict = {"model": path.name, "core": core, "sram_bytes": sram, "batch_size": batch, "runs": []}

    def run(self, session: Session, mode: str, **facts) -> None:
        """Count one frame: the KPU's part, and all of it with the upload of the input and the results."""
        before = self.device.cycles
        outputs = session.run(self.inputs)
        if not all(np.array_equal(a, b) for a, b in zip(outputs, self.expected, strict=True)):
            raise SystemExit(f"{self.model.source}: the results with weights from {mode} {facts} are wrong")
        frame = self.device.cycles - before
        self.report["runs"].append({"mode": mode, "cycles": session.cycles, "frame": frame, **facts})
        print(f"{mode} {facts}: {session.cycles} cycles", file=sys.stderr, flush=True)

    def from_sram(self) -> None:
        """Cycles of every layer and of the whole model; a message if it does not fit."""
        layers = Layers()
        try:
            session = Session(self.model, self.device)
        except OpenKPUError as error:
            print(f"{self.model.source} does not run from SRAM: {error}", file=sys.stderr)
            return
        session.run(self.inputs, [layers])
        self.report["layers"] = [
            {"index": layer.index, "in": layer.descriptor.in_shape, "out": layer.descriptor.out_shape,
             "bytes": layer.weights.nbytes, "cycles": layers.cycles[layer.index]} for layer in self.model.kpu_layers]
        self.run(session, "SRAM")

    def from_flash(self, lanes: int) -> None:
        """Both buffer modes on so many data lanes."""
        flash = FlashDriver(self.device, lanes=lanes)
        transfer = sum(layer.weights.nbytes for layer in self.model.kpu_layers) * flash.cycles_per_byte
        for mode, dual, batch in (("one buffer", False, 0), ("two buffers", True, self.batch)):
            session = FlashSession(self.model, self.device, flash, ADDRESS, dual=dual, batch_size=batch)
            self.run(session, mode, lanes=lanes, transfer=transfer, cycles_per_byte=flash.cycles_per_byte)


def show(report: dict) -> bool:
    """Print the report; whether two buffers are within the tolerance everywhere."""
    compute = next((run["cycles"] for run in report["runs"] if run["mode"] == "SRAM"), 0)
    rows, good = [], True
    for run in report["runs"]:
        streamed = "transfer" in run
        bound = max(compute, run.get("transfer", 0))
        if run["mode"] == "two buffers":
            good &= run["cycles"] <= TOLERANCE * bound
        rows.append((run["mode"], f"x{run['lanes']}" if streamed else "", f"{run['cycles']:,}",
                     f"{run['cycles'] / CHIP_CLOCK_HZ * 1e3:.2f}", f"{run['transfer']:,}" if streamed else "",
                     f"{run['cycles'] / bound:.3f}" if streamed else "", f"{run['frame']:,}"))
    print(f"{report['model']}, core {report['core']}, {report['sram_bytes'] >> 10} KiB SRAM, batches of "
          f"{report['batch_size']} bytes, KPU {CHIP_CLOCK_HZ // 10**6} MHz, SPI {MAX_SPI_HZ // 10**6} MHz\n")
    print_table(("weights from", "SPI", "cycles", "ms", "transfer", "to max", "with upload and results"), rows,
                right=("cycles", "ms", "transfer", "to max", "with upload and results"))
    if report.get("layers"):
        show_layers(report)
    if not good:
        print(f"two buffers cost more than {TOLERANCE:.0%} of max(computing, transfer)", file=sys.stderr)
    return good


def show_layers(report: dict) -> None:
    """What limits each layer: a line per layer."""
    widths = {run["lanes"]: run["cycles_per_byte"] for run in report["runs"] if "lanes" in run}
    transfers = [f"transfer x{lanes}" for lanes in widths]
    rows = []
    for layer in report["layers"]:
        fetched = [layer["bytes"] * cost for cost in widths.values()]
        limits = [f"x{lanes}" for lanes, cycles in zip(widths, fetched, strict=True) if cycles > layer["cycles"]]
        limit = "KPU" if not limits else "flash" if len(limits) == len(widths) else f"flash on {', '.join(limits)}"
        rows.append((str(layer["index"]), show_shape(layer["in"]), show_shape(layer["out"]), f"{layer['bytes']:,}",
                     f"{layer['cycles']:,}", *(f"{cycles:,}" for cycles in fetched), limit))
    print()
    print_table(("layer", "in", "out", "weight bytes", "computing", *transfers, "limited by"), rows,
                right=("layer", "weight bytes", "computing", *transfers))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=DETECTOR if DETECTOR.is_file() else DEMO / "shapes_v3.kmodel")
    parser.add_argument("--core", default="full")
    parser.add_argument("--sram", type=int, default=6 << 20, help="bytes of SRAM")
    parser.add_argument("--batch", type=lambda text: int(text, 0), default=0xC000, help="bytes of a batch")
    parser.add_argument("--lanes", type=int, nargs="+", default=[4, 2, 1])
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    if not options.model.is_file():
        raise SystemExit(f"{options.model} is not there; give another model with --model")
    bench = Bench(options.model, options.core, options.sram, options.batch)
    bench.from_sram()
    for lanes in options.lanes:
        bench.from_flash(lanes)
    if options.json:
        options.json.write_text(json.dumps(bench.report, indent=1))
    return int(not show(bench.report))


if __name__ == "__main__":
    sys.exit(main())
