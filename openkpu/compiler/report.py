# SPDX-License-Identifier: Apache-2.0
"""What became of each layer, and what to do about the worst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..hw.configs import CORES
from ..kmodel.model import KpuConv
from ..kmodel.summary import describe
from ..schedule import cycles
from ..schedule.chip import chip_cycles
from ..schedule.plan import plan
from .compile import Result
from .mapping.network import HostOp, KpuLayer

CORE = "full"
WORST = 8


def facts(result: Result, target: str) -> dict[str, Any]:
    """Everything about a compiled network, of dict, list, str, int, float and None only.

    Sizes are bytes, cycles those of the configuration ``full`` and of the K210 (schedule.chip); SQNR in dB over
    the calibration pictures, None where a step only moves data.
    """
    model = result.compiled.model
    summary = describe(model)
    core = CORES[CORE]
    # v4's and v5's runtimes switch the output stream off, whatever the file says.
    plans = [plan(replace(layer.descriptor, send_data_out=int(layer.stream)), core, layer.eight_bit)
             for layer in model.kpu_layers for _ in range(layer.batches)]
    times = iter(cycles.run(plans, core))
    net = result.network
    layers_of = {s.name: s for s in net.steps}
    errors = result.quantizer.errors
    rows: list[dict[str, Any]] = []
    for layer, name, about in zip(model.layers, result.compiled.steps, summary["layers"], strict=True):
        source = layers_of.get(name)
        taken = chip = 0
        if isinstance(layer, KpuConv):
            taken = sum(next(times).total for _ in range(layer.batches))
            chip = round(chip_cycles(layer.descriptor, layer.eight_bit)) * layer.batches
        error = errors.get(source.output) if isinstance(source, KpuLayer) else None
        scale, zero, low, high = _range(result, source)
        rows.append({
            "index": layer.index, "name": name, "where": layer.where, "operator": layer.name, "kind": about["kind"] or
            layer.name, "why": source.why if source is not None else _move(layer.name),
            "alone": _round(error.alone) if error else None, "total": _round(error.total) if error else None,
            "scale": scale, "zero": zero, "low": low, "high": high, "macs": about["macs"],
            "cycles": taken, "chip_cycles": chip,
            "bytes": sum(t.nbytes for t in layer.outputs)})
    kpu_rows = [r for r in rows if r["where"] == "kpu"]
    worst = sorted((r for r in kpu_rows if r["alone"] is not None), key=lambda r: r["alone"])[:WORST]
    graph_outputs = [{"name": n, "sqnr": _round(s)} for n, s in zip(result.names, result.sqnr, strict=True)]
    return {
        "kmodel": target, "format": summary["format"], "bytes": len(result.compiled.data),
        "weight_bits": summary["weight_bits"], "outputs": graph_outputs,
        "totals": {"kpu_layers": len(kpu_rows), "host_steps": len(rows) - len(kpu_rows),
                   "macs": sum(r["macs"] for r in rows), "cycles": sum(r["cycles"] for r in rows),
                   "chip_cycles": sum(r["chip_cycles"] for r in rows)},
        "memory": summary["memory"], "layers": rows, "worst": worst, "advice": _advice(worst, rows),
        "airam": [{"name": m.name, "offset": m.offset, "bytes": m.size, "first": m.first, "last": m.last}
                  for m in result.compiled.maps]}


def _move(name: str) -> str:
    if "upload" in name:
        return "into the AI RAM"
    return "out of the AI RAM" if "download" in name else "between codes and numbers, or shapes"


def _range(result: Result, source: KpuLayer | HostOp | None) -> tuple[list[float] | None, int | None, float | None,
                                                                      float | None]:
    if source is None or source.output not in result.quantizer.codes:
        return None, None, None, None
    codes = result.quantizer.codes[source.output]
    low, high = float((-codes.zero * codes.scale).min()), float(((255 - codes.zero) * codes.scale).max())
    return [float(s) for s in np.unique(codes.scale)], codes.zero, low, high


def _round(value: float) -> float:
    return value if value == float("inf") else round(value, 2)


def _advice(worst: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[str]:
    found = []
    if worst and worst[0]["alone"] < 25:
        found.append(f"'{worst[0]['name']}' loses most ({worst[0]['alone']:.1f} dB by itself): calibrate with more "
                     "typical pictures; if its range is wide for few values, train with ReLU6 or weight decay there, "
                     "or try --weights 16")
    host = [r for r in rows if r["where"] == "host" and r["bytes"] > 100_000]
    if host:
        largest = max(host, key=lambda r: r["bytes"])
        found.append(f"the host's largest step is '{largest['name']}' ({largest['operator']}, "
                     f"{largest['bytes']:,} bytes)" + (f": {largest['why']}" if largest["why"] else ""))
    return found
