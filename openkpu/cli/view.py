# SPDX-License-Identifier: Apache-2.0
"""openkpu view: feature maps in a browser on this computer."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from ..devices.backends import BACKENDS, open_device
from ..errors import InputError
from ..hw.configs import config_named
from ..kmodel import Model
from ..viewer.runner import Runner
from ..viewer.server import Viewer, pictures_of
from .options import FILE, FITS, config_option, model_argument, say


@click.command()
@model_argument
@click.argument("picture", type=FILE, required=False, metavar="[PICTURE|FOLDER]")
@click.option("--backend", type=click.Choice(list(BACKENDS)), default="functional", show_default=True,
              help="Where the layers run.")
@config_option
@click.option("--rounding", type=click.Choice(["simulator", "chip"]), default="simulator", show_default=True,
              help="Ties in quantize operators on the host.")
@click.option("--fit", type=click.Choice(FITS), default="stretch", show_default=True,
              help="How a picture is brought to the model's size.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port of the page; 0: any.")
@click.option("--open", "start", is_flag=True, help="Start the browser, too.")
def view(loaded: Model, picture: Path | None, backend: str, config: str, rounding: str, fit: str, port: int,
         start: bool) -> None:
    """Look at MODEL's feature maps in a browser on this computer.

    Layers run when they are looked at. PICTURE is a file or a folder; the page takes others from a file or from the
    browser's camera. Nothing outside this computer can reach it. Ctrl-C ends it.
    """
    pictures = pictures_of(picture) if picture else []
    if picture and not pictures:
        raise InputError(f"{picture}: holds no picture")
    device = open_device(backend, config_named(config))
    try:
        runner = Runner(loaded, device, fit, rounding == "chip")
        try:
            with Viewer(runner, pictures, backend, port) as viewer:
                if pictures:
                    viewer.choose(0)  # a picture that cannot be read is said here, not in the browser
                say(f"{viewer.url}   (Ctrl-C ends)")
                if start:
                    webbrowser.open(viewer.url)
                viewer.serve_forever()
        finally:
            runner.close()
    finally:
        device.close()
