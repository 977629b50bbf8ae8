# SPDX-License-Identifier: Apache-2.0
"""What a KPU layer costs, as rows: cycles, waits, use of the array, the chip's cycles beside."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from ..drivers.kpu import Figures
from ..hw.configs import CORES, CoreParameters
from ..hw.descriptor import replace
from ..hw.device import KpuConfig
from ..hw.fields import SRAM_BASE
from ..kmodel import KpuConv, KpuDownload, KpuUpload, Layer, Model
from ..kmodel.display import shape, table
from ..kmodel.summary import describe
from ..runtime import LayerResult
from ..schedule.chip import chip_cycles
from ..schedule.cycles import LayerCycles, run
from ..schedule.plan import effective_macs, plan

MULTIPLIERS = 9  # of one processing element
BUSY = 0.9  # from this share on the array itself is the limit
WAITS = {"wait_param": "parameters", "wait_feature": "features", "wait_writeback": "write-back"}
COLUMNS = ("layer", "name", "kind", "pool", "in_shape", "out_shape", "macs", "effective_macs", "cycles",
           "macs_per_cycle", "utilisation_percent", "limit", "predicted", "busy", *WAITS, "chip_cycles", "chip_ratio")


class Profiler:
    """Hook that turns the figures of every KPU layer into one row of ``COLUMNS``."""

    def __init__(self, model: Model, config: KpuConfig, core: CoreParameters | None = None):
        self.rows: list[dict[str, Any]] = []
        self._config = config
        self._predicted = iter(predict(model, core or CORES[config.name]))
        self._facts = describe(model)["layers"]
        self._layer: Layer | None = None

    def layer_started(self, layer: Layer) -> None:
        self._layer = layer

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if isinstance(self._layer, KpuConv):
            assert result.figures is not None, "the RTL counts"
            self.add(self._layer, result.figures, next(self._predicted).total)

    def add(self, layer: KpuConv, f: Figures, predicted: int) -> None:
        """Note what a layer took; for one map of a batch."""
        facts = self._facts[layer.index]
        chip = round(chip_cycles(layer.descriptor, layer.eight_bit))
        self.rows.append({
            "layer": layer.index, "name": layer.name, "kind": facts["kind"], "pool": facts["pool"] or "",
            "in_shape": list(layer.descriptor.in_shape), "out_shape": list(layer.descriptor.out_shape),
            "macs": layer.descriptor.macs,
            **costs(effective_macs(layer.descriptor), f.cycles, self._config), "limit": limit(f),
            "predicted": predicted, "busy": f.busy,
            **{name: getattr(f, name) for name in WAITS}, "chip_cycles": chip,
            "chip_ratio": round(chip / f.cycles, 2)})

    def _repr_html_(self) -> str:
        """For notebooks."""
        header = ("layer", "kind", "pool", "output", "MMAC", "cycles", "use %", "limit", "K210 cycles", "K210 : this")

        def numbers(row: dict[str, Any]) -> tuple[str, ...]:
            return (f"{row['effective_macs'] / 1e6:.2f}", f"{row['cycles']:,}", f"{row['utilisation_percent']:.1f}",
                    row.get("limit", ""), f"{row['chip_cycles']:,}", f"{row['chip_ratio']:.1f}")

        rows = [(row["layer"], row["kind"], row["pool"], shape(row["out_shape"]), *numbers(row)) for row in self.rows]
        return table(header, [*rows, ("all", "", "", "", *numbers(self.totals()))], ("kind", "pool", "output", "limit"))

    def totals(self) -> dict[str, Any]:
        """The sums over all KPU layers."""
        names = ("macs", "effective_macs", "cycles", "predicted", "busy", *WAITS, "chip_cycles")
        sums = {name: sum(row[name] for row in self.rows) for name in names}
        return {**sums, **costs(sums["effective_macs"], sums["cycles"], self._config),
                "chip_ratio": round(sums["chip_cycles"] / sums["cycles"], 2) if sums["cycles"] else 0}


def predicted_profile(model: Model, config: KpuConfig, core: CoreParameters) -> Profiler:
    """The rows by the cycle model instead of the RTL."""
    profiler = Profiler(model, config, core)
    figures = iter(predict(model, core))
    for layer in model.kpu_layers:
        for _ in range(layer.batches):
            f = next(figures)
            profiler.add(layer, Figures(f.total, f.busy, *(round(f.wait[text]) for text in WAITS.values())), f.total)
    return profiler


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


def limit(figures: Figures) -> str:
    """What a layer's speed is limited by: "array", or what the array waited for most."""
    if figures.busy >= BUSY * figures.cycles:
        return "array"
    waits = {text: getattr(figures, name) for name, text in WAITS.items()}
    waits["start and end"] = figures.cycles - figures.busy - sum(waits.values())
    return max(waits, key=waits.__getitem__)
