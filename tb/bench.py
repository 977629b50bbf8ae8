# SPDX-License-Identifier: Apache-2.0
"""Builds and runs one cocotb bench; shared by every ``tb/<folder>/test_<module>.py``, whose folders are the RTL's.

A bench's module holds the ``cocotb.test`` functions, which run inside the simulator, and one pytest function that calls
``run_bench`` with its own dotted name. Simulators are built once per content of their sources, parameters and options.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from openkpu.devices.build import start_afresh
from openkpu.devices.libpython import libpython_environment
from openkpu.devices.verilator import cocotb_arguments, verilator_environment, with_optimisation
from openkpu.errors import DeviceError
from openkpu.hw.configs import ON_CHIP
from openkpu.hw.sources import INCLUDE, below

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "tb"
SIMULATORS = ("icarus", "verilator")
# Every configuration on Icarus, and one on Verilator, which compiles for longer than the short benches run.
CONFIGURATIONS = [("icarus", name) for name in ON_CHIP] + [("verilator", "full")]


def run_bench(simulator: str, toplevel: str, module: str, sources: Iterable[Path] = (), *,
              parameters: dict[str, object] | None = None, build_args: Iterable[str] = (), optimise: str = "-O1",
              environment: dict[str, str] | None = None, test_filter: str | None = None,
              seed: int | None = None, depth: int = 1) -> None:
    """Build ``toplevel`` and run the cocotb tests of ``module`` (a dotted name below ``tb``).

    Parameters
    ----------
    simulator : "icarus" or "verilator"; the calling test is skipped by name when it is not installed.
    sources : the bench's own Verilog files, and C++ files for Verilator. The RTL's files that they or ``toplevel``
        need are found, and ``rtl/include`` is searched for includes.
    parameters : of ``toplevel``.
    build_args : further options of the simulator's compiler.
    optimise : option of the C++ compiler; "-O1" builds quickly, "-O3" pays for long runs.
    environment : variables the tests read.
    test_filter : regular expression of the tests to run.
    seed : of ``random`` and of the initial state; random if None. COCOTB_RANDOM_SEED overrides it.

    depth : levels of instances whose signals the tests see on Verilator; 1 is the top level alone.

    A failing test fails the calling one; the log above it names the cocotb test and the seed. WAVES=1 in the
    environment leaves a waveform in the build folder that the log names.
    """
    from cocotb_tools.runner import get_results, get_runner

    own = [Path(source) for source in sources]
    sources = [*below([path for path in own if path.suffix == ".v"] or [toplevel]), *own]
    seed = int(os.environ.get("COCOTB_RANDOM_SEED", seed if seed is not None else int.from_bytes(os.urandom(3))))
    args = list(build_args)
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **(environment or {})}
    plusargs = []
    if simulator == "verilator":
        os.environ.update(_or_skip(lambda: with_optimisation(verilator_environment(), optimise)))
        args += [*cocotb_arguments(depth), "--timing", "-LDFLAGS", "-rdynamic"]
        args += [str(source) for source in sources if source.suffix == ".cpp"]
        plusargs = ["+verilator+rand+reset+2", f"+verilator+seed+{seed or 1}"]
    else:
        require_icarus()
    os.environ.update(_or_skip(libpython_environment))
    waves = bool(int(os.environ.get("WAVES", "0")))
    verilog = [source for source in sources if source.suffix != ".cpp"]
    key = _content_key(simulator, toplevel, sources, parameters, args, optimise, waves)
    build = BUILD / f"{toplevel}-{simulator}-{key}"
    build.mkdir(parents=True, exist_ok=True)
    runner = get_runner(simulator)
    with (build / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (build / "built").exists():
            start_afresh(build)
            runner.build(sources=verilog, hdl_toplevel=toplevel, parameters=parameters or {}, waves=waves,
                         includes=[INCLUDE], build_dir=build, build_args=args, timescale=("1ns", "1ps"))
            (build / "built").touch()
    # Its own folder for each run: pytest-xdist may run the same build twice at a time.
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=build))
    results = folder / "results.xml"
    try:
        runner.test(hdl_toplevel=toplevel, hdl_toplevel_lang="verilog", test_module=module, build_dir=build,
                    test_dir=folder, seed=seed, test_filter=test_filter, waves=waves, results_xml=str(results),
                    plusargs=plusargs, parameters=parameters or {}, extra_env=environment, timescale=("1ns", "1ps"))
    except SystemExit:
        pytest.fail(f"tests of {module} failed on {simulator} with seed {seed}; the log names them. "
                    f"COCOTB_RANDOM_SEED={seed} WAVES=1 shows it again with a waveform in {folder}", pytrace=False)
    count, _ = get_results(results)
    if not waves:
        shutil.rmtree(folder)
    assert count, f"no test of {module} matches {test_filter}"


def require_icarus() -> None:
    """Skip the calling test by name where there is no Icarus Verilog."""
    if not shutil.which("iverilog"):
        pytest.skip("Icarus Verilog is not installed; install it with: sudo apt-get install iverilog")


def _or_skip(environment: Callable[[], dict[str, str]]) -> dict[str, str]:
    try:
        return environment()
    except DeviceError as error:  # a tool is missing; the message names it
        pytest.skip(str(error))


def _content_key(simulator: str, toplevel: str, sources: list[Path], *options: object) -> str:
    digest = hashlib.sha256(repr((simulator, toplevel, options)).encode())
    headers = {header for path in sources if path.suffix == ".cpp" for header in path.parent.glob("*.h")}
    for path in [*sources, *sorted(headers), *sorted(INCLUDE.iterdir())]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
