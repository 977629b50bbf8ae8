"""Cycles per frame of a model in SRAM and streamed from flash: ``make bench-flash``.

Every figure is counted by the simulated SoC at the chip's clock ratio (KPU 400 MHz, SPI 80 MHz). Results are compared
with those from SRAM, bit for bit. For each layer the report says what limits it when the next batch is fetched while
the KPU computes: its own computing, or the flash.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from openkpu.cli.options import print_table
from openkpu.devices.flash_driver import CHIP_CLOCK_HZ, MAX_SPI_HZ, FlashDriver
from openkpu.devices.soc import SocDevice, soc_config
from openkpu.errors import OpenKPUError
from openkpu.kmodel import load
from openkpu.kmodel.model import Model
from openkpu.runtime import Session
from openkpu.runtime.streaming import FlashSession

SHARED = Path(__file__).resolve().parents[2] / "shared"
ADDRESS = 0x300000


class Layers:
    """Hook that notes the cycles of every KPU layer."""

    def __init__(self):
        self.cycles: dict[int, int] = {}

    def layer_started(self, layer) -> None:
        pass

    def layer_done(self, result, output) -> None:
        if result.where == "kpu":
            self.cycles[result.index] = self.cycles.get(result.index, 0) + result.cycles


def random_inputs(model: Model) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.random(spec.shape) * 255).astype(spec.dtype) for spec in model.inputs]


def bench(path: Path, core: str, sram: int, batch: int, lanes: list[int]) -> dict:
    """All figures of one model."""
    model = load(path)
    inputs = random_inputs(model)
    device = SocDevice(soc_config(core, sram))
    device.flash_write(ADDRESS, model.image)
    weights = {layer.index: layer.weights.nbytes for layer in model.kpu_layers}
    layers = Layers()
    report: dict = {"model": str(path), "core": core, "sram_bytes": sram, "batch_size": batch, "runs": []}
    expected = None
    try:
        session = Session(model, device)
        expected = session.run(inputs, [layers])
        report["layers"] = layers.cycles
        session.run(inputs)
        report["runs"].append({"mode": "SRAM", "lanes": 0, "cycles": session.cycles})
    except OpenKPUError as error:
        print(f"{path.name} cannot run from SRAM: {error}", file=sys.stderr)
    for lane in lanes:
        flash = FlashDriver(device, lanes=lane)
        transfer = sum(weights.values()) * flash.cycles_per_byte
        for dual in (False, True):
            session = FlashSession(model, device, flash, ADDRESS, dual=dual, batch_size=batch if dual else 0)
            outputs = session.run(inputs)
            expected = expected or outputs
            if not all(np.array_equal(a, b) for a, b in zip(outputs, expected, strict=True)):
                raise SystemExit(f"{path.name}: results from flash differ (lanes {lane}, dual {dual})")
            report["runs"].append({
                "mode": "two buffers" if dual else "one buffer", "lanes": lane, "cycles": session.cycles,
                "transfer": transfer, "limits": {index: "flash" if size * flash.cycles_per_byte > layers.cycles[index]
                                                 else "KPU" for index, size in weights.items()}
                if layers.cycles else {}})
            print(f"x{lane} {'two buffers' if dual else 'one buffer'}: {session.cycles} cycles", file=sys.stderr)
    device.close()
    return report


def show(report: dict) -> None:
    compute = next((run["cycles"] for run in report["runs"] if run["mode"] == "SRAM"), None)
    rows = []
    for run in report["runs"]:
        bound = max(compute or 0, run.get("transfer", 0))
        flash_bound = sum(limit == "flash" for limit in run.get("limits", {}).values())
        rows.append((run["mode"], f"x{run['lanes']}" if run["lanes"] else "", f"{run['cycles']:,}",
                     f"{run['cycles'] / CHIP_CLOCK_HZ * 1e3:.2f}", f"{run['transfer']:,}" if "transfer" in run else "",
                     f"{run['cycles'] / bound:.3f}" if bound else "",
                     f"{flash_bound} of {len(run['limits'])}" if run.get("limits") else ""))
    print(f"{Path(report['model']).name}, core {report['core']}, {report['sram_bytes'] >> 10} KiB SRAM, batches of "
          f"{report['batch_size']} bytes, KPU {CHIP_CLOCK_HZ // 10**6} MHz, SPI {MAX_SPI_HZ // 10**6} MHz")
    print_table(("weights from", "SPI", "cycles", "ms", "transfer", "to max", "layers limited by flash"), rows,
                right=("cycles", "ms", "transfer", "to max"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHARED / "kmodels" / "v3_facedetect.kmodel")
    parser.add_argument("--core", default="full")
    parser.add_argument("--sram", type=int, default=6 << 20, help="bytes of SRAM")
    parser.add_argument("--batch", type=lambda text: int(text, 0), default=0xC000, help="bytes of a batch")
    parser.add_argument("--lanes", type=int, nargs="+", default=[4, 2, 1])
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    if not options.model.is_file():
        raise SystemExit(f"{options.model} is not there; give another model with --model")
    report = bench(options.model, options.core, options.sram, options.batch, options.lanes)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
