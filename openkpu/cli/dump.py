# SPDX-License-Identifier: Apache-2.0
"""openkpu dump: what one layer produces."""

from __future__ import annotations

from pathlib import Path

import click

from ..draw import tiled
from ..inputs import prepare_inputs
from ..kmodel import Model
from .files import write_array, write_picture
from .options import FILE, input_arguments, model_argument, open_session, say, show_shape
from .progress import ProgressHook


@click.command()
@model_argument
@input_arguments
@click.option("--layer", type=int, required=True, help="Layer number, as in `openkpu info`.")
@click.option("--out", type=FILE, default="out", show_default=True, help="Folder of the results.")
def dump(loaded: Model, inputs: tuple[Path, ...], fit: str, rounding: str,
         backend: str, layer: int, out: Path) -> None:
    """Run MODEL on INPUT up to a layer and write that layer's feature map.

    Writes layer_<N>.npy (uint8 codes C,H,W for a KPU layer, with N in front for a batch) and layer_<N>.png, a grey
    tile per channel.
    """
    with open_session(loaded, backend, rounding) as session:
        session.layers_up_to(layer)
        prepared = prepare_inputs(loaded, inputs, fit)
        with ProgressHook(loaded, layer, session.device) as progress:
            session.run([p.array for p in prepared], hooks=(progress,), end_layer=layer)
        array = session.layer_output(layer)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    write_array(out / f"layer_{layer}.npy", array)
    write_picture(out / f"layer_{layer}.png", tiled(array))
    step = loaded.layers[layer]
    say(f"layer {layer} ({step.name}, {step.where}): {array.dtype} {show_shape(array.shape)} in "
        f"{out / f'layer_{layer}.npy'} and .png")
