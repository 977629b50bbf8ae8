# SPDX-License-Identifier: Apache-2.0
"""openkpu profile: where the clock cycles go."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..devices.native import NativeDevice
from ..hw.configs import config_named
from ..hw.device import KpuConfig
from ..inputs import prepare_inputs
from ..kmodel import Model
from ..profiling.layers import COLUMNS, MULTIPLIERS, Profiler
from ..runtime import Session
from .files import write_json, write_whole
from .options import FILE, FITS, config_option, model_argument, print_table, say, show_shape
from .progress import ProgressHook


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
