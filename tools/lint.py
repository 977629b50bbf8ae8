# SPDX-License-Identifier: Apache-2.0
"""Checks the RTL with three tools, without warnings: Verilator -Wall in every configuration, verible, slang.

What is allowed, and why, stands in rtl/lint/waivers.vlt (Verilator) and rtl/lint/verible.rules.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

import pyslang

from openkpu.devices.verilator import verilator_environment
from openkpu.hw.configs import CORES
from openkpu.hw.sources import FILES, ROOT

SOURCES = [str(path.relative_to(ROOT)) for path in FILES.values()]
TOP = "kpu_soc"  # holds every module but the cache, which kpu_core has in its place of the AI RAM
SCRIPTS = {"PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))}


def clean(name: str, command: list[str], environment: dict[str, str]) -> bool:
    """Run one tool in the repository's root; print what it says and tell whether it had nothing to say."""
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # Verilator reports its run time in lines that begin with "- ".
    findings = [line for line in done.stdout.splitlines() if not line.startswith("- ")]
    good = done.returncode == 0 and not findings
    print("\n".join([f"{name}: {'clean' if good else 'not clean'}", *findings]), flush=True)
    return good


def slang() -> bool:
    """Parse and elaborate all files with slang."""
    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    good = driver.parseCommandLine(" ".join(
        ["slang", "--std=1364-2005", "-Wextra", "-Werror", f"--top={TOP}", "-I", str(ROOT / "rtl/include"),
         *(str(ROOT / source) for source in SOURCES)]))
    good = good and driver.processOptions() and driver.parseAllSources()
    if good:
        compilation = driver.createCompilation()
        driver.reportCompilation(compilation, True)
        good = driver.reportDiagnostics(True)
    print(f"slang: {'clean' if good else 'not clean'}", flush=True)
    return good


def main() -> int:
    """Run everything, also after the first finding; 1 if there was one."""
    results = [
        clean(f"verilator {name}",
              ["verilator", "--lint-only", "-Wall", "-Irtl/include", "--top-module",
               "kpu_core" if core.CACHE_LINES else TOP,
               *(f"-G{parameter}={value}" for parameter, value in core.verilog().items()),
               "rtl/lint/waivers.vlt", *SOURCES],
              verilator_environment())
        for name, core in CORES.items()
    ]
    verible = ["verible-verilog-lint", "--rules_config=rtl/lint/verible.rules", *SOURCES]
    results.append(clean("verible", verible, SCRIPTS))
    results.append(slang())
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
