# SPDX-License-Identifier: Apache-2.0
"""The packages' order: nothing imports upwards, nothing goes round in a circle (contracts in pyproject.toml)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def contracts(folder: Path) -> subprocess.CompletedProcess:
    pytest.importorskip("importlinter")
    command = "from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run([sys.executable, "-c", command, "--no-cache"], cwd=folder, text=True, capture_output=True)


def test_contracts_are_kept():
    done = contracts(ROOT)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


def test_golden_model_knows_registers_and_layers_only():
    for path in (ROOT / "tb" / "models").glob("*.py"):
        imported = {node.module or "" for node in ast.walk(ast.parse(path.read_text()))
                    if isinstance(node, ast.ImportFrom) and not node.level}
        own = {name for name in imported if name.startswith("openkpu")}
        assert all(name.startswith(("openkpu.hw.", "openkpu.errors")) for name in own), f"{path.name}: {own}"
