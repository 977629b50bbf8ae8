# SPDX-License-Identifier: Apache-2.0
"""Everything that the page shows, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..hw.configs import CoreParameters
from ..hw.device import KpuConfig
from ..hw.fields import ROW_BYTES
from ..kmodel import KpuConv, Model
from ..kmodel.model import KPU_POOL
from ..kmodel.summary import describe
from ..profiling.layers import MULTIPLIERS, WAITS, Profiler
from .graph import INPUT, places, producers, span
from .traffic import traffic

CHIP_MHZ = 400
BUS_BYTES = 8  # of parameters per cycle

Facts = dict[str, Any]


def collect(model: Model, config: KpuConfig, core: CoreParameters, profiler: Profiler, measured: bool,
            maps: dict[int, dict[str, Any]] | None = None, mhz: float = 100, given: Sequence[str] = ()) -> Facts:
    """The page's data.

    Parameters
    ----------
    profiler : with the rows of a whole run.
    measured : the rows are the RTL's, not the cycle model's.
    maps : ``MapKeeper.maps``.
    mhz : clock that the page begins with.
    given : names of the inputs; none are zeros.
    """
    told = describe(model)
    moved = {layer.index: traffic(layer, core) for layer in model.kpu_layers}
    rows = [{**row, **moved[row["layer"]],
             "rest": row["cycles"] - row["busy"] - sum(row[name] for name in WAITS)} for row in profiler.rows]
    edges = producers(model)
    standing = places(edges[: len(model.layers)])
    layers = [{**layer, "reads": reads, "rank": place.rank, "column": place.column}
              for layer, reads, place in zip(told["layers"], edges, standing, strict=False)]
    return {
        "openkpu": __version__, "model": model.source, "format": told["format"], "compiler": told["compiler"],
        "weight_bits": told["weight_bits"], "inputs": told["inputs"], "outputs": told["outputs"],
        "totals": {**told["totals"], **profiler.totals()}, "memory": told["memory"], "measured": measured,
        "config": {**vars(config), "parameters": vars(core)}, "mhz": mhz, "chip_mhz": CHIP_MHZ, "given": list(given),
        "peak": {"macs": config.pes * MULTIPLIERS, "bytes": BUS_BYTES, "rows": 1},
        "rows": rows, "layers": layers, "lives": lives(model, rows, edges), "airam_rows": core.AIRAM_ROWS,
        "maps": maps or {},
    }


def lives(model: Model, rows: Sequence[dict[str, Any]], edges: list[list[int]]) -> list[dict[str, Any]]:
    """Every map in the AI RAM: its rows, and the cycles from its layer's beginning to its last reader's end."""
    begin, end, now = {}, {}, 0
    cycles: dict[int, int] = {}
    for row in rows:
        cycles[row["layer"]] = cycles.get(row["layer"], 0) + row["cycles"]
    for layer in model.layers:
        begin[layer.index] = now
        now += cycles.get(layer.index, 0)
        end[layer.index] = now
    begin[INPUT] = 0
    last = dict(end)
    for reader, sources in enumerate(edges):
        for source in sources:
            last[source] = max(last.get(source, 0), end.get(reader, now))
    written = [(INPUT, spec.tensor) for spec in model.inputs]
    written += [(layer.index, layer.kpu_out if isinstance(layer, KpuConv) else t)
                for layer in model.layers for t in layer.outputs[:1]]
    found = []
    for who, tensor in written:
        if tensor.pool == KPU_POOL:
            first, stop = span(tensor)
            found.append({"layer": who, "begin": begin[who], "end": last.get(who, now), "row": first // ROW_BYTES,
                          "rows": (stop - first) // ROW_BYTES})
    return found
