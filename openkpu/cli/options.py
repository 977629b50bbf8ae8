# SPDX-License-Identifier: Apache-2.0
"""Arguments and helpers that the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..devices.backends import BACKENDS, open_device
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


def model_argument(command: Callable) -> Callable:
    """MODEL, --address, --release and --strict-math; the command gets the ``loaded`` model.

    What the loader warns of is printed on standard error.
    """
    @wraps(command)
    def with_model(model: Path, address: str | None, release: str | None, strict_math: bool, **rest: object) -> object:
        from ..kmodel import load

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
    from ..runtime import Session

    device = open_device(backend)
    try:
        yield Session(model, device, chip_rounding=rounding == "chip")
    finally:
        device.close()
