# SPDX-License-Identifier: Apache-2.0
"""Arguments and helpers that the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..devices.backends import BACKENDS, WITH_PLACE, open_device
from ..hw.configs import CORES
from .terminal import printable

if TYPE_CHECKING:
    from ..kmodel import Model
    from ..runtime import Session

FITS = ("stretch", "fit", "crop")

FILE = click.Path(path_type=Path)


def say(text: str) -> None:
    """Print text, whatever bytes of files it holds."""
    click.echo(printable(text))


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


def open_model(path: Path, address: str | None = None, release: str | None = None, strict_math: bool = False) -> Model:
    """The loaded model; what the loader warns of is printed on standard error."""
    from ..kmodel import load

    loaded = load(path, member=address, release=release, strict_math=strict_math)
    for warning in loaded.warnings:
        click.echo(f"warning: {loaded.source}: {warning}", err=True)
    return loaded


def load_options(command: Callable) -> Callable:
    """--address, --release and --strict-math, which :func:`open_model` takes."""
    found = click.option("--strict-math", is_flag=True, help="kmodel v5 only: where nncase miscompiled a slice, "
                         "compute what the network means, not what the vendor's runtimes do with the file.")(command)
    found = click.option("--release", help="kmodel v5 only: the nncase release whose operator numbers the file uses, "
                                           "when the file fits several.")(found)
    return click.option("--address", help="Which model of a .kfpkg: its flash address or name.")(found)


def model_argument(command: Callable) -> Callable:
    """MODEL and :func:`load_options`; the command gets the ``loaded`` model."""
    @wraps(command)
    def with_model(model: Path, address: str | None, release: str | None, strict_math: bool, **rest: object) -> object:
        return command(loaded=open_model(model, address, release, strict_math), **rest)

    return click.argument("model", type=FILE)(load_options(with_model))


class Backend(click.Choice):
    """The name of a back end, with the place of a board behind a colon."""

    def __init__(self) -> None:
        super().__init__([name for name in BACKENDS if name not in WITH_PLACE] + [f"{name}:sim" for name in WITH_PLACE])

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Any place is taken; whoever opens it knows more."""
        kind, _, place = value.partition(":")
        return value if place and kind in WITH_PLACE else super().convert(value, param, ctx)


def input_arguments(command: Callable) -> Callable:
    """INPUT..., --fit, --rounding and --backend."""
    command = click.option("--rounding", type=click.Choice(["simulator", "chip"]), default="simulator",
                           show_default=True, help="Ties in quantize operators on the host: as the vendor's simulator "
                                                   "or as the K210's own runtime rounds them.")(command)
    backends = "; ".join(f"{name}: {text}" for name, (_, _, text) in BACKENDS.items())
    command = click.option("--backend", type=Backend(), default="functional", show_default=True,
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
    from ..runtime import Session

    device = open_device(backend)
    try:
        yield Session(model, device, chip_rounding=rounding == "chip")
    finally:
        device.close()
