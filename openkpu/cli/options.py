"""Arguments and helpers that the commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..devices.registry import BACKENDS, open_device
from ..kmodel.model import Layer, Model
from ..runtime import LayerResult, Session
from .inputs import FITS

FILE = click.Path(path_type=Path)


PIPE_COLUMNS = 160  # where standard output is no terminal


class _Console(Console):
    """A console that leaves a closed pipe to the command line's own error handling."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Console:
    """Standard output as it is now."""
    return _Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def say(text: str) -> None:
    """Print one line of plain text, never cut or wrapped."""
    click.echo(text)


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the look of all commands."""
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


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
    """INPUT..., --fit and --backend."""
    backends = "; ".join(f"{name}: {text}" for name, (_, _, text) in BACKENDS.items())
    command = click.option("--backend", type=click.Choice(list(BACKENDS)), default="functional", show_default=True,
                           help=backends)(command)
    command = click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
                           help="How a picture is brought to the model's size (bilinear): stretch changes the aspect "
                                "ratio, fit adds black borders, crop cuts what sticks out.")(command)
    return click.argument("inputs", type=FILE, nargs=-1, required=True, metavar="INPUT...")(command)


@contextmanager
def open_session(model: Model, backend: str) -> Iterator[Session]:
    """A session on a fresh device, closed at the end."""
    device = open_device(backend)
    try:
        yield Session(model, device)
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
