# SPDX-License-Identifier: Apache-2.0
"""openkpu explore: which size of the core suits a model."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from ..explore.area import estimator, synthesize
from ..explore.plot import picture, table
from ..explore.points import Point, front, grid
from ..explore.points import explore as points_of
from ..explore.rtl import count
from ..kmodel import Model
from .files import write_whole
from .options import FILE, model_argument, print_table, say

MOST = 20_000


def _list(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of whole numbers such as 2,4,8") from None


def _axis(name: str, default: str, text: str):
    return click.option(name, default=default, callback=_list, show_default=True, metavar="N,...", help=text)


@click.command()
@model_argument
@_axis("--segs", "2,4,8", "Segments of the array (SEGS).")
@_axis("--seglen", "2,4,8", "Processing elements of a segment (SEGLEN).")
@_axis("--lanes", "1,2,4,8", "Post-processing lanes of a segment (LPS), up to SEGLEN.")
@_axis("--depth", "128", "Partial sums per processing element (DEPTH).")
@_axis("--weights", "8192", "Nine-byte entries of the weight buffer (WEIGHT_ENTRIES).")
@_axis("--rows", "32768", "64-byte rows of AI RAM (AIRAM_ROWS).")
@click.option("--clock", type=click.FloatRange(1, 5000), default=50, show_default=True, metavar="MHZ",
              help="Clock of the frames per second.")
@click.option("--rtl", "run", type=click.IntRange(0), default=0, metavar="N",
              help="Build and run N points of the front in the RTL (minutes each).")
@click.option("--synth", type=click.IntRange(0), default=0, metavar="N",
              help="Synthesize N points of the front with Yosys (minutes each).")
@click.option("--csv", "csv_file", type=FILE, default="out/explore.csv", show_default=True, help="All points.")
@click.option("--plot", type=FILE, help="The front as a page with a chart.")
def explore(loaded: Model, segs: tuple[int, ...], seglen: tuple[int, ...], lanes: tuple[int, ...],
            depth: tuple[int, ...], weights: tuple[int, ...], rows: tuple[int, ...], clock: float, run: int, synth: int,
            csv_file: Path, plot: Path | None) -> None:
    """Find the sizes of the core that suit MODEL: speed against area.

    Every combination is a point: cycles by the cycle model, gates estimated from configurations that were synthesized.
    The front holds the points that no other one beats in both; --rtl and --synth confirm some of it, spread from the
    smallest to the largest.
    """
    if not loaded.kpu_layers:
        raise UsageError(f"{loaded.source} has no layer on the KPU; there is nothing to explore")
    cores = grid(segs, seglen, lanes, depth, weights, rows)
    if len(cores) > MOST:
        raise UsageError(f"{len(cores)} combinations are more than {MOST}; give shorter lists")
    points = _predicted(loaded, cores)
    best = front(points)
    if not best:
        raise UsageError(f"no combination runs {loaded.source}; the first: {points[0].reason}")
    for point in spread(best, synth):
        say(f"synthesizing {point.name}")
        point.gates, point.synthesized = synthesize(point.core), True
    for point in spread(best, run):
        say(f"running {point.name} in the RTL")
        point.rtl_cycles = count(loaded, point)
    best = front(points)  # synthesis may have moved some
    write_whole(csv_file, table(points, best, clock))
    if plot:
        write_whole(plot, picture(points, best, clock, f"{loaded.source}: {len(points)} configurations"))
    _print(loaded, points, best, clock, csv_file)


def _predicted(model: Model, cores: list) -> list[Point]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    estimate = estimator()
    points = []
    for point in track(points_of(model, cores), "points", len(cores), console=console, transient=True,
                       disable=not console.is_terminal):
        if not point.reason:
            point.gates = estimate(point.core)
        points.append(point)
    return points


def spread(points: list[Point], count: int) -> list[Point]:
    """So many of the points, from the first to the last."""
    count = min(count, len(points))
    if count < 2:
        return points[len(points) - count:]
    return [points[round(i * (len(points) - 1) / (count - 1))] for i in range(count)]


def _print(model: Model, points: list[Point], best: list[Point], mhz: float, csv_file: Path) -> None:
    lines = [(str(p.core.SEGS), str(p.core.SEGLEN), str(p.core.LPS), str(p.core.DEPTH), str(p.core.WEIGHT_ENTRIES),
              f"{p.gates:,}{'' if p.synthesized else ' ~'}", f"{p.ram_bytes >> 10:,}", f"{p.cycles:,}",
              f"{p.rate(mhz):.1f}", f"{p.rtl_cycles:,} ({p.deviation:+.1f} %)" if p.rtl_cycles else "") for p in best]
    header = ("SEGS", "SEGLEN", "LPS", "DEPTH", "WEIGHTS", "gates", "KiB RAM", "cycles", "frames/s", "in the RTL")
    print_table(header, lines, right=header[:-1])
    out = [p for p in points if p.reason]
    say(f"{model.source}: {len(points)} configurations, {len(best)} on the front at {mhz:g} MHz"
        + (f", {len(out)} do not run it (first: {out[0].name}: {out[0].reason})" if out else "")
        + f"; gates with ~ are estimates; all in {csv_file}")
