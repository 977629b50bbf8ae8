# SPDX-License-Identifier: Apache-2.0
"""The five commands of docs/compile-your-own.md, as they stand there."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "compile-your-own.md").read_text()
DEMO = ROOT / "examples" / "demo"


def commands() -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for line in re.findall(r"^    (\S.*#.*\d\..*)$", GUIDE, re.MULTILINE)]
    assert [line[0] for line in lines] == ["pip", "python", "openkpu", "openkpu", "openkpu"]
    return lines


def test_the_guide_leads_from_pytorch_to_a_result(tmp_path):
    """Without PyTorch the demo's committed network takes the place of the export, and the test says so."""
    (script,) = re.findall(r"```python\n(import torch\n.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "export.py").write_text(script)
    (tmp_path / "pictures").mkdir()
    for picture in sorted((DEMO / "pictures").glob("*.png"))[:4]:
        shutil.copy(picture, tmp_path / "pictures")
    shutil.copy(DEMO / "pictures" / "heldout_006.png", tmp_path / "photo.jpg")
    _, *rest = commands()
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: examples/demo/shapes.onnx instead of the guide's export")
        shutil.copy(DEMO / "shapes.onnx", tmp_path / "mine.onnx")
        rest = rest[1:]
    for words in rest:
        program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "openkpu"]
        done = subprocess.run([*program, *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                              check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
    assert (tmp_path / "mine.kmodel").is_file()
    assert (tmp_path / "result" / "out_0.npy").is_file()
