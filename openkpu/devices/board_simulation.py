# SPDX-License-Identifier: Apache-2.0
"""The Verilated LiteX SoC as a program whose UARTBone is a TCP port, and a link to it."""

from __future__ import annotations

import os
import select
import sys
from importlib.metadata import version
from pathlib import Path

from ..errors import DeviceError
from ..hw.configs import CORES, config_named
from ..hw.sources import INCLUDE, PACKAGE, below
from . import guard
from .build import SIM, VERILATE, build_in_cache, cached_folder
from .link import BAUDRATE, Link, need_litex, serve_uart
from .verilator import verilator_environment

PROGRAM = "board"
START_SECONDS = 60.0
MAKERS = ("kpu", "soc", "simulation", "ulx3s")  # modules of openkpu.boards
GENERATORS = ("litex", "litedram", "migen")


def program(config: str) -> Path:
    """The simulator with a KPU of a configuration, built if it is not in the cache.

    DeviceError if a tool is missing or the build fails.
    """
    need_litex()
    environment = verilator_environment()
    sources = [SIM / "board.cpp", *(PACKAGE / "boards" / f"{name}.py" for name in MAKERS), PACKAGE / "hw" / "board.py",
               *sorted(INCLUDE.glob("*.vh")), *below(["kpu_core"])]
    options = [*VERILATE, "--top-module", "sim"]
    made_by = [f"{name} {version(name)}" for name in GENERATORS]
    folder = cached_folder(sources, [*options, config, repr(CORES[config]), *made_by], environment)

    def commands(objects: Path) -> list[list[str]]:
        generate = [sys.executable, "-m", "openkpu.boards.simulation", config, str(objects)]
        verilate = ["verilator", *options, f"-I{INCLUDE}", "-Mdir", str(objects), "-o", PROGRAM,
                    str(objects / "sim.v"), *map(str, below(["kpu_core"])), str(SIM / "board.cpp")]
        return [generate, verilate]

    return build_in_cache(folder, PROGRAM, commands, environment)


def simulated_link(config: str) -> Link:
    """Start the simulator and reach it as a board on a serial port. UsageError if there is no such configuration."""
    config_named(config)
    command = [str(program(config))]
    reader, writer = os.pipe()
    try:
        process = guard.start(command, dict(os.environ), writer)
    finally:
        os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], START_SECONDS)
        text = os.read(reader, 64).decode() if ready else ""
        if not text.strip().isdecimal():
            raise DeviceError(f"the simulated board does not start: {text.strip() or 'it says nothing'}")
        link = serve_uart(f"socket://127.0.0.1:{text.strip()}", BAUDRATE, "the simulated board",
                          then=lambda: guard.end(process, patience=1.0))
    except BaseException:
        guard.end(process)
        raise
    finally:
        os.close(reader)
    return link
