# SPDX-License-Identifier: Apache-2.0
"""openkpu eval: how good a model is on labelled pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, UsageError
from ..files import read_file
from .files import read_text, write_json, write_whole
from .options import BACKENDS, FILE, FITS, config_option, load_options, print_table, say
from .parameters import Anchors, Share, numbers, read_labels
from .terminal import printable

if TYPE_CHECKING:
    from ..evaluate.dataset import Dataset
    from ..evaluate.job import Job
    from ..evaluate.journal import Journal
    from ..evaluate.worker import Row

MAX_MODEL = 256 << 20
SHOWN = 5  # pictures that could not be used
DEFAULTS = {"coco": ("map",), "yolo": ("map",), "classes": ("top1", "top5"), "pictures": ()}


@click.command("eval")
@click.argument("model", type=FILE)
@click.argument("dataset", type=FILE)
@click.option("--metric", "metrics", type=click.Choice(["map", "top1", "top5", "sqnr"]), multiple=True,
              help="What to measure; may be repeated.  [default: by the dataset's labels]")
@click.option("--pictures", type=FILE, metavar="FOLDER", help="COCO: the folder that its file names are relative to.")
@click.option("--labels", type=FILE, help="Text file with the model's class names, one per line.")
@click.option("--yolo2", "anchors", type=Anchors(), metavar="W0,H0,...",
              help="Decode output 0 as a YOLO v2 detector with these anchors (or a file of them).")
@click.option("--decode", "decode", metavar="FILE.py[:NAME]",
              help="Another detector: NAME(outputs, size) in this file gives (left, top, right, bottom, class, "
                   "probability) in network pixels.  [default NAME: decode]")
@click.option("--threshold", type=Share(), default=0.02, show_default=True, help="Smallest probability of a box.")
@click.option("--nms", type=Share(), default=0.3, show_default=True, help="Largest overlap of two boxes of a class.")
@click.option("--reference", type=FILE, metavar="NETWORK.onnx", help="The float network, judged beside the model.")
@click.option("--scale", type=float, default=1.0, show_default=True,
              help="The reference sees (x * scale - mean) / std of the raw codes, as for openkpu compile.")
@click.option("--mean", default="0", callback=numbers, metavar="M[,M,M]", help="See --scale.  [default: 0]")
@click.option("--std", default="1", callback=numbers, metavar="D[,D,D]", help="See --scale.  [default: 1]")
@click.option("--rgb/--bgr", "rgb", default=True, help="Order of the reference's planes.  [default: rgb]")
@click.option("--backend", type=click.Choice(list(BACKENDS)), default="functional", show_default=True,
              help="Where the model runs.")
@config_option
@click.option("--rounding", type=click.Choice(["simulator", "chip"]), default="simulator", show_default=True,
              help="Ties in quantize operators on the host.")
@click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
              help="How a picture is brought to the model's size.")
@click.option("--jobs", type=click.IntRange(1, 1024), help="Processes on this computer.  [default: its cores]")
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Work on the workers of this Dask scheduler.")
@click.option("--pieces", type=click.IntRange(2, 256), metavar="N",
              help="Cut every picture's layers into N pieces that run apart, each from the golden model's maps: one "
                   "picture in the RTL on N workers.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Take the first N pictures only.")
@click.option("--results", type=FILE, default="out/eval.csv", show_default=True,
              help="A row per picture; a run that was interrupted goes on from there.")
@click.option("--restart", is_flag=True, help="Forget the rows that are there.")
@click.option("--retry", is_flag=True, help="Try the pictures again that could not be used.")
@click.option("--parquet", type=FILE, help="Write the rows as Parquet, too.")
@click.option("--json", "json_file", type=FILE, help="Write the figures here.")
@load_options
def eval(model: Path, dataset: Path, metrics: tuple[str, ...], pictures: Path | None, labels: Path | None,
         jobs: int | None, cluster: str | None, pieces: int | None, limit: int | None, results: Path, restart: bool,
         retry: bool, parquet: Path | None, json_file: Path | None, **options: Any) -> None:
    """Judge MODEL on DATASET's labelled pictures.

    DATASET is a COCO .json file, a folder of pictures with YOLO's .txt files (beside them, or in labels/ beside
    images/), a folder with one folder per class, or any folder of pictures. Every picture's result is kept in --results
    as soon as it is known; repeat the command to go on after an interruption.

    \b
    Example:
      openkpu eval shapes.kmodel annotations.json --yolo2 anchors.txt --labels labels.txt
    """
    from ..evaluate.dataset import open_dataset
    from ..evaluate.journal import Journal
    from ..evaluate.metrics import measure
    from ..evaluate.pool import open_pool
    from ..evaluate.run import evaluate

    found = open_dataset(dataset, read_labels(labels), pictures)
    wanted = metrics or DEFAULTS[found.kind]
    job = _job(model, found, wanted, options)
    samples = found.samples[:limit]
    with Journal(results, job.key, restart, retry) as journal, _Bar(samples, journal) as bar:
        left = [s for s in samples if s.name not in journal.rows]
        if left:
            pool = open_pool(_processes(jobs, pieces or len(left)) if cluster is None else 1, cluster)
            try:
                evaluate(job, samples, journal, pool, pieces or 0, bar.add)
            finally:
                pool.close()
    rows = {s.name: journal.rows[s.name] for s in samples}
    usable = [row for row in rows.values() if row["status"] == "ok"]
    if not usable:
        first = next(iter(rows.values()))
        raise InputError(f"{dataset}: none of the {len(rows)} pictures could be used; the first: {first['error']}")
    figures = measure(found, rows, wanted)
    if parquet:
        from ..evaluate.parquet import parquet_bytes

        write_whole(parquet, parquet_bytes(list(rows.values())))
    if json_file:
        write_json(json_file, {"model": str(model), "dataset": str(dataset), "backend": job.backend,
                               "pictures": len(usable), "skipped": len(rows) - len(usable), "figures": figures})
    _print(model, rows, figures, results)


def _job(model: Path, dataset: Dataset, metrics: tuple[str, ...], options: dict[str, Any]) -> Job:
    from ..evaluate.job import Job

    if "map" in metrics and not (options["anchors"] or options["decode"]):
        raise UsageError("--metric map needs to know what the outputs mean; give --yolo2 ANCHORS or --decode FILE.py")
    if "map" in metrics and dataset.kind not in ("coco", "yolo"):
        raise UsageError("--metric map needs true boxes; give pictures with YOLO .txt, or COCO's .json")
    if {"top1", "top5"} & set(metrics) and dataset.kind != "classes":
        raise UsageError("--metric top1 needs a class per picture; give a folder with one folder per class")
    if "sqnr" in metrics and not options["reference"]:
        raise UsageError("--metric sqnr compares with the float network; give it with --reference")
    if not metrics:
        raise UsageError("the pictures have no labels; give --metric sqnr and --reference, or a labelled dataset")
    decoder, _, function = (options["decode"] or "").partition(":")
    reference = options["reference"]
    return Job(_bytes(model, "the model"), str(model), options["address"], options["release"], options["strict_math"],
               options["backend"], options["config"], options["rounding"] == "chip", options["fit"], tuple(metrics),
               tuple(options["anchors"] or ()), options["threshold"], options["nms"],
               read_text(Path(decoder), "--decode") if decoder else "", function or "decode" if decoder else "",
               _bytes(reference, "--reference") if reference else b"", options["scale"], options["mean"],
               options["std"], not options["rgb"])


def _bytes(path: Path, what: str) -> bytes:
    try:
        return read_file(path, MAX_MODEL)
    except OSError as error:
        raise UsageError(f"{what} {path}: cannot be read ({error.strerror or error}); check the path") from error


def _processes(jobs: int | None, tasks: int) -> int:
    return min(jobs or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, tasks)


class _Bar:
    """Pictures done, time left; on a terminal."""

    def __init__(self, samples: tuple[Any, ...], journal: Journal):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                                  TextColumn("{task.description}"), console=console, transient=True,
                                  disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=len(samples),
                                             completed=sum(s.name in journal.rows for s in samples))
        self._skipped = 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, row: Row) -> None:
        """Count a picture."""
        self._skipped += row["status"] != "ok"
        self._progress.update(self._task, advance=1, description=f"{self._skipped} skipped" if self._skipped else "")


def _print(model: Path, rows: dict[str, Row], figures: dict[str, Any], results: Path) -> None:
    skipped = [row for row in rows.values() if row["status"] != "ok"]
    for row in skipped[:SHOWN]:
        click.echo(f"skipped: {printable(row['picture'])}: {printable(row['error'])}", err=True)
    if len(skipped) > SHOWN:
        click.echo(f"skipped: {len(skipped) - SHOWN} more; see {results}", err=True)
    reference = figures.get("reference", {})
    table = []
    for name in ("map", "map50", "top1", "top5"):
        if name in figures:
            cells = [_figure(place.get(name)) for place in (figures, reference)]
            cost = "" if None in (figures[name], reference.get(name)) else f"{figures[name] - reference[name]:+.4f}"
            table.append((name, *cells, cost))
    table += [(f"AP50 {name}", _figure(value), _figure(reference.get("classes", {}).get(name)), "")
              for name, value in figures.get("classes", {}).items()]
    table += [(f"sqnr {k}", "exact" if value > 1e99 else f"{value:.2f} dB", "", "")
              for k, value in enumerate(figures.get("sqnr", []))]
    columns = 4 if reference else 2
    print_table(("metric", "model", "float network", "quantization")[:columns], [line[:columns] for line in table],
                right=("model", "float network", "quantization"))
    seconds = sum(float(row["seconds"] or 0) for row in rows.values())
    say(f"{model}: {len(rows) - len(skipped)} pictures, {len(skipped)} skipped, {seconds:.1f} s of work; rows in "
        f"{results}")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
