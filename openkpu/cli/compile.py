# SPDX-License-Identifier: Apache-2.0
"""openkpu compile: a trained network becomes a kmodel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from .files import write_json, write_whole
from .options import FILE, print_table, say
from .parameters import numbers


@click.command("compile")
@click.argument("network", type=FILE)
@click.option("--calibrate", type=FILE, multiple=True, metavar="PICTURES",
              help="Typical pictures, a folder of them, or uint8 arrays (count, C, H, W) as .npy. May be repeated.")
@click.option("-o", "--output", type=FILE, help="The kmodel to write.  [default: NETWORK with .kmodel]")
@click.option("--scale", type=float, default=1.0, show_default=True,
              help="The network sees (x * scale - mean) / std of the raw codes x = 0..255.")
@click.option("--mean", default="0", callback=numbers, metavar="M[,M,M]", help="See --scale.  [default: 0]")
@click.option("--std", default="1", callback=numbers, metavar="D[,D,D]", help="See --scale.  [default: 1]")
@click.option("--rgb/--bgr", "rgb", default=True, help="Order of the planes that the network was trained with; "
              "the kmodel takes R, G, B.  [default: rgb]")
@click.option("--input", "input_type", type=click.Choice(["uint8", "float32"]), default="uint8", show_default=True,
              help="What the kmodel takes: raw codes, or the floats that the network takes.")
@click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), default="NCHW", show_default=True,
              help="Order of the kmodel's input.")
@click.option("--outputs", default="", metavar="NAME,...", help="End the network at these values.")
@click.option("--format", "version", type=click.Choice(["v3", "v4", "v5"]), default="v4", show_default=True,
              help="MaixPy and CanMV load v4.")
@click.option("--release", default="", metavar="NNCASE",
              help="With --format v5: the nncase release whose runtime shall read the file, such as 1.6-1.7.0.  "
              "[default: 1.8-1.9]")
@click.option("--weights", type=click.Choice(["8", "16"]), default="8", show_default=True, help="Bits of a weight.")
@click.option("--report", type=FILE, help="Write all facts of every layer as JSON to this file.")
@click.option("--layers", is_flag=True, help="Print every layer, not only the worst.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def compile(network: Path, calibrate: tuple[Path, ...], output: Path | None, scale: float, mean: tuple[float, ...],
             std: tuple[float, ...], rgb: bool, input_type: str, layout: str, outputs: str, version: str, release: str,
            weights: str, report: Path | None, layers: bool, as_json: bool) -> None:
    """Compile NETWORK (ONNX or TFLite) for the KPU."""
    output = output or network.with_suffix(".kmodel")
    if output == network:
        raise UsageError(f"{output} is the network itself; choose another file with -o")
    from ..compiler import Options, Preprocess, compile_network
    from ..compiler.report import facts

    options = Options(Preprocess(scale, mean, std, not rgb), version, int(weights), input_type, layout,
                      tuple(name for name in outputs.split(",") if name), release)
    with _Bar(quiet=as_json) as bar:
        result = compile_network(network, list(calibrate), options, bar)
    write_whole(output, result.compiled.data)
    told = facts(result, str(output))
    if report:
        write_json(report, told)
    if as_json:
        say(json.dumps(told, indent=1))
        return
    _print(told, layers)


class _Bar:
    """A progress bar over the stages, on a terminal."""

    STAGES = {"read": 5, "calibrate": 30, "quantize": 60, "write": 5}

    def __init__(self, quiet: bool):
        self.quiet = quiet

    def __enter__(self) -> _Bar:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.bar = Progress(TextColumn("{task.description:9}"), BarColumn(), TimeElapsedColumn(),
                            console=Console(stderr=True), transient=True,
                            disable=self.quiet or not sys.stderr.isatty())
        self.bar.start()
        self.task = self.bar.add_task("read", total=100)
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def __call__(self, stage: str, done: int, of: int) -> None:
        names = list(self.STAGES)
        before = sum(self.STAGES[n] for n in names[: names.index(stage)])
        self.bar.update(self.task, description=stage, completed=before + self.STAGES[stage] * done / max(of, 1))


def _print(told: dict[str, Any], every: bool) -> None:
    totals = told["totals"]
    say(f"{told['kmodel']}: {told['format']}, {told['bytes']:,} bytes, {told['weight_bits']}-bit weights")
    for output in told["outputs"]:
        say(f"output '{output['name']}': {_db(output['sqnr'])} dB against the float network on the calibration "
            "pictures")
    say(f"{totals['kpu_layers']} layers on the KPU ({totals['macs'] / 1e6:.1f} M MAC, {totals['cycles']:,} cycles on "
        f"'full', {totals['chip_cycles']:,} on the chip), {totals['host_steps']} steps on the host")
    say(f"RAM {told['memory']['total']:,} of {told['memory']['limit']:,} bytes, AI RAM {told['memory']['airam']:,} of "
        f"{told['memory']['airam_limit']:,}")
    rows = [r for r in told["layers"] if r["where"] == "host"]
    if rows and not every:
        say("\non the host, and why:")
        print_table(("step", "operator", "bytes", "why"), [(r["name"], r["operator"], f"{r['bytes']:,}", r["why"])
                                                           for r in rows], right=("bytes",))
    shown = told["layers"] if every else told["worst"]
    say("\nevery layer:" if every else "\nleast exact layers:")
    print_table(("layer", "on", "kind", "SQNR alone", "up to here", "MAC", "cycles", "chip", "why"),
                [(r["name"], r["where"], r["kind"], _db(r["alone"]), _db(r["total"]), f"{r['macs']:,}",
                  f"{r['cycles']:,}", f"{r['chip_cycles']:,}", r["why"]) for r in shown],
                right=("SQNR alone", "up to here", "MAC", "cycles", "chip"))
    for line in told["advice"]:
        say(line)


def _db(value: float | None) -> str:
    return "" if value is None else "exact" if value == float("inf") else f"{value:.1f}"
