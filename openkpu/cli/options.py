"""Arguments and helpers that the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..devices.registry import BACKENDS, open_device
from ..kmodel.model import Layer, Model
from ..runtime import LayerResult, Session
from .inputs import FITS

FILE = click.Path(path_type=Path)


def say(text: str) -> None:
    """Print one line of text."""
    click.echo(text)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print text in columns, those named in ``right`` aligned to the right.

    Not rich's table: that takes half a second for the 290 layers of a YOLOX network.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    for line in lines:
        cells = (text.rjust(width) if name in right else text.ljust(width)
                 for name, text, width in zip(header, line, widths, strict=True))
        say("  ".join(cells).rstrip())


def show_shape(shape: Sequence[int]) -> str:
    """1x3x240x320."""
    return "x".join(map(str, shape))


def model_argument(command: Callable) -> Callable:
    """MODEL, --address and --release."""
    command = click.option("--release", help="kmodel v5 only: the nncase release whose operator numbers the file "
                                             "uses, when the file fits several.")(command)
    command = click.option("--address", help="Which model of a .kfpkg: its flash address or name.")(command)
    return click.argument("model", type=FILE)(command)


def input_arguments(command: Callable) -> Callable:
    """INPUT..., --fit, --rounding and --backend."""
    command = click.option("--rounding", type=click.Choice(["simulator", "chip"]), default="simulator",
                           show_default=True, help="Ties in quantize operators on the host: as the vendor's simulator "
                                                   "or as the K210's own runtime rounds them.")(command)
    backends = "; ".join(f"{name}: {text}" for name, (_, _, text) in BACKENDS.items())
    command = click.option("--backend", type=click.Choice(list(BACKENDS)), default="functional", show_default=True,
                           help=backends)(command)
    command = click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
                           help="How a picture is brought to the model's size (bilinear): stretch changes the aspect "
                                "ratio, fit adds black borders, crop cuts what sticks out.")(command)
    return click.argument("inputs", type=FILE, nargs=-1, required=True, metavar="INPUT...")(command)


@contextmanager
def open_session(model: Model, backend: str, rounding: str) -> Iterator[Session]:
    """A session on a fresh device, closed at the end."""
    device = open_device(backend)
    try:
        yield Session(model, device, chip_rounding=rounding == "chip")
    finally:
        device.close()


class ProgressHook:
    """A progress bar on standard error, one step per layer; nothing when that is no terminal."""

    def __init__(self, model: Model, last: int | None = None):
        steps = sum(getattr(layer, "batches", 1) for layer in model.layers[: None if last is None else last + 1])
        terminal = Console(stderr=True)
        self._progress = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                                  TimeElapsedColumn(), console=terminal, transient=True,
                                  disable=not terminal.is_terminal)
        self._task = self._progress.add_task("running", total=steps)

    def __enter__(self) -> ProgressHook:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def layer_started(self, layer: Layer) -> None:
        self._progress.update(self._task, description=f"layer {layer.index} {layer.name}")

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        self._progress.advance(self._task)
