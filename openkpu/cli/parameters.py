# SPDX-License-Identifier: Apache-2.0
"""Kinds of option values that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from .files import read_text
from .terminal import printable

MAX_LABEL = 200

class Anchors(click.ParamType):
    """Comma-separated positive numbers, an even count; or a file that holds them."""

    name = "anchors"

    def convert(self, value, param, ctx) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            try:
                numbers = tuple(float(part) for part in read_text(Path(value), "--yolo2").split(","))
            except (UsageError, ValueError):
                shown = value if len(value) < 80 else f"{value[:80]}..."
                self.fail(f"{shown!r} is neither a list of numbers such as 1.08,1.19,3.42,4.41 nor a file with one",
                          param, ctx)
        if len(numbers) % 2:
            self.fail(f"{len(numbers)} numbers are no pairs of width and height", param, ctx)
        if not all(0 < number < float("inf") for number in numbers):
            self.fail("anchors must be positive", param, ctx)
        return numbers


class Share(click.FloatRange):
    """A number from 0 to 1. That of click lets NaN pass, because no comparison with it is true."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value, param, ctx) -> float:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is not in the range 0<=x<=1.", param, ctx)
        return number


def read_labels(path: Path | None) -> list[str]:
    """One name per line, printable; none without a file. UsageError naming what is wrong with it."""
    if path is None:
        return []
    names = read_text(path, "--labels").splitlines()
    for number, name in enumerate(names, 1):
        if len(name) > MAX_LABEL:
            raise UsageError(f"--labels {path}: line {number} has {len(name)} characters; a name has at most "
                             f"{MAX_LABEL}")
    return [printable(name) for name in names]


def numbers(context: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    """The callback of an option that takes numbers with commas between them."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of numbers such as 0.485,0.456,0.406") from None
