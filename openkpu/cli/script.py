# SPDX-License-Identifier: Apache-2.0
"""``openkpu script``: run an unmodified MaixPy or CanMV script."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

import click

from openkpu.api.board.settings import BOARD_NAMES
from openkpu.devices.backends import BACKENDS
from openkpu.errors import OpenKPUError, UsageError

from .interruption import before_the_end


class ScriptError(OpenKPUError):
    """An exception of the script, as one sentence with the script's line."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


@click.command("script")
@click.argument("file", metavar="FILE.py", type=click.Path(dir_okay=False))
@click.option("--camera", metavar="SRC",
              help="Picture, folder, glob, video, or 'synthetic' (the default: a drawn scene).")
@click.option("--flash", "flash_items", metavar="IMAGE_OR_KFPKG[@OFFSET]", multiple=True,
              help="Burn a file into the 16 MiB flash; repeatable. A kmodel needs an offset: a.kmodel@0x300000")
@click.option("--sd", type=click.Path(file_okay=False),
              help="Folder behind /sd (default ./sd, else the script's folder).")
@click.option("--fs", type=click.Path(file_okay=False),
              help="Folder behind /flash (default ./flash, else the script's folder).")
@click.option("--lcd", default="lcd", show_default=True, type=click.Path(file_okay=False),
              help="Folder for the screen's frames and the peripherals' logs; those of an earlier run are removed.")
@click.option("--lcd-last", is_flag=True, help="Keep only the last frame.")
@click.option("--window", is_flag=True, help="Show the screen in a window as well.")
@click.option("--frames", type=click.IntRange(1),
              help="Stop after that many camera frames, repeating the feed if it is shorter.")
@click.option("--time-limit", metavar="S", type=click.FloatRange(0), default=600.0, show_default=True,
              help="End a script that takes no camera frame and runs no inference for S seconds; 0: wait for ever.")
@click.option("--scaling", type=click.Choice(["stretch", "fit", "crop"]), default="stretch", show_default=True,
              help="How camera pictures are brought to the frame size.")
@click.option("--ai", type=click.Choice(["rgb565", "rgb888"]), default="rgb565", show_default=True,
              help="What the KPU sees of a camera picture: the RGB565 pixels, or all eight bits.")
@click.option("--camera-rotation", type=click.Choice(["0", "90", "180", "270"]), default="0", show_default=True,
              help="Turn camera pictures clockwise, for scripts written for a camera mounted otherwise.")
@click.option("--mirror", is_flag=True, help="Let sensor.set_hmirror and set_vflip act on the feed.")
@click.option("--key", "keys", metavar="FRAME[:MS]", multiple=True,
              help="Press the boot key (M5StickV: button A) at a frame (from 0) for MS (100) ms.")
@click.option("--board", type=click.Choice(BOARD_NAMES), default="generic", show_default=True,
              help="Whose pin names board_info has, and the size of the screen.")
@click.option("--uart", metavar="[UARTn=]TARGET", multiple=True,
              help="Connect a serial port: pty (a new pseudo-terminal), a file (what the script receives), or a port "
                   "of this computer. What is sent is also in uart<n>.log beside the frames.")
@click.option("--network", is_flag=True, help="Let the script's sockets reach other computers than this one.")
@click.option("--clock", type=click.Choice(["wall", "chip"]), default="wall", show_default=True,
              help="What ticks_ms and fps measure: this computer, or the KPU's cycles at 400 MHz.")
@click.option("--no-sleep", is_flag=True, help="sleep_ms and sleep_us return at once.")
@click.option("--backend", default="functional", show_default=True, envvar="K210_BACKEND",
              help="; ".join(f"{name}: {text}" for name, (_, _, text) in BACKENDS.items()))
@click.option("--compat", type=click.Choice(["friendly", "strict"]), default="friendly", show_default=True,
              envvar="K210_COMPAT",
              help="Strict keeps the firmware's surprises.")
@click.option("--forward3", type=click.Choice(["end_layer", "out_index"]), default="end_layer", show_default=True,
              envvar="K210_FORWARD3",
              help="Meaning of KPU.forward's third argument: as documented, or as in late firmware.")
def script(file, camera, flash_items, sd, fs, lcd, lcd_last, window, frames, time_limit, scaling, ai, camera_rotation,
           mirror, keys, board, uart, network, clock, no_sleep, backend, compat, forward3):
    """Run a MaixPy or CanMV script on a simulated K210.

    \b
    Pictures stand in for the camera, PNG frames for the screen, a flash image for the flash:
      openkpu script demo_find_face.py --camera photos/ --flash face_model_at_0x300000.kfpkg
    Endless loops end with the feed. Exit codes: 0 done, 2 wrong use, 3 bad model, 4 bad picture, 5 device failure,
    1 any other error of the script.
    """
    from openkpu.api.board.board import Board, Settings
    from openkpu.api.runner import run_script
    from openkpu.flash import Flash

    settings = Settings(
        compat=compat, forward3=forward3, backend=backend, camera=camera, frames=frames, scaling=scaling, ai=ai,
        mirror=mirror, clock=clock, sleep=not no_sleep, keys=tuple(_key(text) for text in keys),
        sd=sd and Path(sd), fs=fs and Path(fs), lcd=Path(lcd).absolute(), lcd_last=lcd_last, window=window,
        camera_rotation=int(camera_rotation), board=board, uart=uart, network=network, time_limit=time_limit,
    )
    flash = Flash()
    for item in flash_items:
        flash.burn_argument(item)
    remove_old_frames(Path(lcd).absolute())
    simulated = Board(settings, flash)
    before_the_end(lambda: click.echo(summary(simulated, "interrupted by the user"), err=True))
    simulated.on_swallowed_exit = lambda: _leave(simulated)
    outcome = run_script(file, simulated)
    sys.stdout.flush()
    simulated.close()
    click.echo(summary(simulated, outcome.reason if outcome.error is None else "an error"), err=True)
    if outcome.error is not None:
        raise ScriptError(outcome.reason, outcome.exit_code) from outcome.error
    click.get_current_context().exit(outcome.exit_code)


def _key(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", text)
    if not match:
        raise UsageError(f"--key {text}: give FRAME or FRAME:MS, such as 12:100")
    return int(match[1]), int(match[2] or 100)


def remove_old_frames(folder: Path) -> None:
    """Delete frame_<number>.png and the logs of an earlier run."""
    for path in [*folder.glob("frame_*.png"), *folder.glob("*.log")]:
        if re.fullmatch(r"frame_\d{6,}\.png|uart[123]\.log|peripherals\.log", path.name):
            path.unlink()


def summary(board, reason: str) -> str:
    """Frames, detections, cycles per frame and where the pictures are, one line each."""
    from openkpu.api.peripherals.uart import bytes_sent

    counters, folder = board.counters, board.settings.lcd
    pictures = sorted(folder.glob("frame_*.png"))
    if counters.cycles is None:
        cycles = f"not counted by the {board.settings.backend} back end"
    else:
        cycles = f"{counters.cycles / max(1, counters.snapshots):,.0f}"
    where = f"{len(pictures)} in {folder} ({pictures[0].name} ... {pictures[-1].name})" if pictures else "none"
    rows = [("ended by", reason), ("frames", f"{counters.snapshots} taken, {counters.displays} shown"),
            ("inferences", counters.inferences), ("detections", counters.detections), ("cycles per frame", cycles),
            ("pictures", where)]
    rows += ((port, f"{count} bytes sent, in {folder / port.lower()}.log")
                  for port, count in bytes_sent(board).items())
    return "\n".join(f"{name + ':':<18}{value}" for name, value in rows)


def _leave(board) -> None:
    """End a script that catches SystemExit or waits in a system call: only the process's end stops it."""
    click.echo(summary(board, f"{board.ended} (the script catches SystemExit, or is blocked)"), err=True)
    with contextlib.suppress(Exception):
        board.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
