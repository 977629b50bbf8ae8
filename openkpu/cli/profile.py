"""openkpu profile: where the clock cycles go."""

from __future__ import annotations

import csv
import io
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..devices.native import NativeDevice
from ..hw.configs import CORES, CoreParameters, config_named
from ..hw.descriptor import replace
from ..hw.device import KpuConfig
from ..hw.fields import SRAM_BASE
from ..kmodel import KpuConv, KpuDownload, KpuUpload, Layer, Model
from ..kmodel.summary import describe
from ..runtime import LayerResult, Session
from ..schedule.chip import chip_cycles
from ..schedule.cycles import LayerCycles, run
from ..schedule.plan import effective_macs, plan
from .files import write_json, write_whole
from .inputs import prepare_inputs
from .options import FILE, FITS, config_option, model_argument, print_table, say, show_shape
from .progress import ProgressHook

MULTIPLIERS = 9  # of one processing element
BUSY = 0.9  # from this share on the array itself is the limit
WAITS = {"wait_param": "parameters", "wait_feature": "features", "wait_writeback": "write-back"}
COLUMNS = ("layer", "name", "kind", "pool", "in_shape", "out_shape", "macs", "effective_macs", "cycles",
           "macs_per_cycle", "utilisation_percent", "limit", "predicted", "busy", *WAITS, "chip_cycles", "chip_ratio")


class Profiler:
    """Hook that turns the figures of every KPU layer into one row of ``COLUMNS``."""

    def __init__(self, model: Model, config: KpuConfig):
        self.rows: list[dict[str, Any]] = []
        self._config = config
        self._predicted = iter(predict(model, CORES[config.name]))
        self._facts = describe(model)["layers"]
        self._layer: Layer | None = None

    def layer_started(self, layer: Layer) -> None:
        self._layer = layer

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if not isinstance(self._layer, KpuConv):
            return
        f = result.figures
        assert f is not None, "the RTL counts"
        facts = self._facts[result.index]
        chip = round(chip_cycles(self._layer.descriptor, self._layer.eight_bit))
        self.rows.append({
            "layer": result.index, "name": result.name, "kind": facts["kind"], "pool": facts["pool"] or "",
            "in_shape": list(result.in_shape), "out_shape": list(result.out_shape), "macs": result.macs,
            **costs(effective_macs(self._layer.descriptor), f.cycles, self._config), "limit": limit(f),
            "predicted": next(self._predicted).total, "busy": f.busy,
            **{name: getattr(f, name) for name in WAITS}, "chip_cycles": chip,
            "chip_ratio": round(chip / f.cycles, 2)})

    def totals(self) -> dict[str, Any]:
        """The sums over all KPU layers."""
        names = ("macs", "effective_macs", "cycles", "predicted", "busy", *WAITS, "chip_cycles")
        sums = {name: sum(row[name] for row in self.rows) for name in names}
        return {**sums, **costs(sums["effective_macs"], sums["cycles"], self._config),
                "chip_ratio": round(sums["chip_cycles"] / sums["cycles"], 2) if sums["cycles"] else 0}


def predict(model: Model, core: CoreParameters) -> list[LayerCycles]:
    """The cycle model's figures for every KPU layer of a run, batches one by one, as the session queues them.

    While maps move between AI RAM and host, the parameters of the next KPU layer arrive. Other host operators take none
    of the device's cycles.
    """
    figures: list[LayerCycles] = []
    for moves, layers in groupby(model.layers, key=lambda layer: isinstance(layer, KpuUpload | KpuDownload)):
        if not moves:
            # The driver puts every table on a boundary that the model needs to know only modulo 8.
            figures += run([plan(replace(layer.descriptor, para_start_addr=SRAM_BASE, send_data_out=int(layer.stream)),
                                 core, layer.eight_bit)
                            for layer in layers if isinstance(layer, KpuConv) for _ in range(layer.batches)],
                           core, prefetched=bool(figures))
    return figures


def costs(macs: int, cycles: int, config: KpuConfig) -> dict[str, float]:
    """Effective MACs, cycles, the one over the other, and what share of the multipliers' cycles did one of them."""
    rate = macs / cycles if cycles else 0
    return {"effective_macs": macs, "cycles": cycles, "macs_per_cycle": round(rate, 1),
            "utilisation_percent": round(100 * rate / (config.pes * MULTIPLIERS), 1)}


def limit(figures) -> str:
    """What a layer's speed is limited by: "array", or what the array waited for most."""
    if figures.busy >= BUSY * figures.cycles:
        return "array"
    waits = {text: getattr(figures, name) for name, text in WAITS.items()}
    waits["start and end"] = figures.cycles - figures.busy - sum(waits.values())
    return max(waits, key=waits.__getitem__)


@click.command()
@model_argument
@click.argument("inputs", type=FILE, nargs=-1, metavar="[INPUT...]")
@click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
              help="How a picture is brought to the model's size.")
@config_option
@click.option("--json", "json_file", type=FILE, help="Write everything here.")
@click.option("--csv", "csv_file", type=FILE, help="Write one line per KPU layer here.")
def profile(loaded: Model, inputs: tuple[Path, ...], fit: str, config: str,
            json_file: Path | None, csv_file: Path | None) -> None:
    """Run MODEL on the RTL and tell what every KPU layer costs, and why.

    Cycles do not depend on the data: without INPUT the model runs on zeros. Columns: millions of multiply-accumulates
    that the output depends on (a sampling pool drops the others, and the array skips them); clock cycles; share of the
    array's multipliers in use; what limits the layer; how many times as long the real K210 takes, by the fit of
    measurements. --json and --csv have more: all MACs, the cycle model's prediction, the chip's cycles.
    """
    core = config_named(config)
    arrays = ([p.array for p in prepare_inputs(loaded, inputs, fit)] if inputs
              else [np.zeros(spec.shape, spec.dtype) for spec in loaded.inputs])
    profiler = Profiler(loaded, core)
    device = NativeDevice(core)
    try:
        with ProgressHook(loaded, device=device) as progress:
            Session(loaded, device).run(arrays, hooks=(profiler, progress))
    finally:
        device.close()
    totals = profiler.totals()
    if json_file:
        write_json(json_file, {"model": loaded.source, "config": vars(core), "layers": profiler.rows, "totals": totals})
    if csv_file:
        write_whole(csv_file, _csv(profiler.rows))
    _print(loaded, core, profiler.rows, totals)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "in_shape": show_shape(row["in_shape"]), "out_shape": show_shape(row["out_shape"])})
    return text.getvalue().encode()


def _print(model: Model, core: KpuConfig, rows: list[dict[str, Any]], totals: dict[str, Any]) -> None:
    header = ("layer", "kind", "pool", "output", "MMAC", "cycles", "use %", "limit", "chip x")
    table = [(str(row["layer"]), row["kind"].replace("conv ", " ").strip(), row["pool"], show_shape(row["out_shape"]),
              *_numbers(row)) for row in rows]
    table.append(("all", "", "", "", *_numbers({**totals, "limit": ""})))
    print_table(header, table, right=("layer", "MMAC", "cycles", "use %", "chip x"))
    say(f"{model.source}: {len(rows)} KPU layers on {core.pes} processing elements ({core.pes * MULTIPLIERS} "
        f"multipliers), configuration '{core.name}'")


def _numbers(row: dict[str, Any]) -> tuple[str, ...]:
    return (f"{row['effective_macs'] / 1e6:.2f}", f"{row['cycles']:,}", f"{row['utilisation_percent']:.1f}",
            row["limit"], f"{row['chip_ratio']:.1f}")
