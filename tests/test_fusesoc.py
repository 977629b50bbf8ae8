# SPDX-License-Identifier: Apache-2.0
"""FuseSoC runs what ``openkpu.core`` offers, with the tools of Python's packages."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from openkpu.hw.sources import ROOT

FUSESOC = Path(sysconfig.get_path("scripts")) / "fusesoc"
SECONDS = 1500


def run(folder: Path, target: str) -> str:
    if not FUSESOC.exists():
        pytest.skip("FuseSoC is not installed; install it with: pip install -e '.[synth]'")
    command = [sys.executable, "-m", "openkpu.devices.verilator", str(FUSESOC), "--cores-root", str(ROOT), "run",
               "--target", target, "openkpu:openkpu:kpu"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.slow
def test_sim_checks_a_layer(tmp_path):
    assert "0 wrong pixels" in run(tmp_path, "sim")


@pytest.mark.slow
def test_lint_is_clean(tmp_path):
    assert "%Warning" not in run(tmp_path, "lint")


@pytest.mark.slow
def test_synthesis_uses_the_projects_arithmetic(tmp_path):
    said = run(tmp_path, "synth_tiny")
    assert "TRELLIS_COMB" in said
    log = next(tmp_path.rglob("yosys.log")).read_text()
    assert "ecp5_arith.v" in log
