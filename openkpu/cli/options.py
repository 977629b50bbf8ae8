"""Arguments and helpers that the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..devices.registry import BACKENDS, open_device
from ..kmodel import load_model
from ..kmodel.model import Layer, Model
from ..runtime import LayerResult, Session
from .inputs import FITS

FILE = click.Path(path_type=Path)


class _Console(Console):
    """A console that leaves a closed pipe to the command line's own error handling."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = _Console()


class Address(click.ParamType):
    """A flash address, decimal or 0x..."""

    name = "address"

    def convert(self, value, param, ctx) -> int:
        try:
            return value if isinstance(value, int) else int(value, 0)
        except ValueError:
            self.fail(f"{value!r} is not a number such as 3145728 or 0x300000", param, ctx)


def model_argument(command: Callable) -> Callable:
    """MODEL and --address."""
    command = click.option("--address", type=Address(), help="Flash address of the model inside a .kfpkg.")(command)
    return click.argument("model", type=FILE)(command)


def input_arguments(command: Callable) -> Callable:
    """INPUT..., --fit and --backend."""
    command = click.option("--backend", default="functional", show_default=True,
                           help="; ".join(f"{name}: {text}" for name, (_, _, text) in BACKENDS.items()))(command)
    command = click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
                           help="How a picture is brought to the model's size (bilinear): stretch changes the aspect "
                                "ratio, fit adds black borders, crop cuts what sticks out.")(command)
    return click.argument("inputs", type=FILE, nargs=-1, required=True, metavar="INPUT...")(command)


def read_model(path: Path, address: int | None) -> Model:
    """Load a .kmodel, or a model out of a .kfpkg; ModelError if that is not possible."""
    return load_model(path, address=address)


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
