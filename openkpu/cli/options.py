"""Arguments and helpers that the commands share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..devices.backends import BACKENDS, open_device
from ..hw.configs import CORES
from ..hw.device import Device
from ..kmodel import load
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
    """MODEL, --address, --release and --strict-math; the command gets the ``loaded`` model.

    What the loader warns of is printed on standard error.
    """
    @wraps(command)
    def with_model(model: Path, address: str | None, release: str | None, strict_math: bool, **rest: object) -> object:
        loaded = load(model, member=address, release=release, strict_math=strict_math)
        for warning in loaded.warnings:
            click.echo(f"warning: {loaded.source}: {warning}", err=True)
        return command(loaded=loaded, **rest)

    found = click.option("--strict-math", is_flag=True, help="kmodel v5 only: where nncase miscompiled a slice, "
                         "compute what the network means, not what the vendor's runtimes do with the file.")(with_model)
    found = click.option("--release", help="kmodel v5 only: the nncase release whose operator numbers the file uses, "
                                           "when the file fits several.")(found)
    found = click.option("--address", help="Which model of a .kfpkg: its flash address or name.")(found)
    return click.argument("model", type=FILE)(found)


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


def config_option(command: Callable) -> Callable:
    """--config."""
    return click.option("--config", type=click.Choice(list(CORES)), default="full", show_default=True,
                        help="Size of the RTL core.")(command)


@contextmanager
def open_session(model: Model, backend: str, rounding: str) -> Iterator[Session]:
    """A session on a fresh device, closed at the end."""
    device = open_device(backend)
    try:
        yield Session(model, device, chip_rounding=rounding == "chip")
    finally:
        device.close()


class Clock:
    """How far a device with a clock has come, and how long the rest of the model will take it.

    The rest is estimated by MACs: a layer counts as many cycles as its MACs would have taken so far.
    """

    def __init__(self, model: Model, device: Device):
        self._device = device
        self._macs = sum(layer.descriptor.macs * layer.batches for layer in model.kpu_layers)
        self._done = 0
        self._begin = time.monotonic()
        self._first = device.cycles

    def layer_done(self, macs: int) -> None:
        """Note a finished layer."""
        self._done += macs

    def text(self) -> str:
        """Cycles, cycles per second, time left."""
        cycles, seconds = self._device.cycles - self._first, time.monotonic() - self._begin
        if not cycles or not seconds:
            return ""
        left = f", {seconds * (self._macs - self._done) / self._done:.0f} s left" if self._done else ""
        return f"{cycles / 1e6:.2f} M cycles, {cycles / seconds / 1e3:.0f} k/s{left}"


class _ClockColumn(ProgressColumn):
    def __init__(self, clock: Clock):
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        return Text(self._clock.text())


class ProgressHook:
    """A progress bar on standard error, one step per layer; nothing when that is no terminal.

    Parameters
    ----------
    last : the last layer that will run; None is all.
    device : if it counts clock cycles, they are shown too.
    """

    def __init__(self, model: Model, last: int | None = None, device: Device | None = None):
        steps = sum(getattr(layer, "batches", 1) for layer in model.layers[: None if last is None else last + 1])
        terminal = Console(stderr=True)
        self._clock = Clock(model, device) if hasattr(device, "cycles") else None
        columns = [BarColumn(bar_width=10), MofNCompleteColumn(), _ClockColumn(self._clock)] if self._clock else [
            BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=terminal, transient=True,
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
        if self._clock:
            self._clock.layer_done(result.macs)
        self._progress.advance(self._task)
