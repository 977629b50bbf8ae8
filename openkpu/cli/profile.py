# SPDX-License-Identifier: Apache-2.0
"""openkpu profile: where the clock cycles go."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..devices.functional import FunctionalDevice
from ..devices.native import NativeDevice
from ..errors import UsageError
from ..hw.configs import CORES, config_named
from ..hw.device import KpuConfig
from ..inputs import prepare_inputs
from ..kmodel import Model
from ..profiling.compare import change, pairs, read_profile, summary
from ..profiling.layers import COLUMNS, MULTIPLIERS, Profiler, predicted_profile
from ..report.facts import Facts, collect
from ..report.maps import MapKeeper
from ..report.page import page
from ..runtime import Session
from .files import write_json, write_whole
from .options import FILE, FITS, config_option, load_options, open_model, print_table, say, show_shape
from .progress import ProgressHook

COMPARED = (".kmodel", ".kfpkg", ".json")


@click.command()
@click.argument("model", type=FILE)
@click.argument("inputs", type=FILE, nargs=-1, metavar="[OTHER] [INPUT...]")
@load_options
@click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
              help="How a picture is brought to the model's size.")
@config_option
@click.option("--predicted", is_flag=True, help="By the cycle model instead of the RTL: no simulator, seconds.")
@click.option("--json", "json_file", type=FILE, help="Write everything here.")
@click.option("--csv", "csv_file", type=FILE, help="Write one line per KPU layer here.")
@click.option("--html", "html_file", type=FILE, help="Write a report as one page here, with a picture of every map.")
@click.option("--clock", type=click.FloatRange(1, 5000), default=100, show_default=True, metavar="MHZ",
              help="The clock that the report begins with.")
def profile(model: Path, inputs: tuple[Path, ...], address: str | None, release: str | None, strict_math: bool,
            fit: str, config: str, predicted: bool, json_file: Path | None, csv_file: Path | None,
            html_file: Path | None, clock: float) -> None:
    """Run MODEL on the RTL and tell what every KPU layer costs, and why.

    Cycles do not depend on the data: without INPUT the model runs on zeros. Columns: millions of multiply-accumulates
    that the output depends on (a sampling pool drops the others, and the array skips them); clock cycles; share of the
    array's multipliers in use; what limits the layer; how many times as long the real K210 takes, by the fit of
    measurements. --json and --csv have more: all MACs, the cycle model's prediction, the chip's cycles.

    With OTHER, another model or the --json of an earlier run (perhaps of other RTL), both are compared layer by layer.
    MODEL may be such a file then, too.
    """
    others = [path for path in inputs if path.suffix.lower() in COMPARED]
    given = tuple(path for path in inputs if path not in others)
    if len(others) > 1:
        raise UsageError(f"{others[1]}: two profiles can be compared, not {len(others) + 1}")
    if model.suffix.lower() == ".json":
        if html_file or csv_file or not others:
            raise UsageError(f"{model}: a profile can be compared with another one; give a model for anything else")
        first: dict[str, Any] = read_profile(model)
        _compare(first, _other(others[0], config, predicted))
        return
    loaded = open_model(model, address, release, strict_math)
    core = config_named(config)
    arrays = ([p.array for p in prepare_inputs(loaded, given, fit)] if given
              else [np.zeros(spec.shape, spec.dtype) for spec in loaded.inputs])
    keeper = MapKeeper()
    profiler = _profiled(loaded, core, arrays, predicted, keeper if html_file else None)
    told = summary(loaded, core, profiler, measured=not predicted)
    if json_file:
        write_json(json_file, told)
    if csv_file:
        write_whole(csv_file, _csv(profiler.rows))
    other = _other(others[0], config, predicted) if others else None
    if html_file:
        facts = collect(loaded, core, CORES[config], profiler, not predicted, keeper.maps, clock,
                        [path.name for path in given])
        write_whole(html_file, _page(facts, other))
    if other:
        _compare(told, other)
    else:
        _print(loaded, core, profiler.rows, profiler.totals())
    if html_file:
        say(f"report: {html_file}")


def _profiled(model: Model, core: KpuConfig, arrays: list[np.ndarray], predicted: bool,
              keeper: MapKeeper | None) -> Profiler:
    """The rows of a run; the keeper gets all maps."""
    hooks = [keeper] if keeper else []
    if predicted:
        profiler = predicted_profile(model, core, CORES[core.name])
        if keeper:
            with ProgressHook(model) as progress:
                Session(model, FunctionalDevice(core)).run(arrays, hooks=(*hooks, progress))
        return profiler
    profiler = Profiler(model, core)
    device = NativeDevice(core)
    try:
        with ProgressHook(model, device=device) as progress:
            Session(model, device).run(arrays, hooks=(profiler, *hooks, progress))
    finally:
        device.close()
    return profiler


def _other(path: Path, config: str, predicted: bool) -> dict[str, Any]:
    """What is compared with: a profile that was written, or a model that is profiled now."""
    if path.suffix.lower() == ".json":
        return read_profile(path)
    model, core = open_model(path), config_named(config)
    arrays = [np.zeros(spec.shape, spec.dtype) for spec in model.inputs]
    return summary(model, core, _profiled(model, core, arrays, predicted, None), measured=not predicted)


def _page(facts: Facts, other: dict[str, Any] | None) -> bytes:
    if other is None:
        return page(facts)
    return page(facts, {**other, "rows": other["layers"]}, pairs(facts["rows"], other["layers"]))


def _compare(a: dict[str, Any], b: dict[str, Any]) -> None:
    header = ("A", "B", "kind", "output", "cycles A", "cycles B", "change", "limit A", "limit B")
    table = []
    for i, k in pairs(a["layers"], b["layers"]):
        left = None if i is None else a["layers"][i]
        right = None if k is None else b["layers"][k]
        some = left or right or {}
        table.append((str(left["layer"]) if left else "", str(right["layer"]) if right else "", some["kind"],
                      show_shape(some["out_shape"]), f"{left['cycles']:,}" if left else "",
                      f"{right['cycles']:,}" if right else "", change(left, right), left["limit"] if left else "",
                      right["limit"] if right else ""))
    table.append(("all", "all", "", "", f"{a['totals']['cycles']:,}", f"{b['totals']['cycles']:,}",
                  change(a["totals"], b["totals"]), "", ""))
    print_table(header, table, right=("A", "B", "cycles A", "cycles B", "change"))
    for letter, told in (("A", a), ("B", b)):
        say(f"{letter}: {told['model']}, configuration '{told['config']['name']}', "
            f"{'counted by the RTL' if told['measured'] else 'by the cycle model'}")


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
