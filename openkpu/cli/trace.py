# SPDX-License-Identifier: Apache-2.0
"""openkpu trace: the waveform of one layer."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ..hw.configs import config_named
from ..inputs import prepare_inputs
from ..kmodel import Model
from ..tracing.layer import trace as trace_layer
from ..tracing.lists import gtkwave, surfer
from .files import write_whole
from .options import FILE, FITS, config_option, model_argument, say


@click.command()
@model_argument
@click.argument("inputs", type=FILE, nargs=-1, metavar="[INPUT...]")
@click.option("--layer", type=int, required=True, help="Layer number, as in `openkpu info`.")
@click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
              help="How a picture is brought to the model's size.")
@config_option
@click.option("--out", type=FILE, default="out", show_default=True, help="Folder of the files.")
def trace(loaded: Model, inputs: tuple[Path, ...], layer: int, fit: str, config: str, out: Path) -> None:
    """Write a waveform of one layer in the RTL, and lists of signals for GTKWave and Surfer.

    Fields of the plan, of parameter jobs and of feature tokens are signals with their names. The layers before run on
    the golden model; without INPUT on zeros.
    """
    arrays = ([p.array for p in prepare_inputs(loaded, inputs, fit)] if inputs
              else [np.zeros(spec.shape, spec.dtype) for spec in loaded.inputs])
    file, result = trace_layer(loaded, arrays, layer, config_named(config), out)
    save, commands = file.with_suffix(".gtkw"), file.with_suffix(".sucl")
    write_whole(save, gtkwave(file.name).encode())
    write_whole(commands, surfer().encode())
    say(f"layer {layer} ({result.name}): {result.cycles:,} cycles in {file}, {file.stat().st_size:,} bytes")
    say(f"gtkwave {save}")
    say(f"surfer -c {commands} {file}")
