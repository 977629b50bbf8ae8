# SPDX-License-Identifier: Apache-2.0
"""The short scripts in ``tests/scripts``, one per idiom of public device scripts, through the command line.

Each begins with a sentence and lines of what to expect: ``options`` of the run, ``exit`` code (0), and regular
expressions for what it ``prints``, what is in the summary as ``ended by``, what the console ``says`` or not
(``silent``), what it ``wrote`` to a log, and what the last of its ``pictures`` is. ``rtl`` gives the options of a
second run in the RTL; ``process`` runs it in a process of its own and expects that on the console; ``needs`` names a
module.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openkpu.api.board.board import Board, use_board
from openkpu.cli.main import run_cli

from .conftest import DEMO, REPO

FOLDER = REPO / "tests" / "scripts"
_HEADER = re.compile(r"# ([a-z ]+): (.+)")


def expectations(path: Path) -> dict[str, list[str]]:
    """Values of the header's lines by their names."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if match := _HEADER.fullmatch(line):
            found.setdefault(match[1], []).append(match[2])
    return found


SCRIPTS = {path.stem: expectations(path) for path in sorted(FOLDER.glob("*.py"))}


@pytest.fixture
def place(tmp_path, demo_v3):
    """A folder with the script's card: the demo model as demo.kmodel and the files of tests/scripts/card."""
    card = tmp_path / "card"
    shutil.copytree(FOLDER / "card", card)
    shutil.copy(demo_v3, card / "demo.kmodel")
    shutil.copy(DEMO / "anchors.txt", card)
    (tmp_path / "flash").mkdir()
    yield tmp_path
    use_board(Board())


def arguments(name: str, place: Path, options: str) -> list[str]:
    words = [str(DEMO / "pictures") if word == "demo" else word.replace("{here}", str(FOLDER))
             for word in shlex.split(options)]
    return ["script", str(FOLDER / f"{name}.py"), "--sd", str(place / "card"), "--fs", str(place / "flash"), "--lcd",
            str(place / "lcd"), *words]


def check(expected: dict[str, list[str]], code: int, out: str, err: str, logs: Path) -> None:
    report = f"exit code {code}\n--- printed\n{out}\n--- console\n{err}"
    assert code == int(expected.get("exit", ["0"])[0]), report
    for pattern in expected.get("prints", []):
        assert re.search(pattern, out), f"{pattern} was not printed\n{report}"
    for pattern in expected.get("says", []):
        assert re.search(pattern, err), f"{pattern} is not on the console\n{report}"
    for pattern in expected.get("silent", []):
        assert not re.search(pattern, err), f"{pattern} is on the console\n{report}"
    for pattern in expected.get("ended by", []):
        assert re.search("ended by: +" + pattern, err), report
    for line in expected.get("wrote", []):
        log, _, pattern = line.partition(": ")
        content = (logs / log).read_bytes().decode("latin-1")
        assert re.search(pattern, content, re.DOTALL), f"{pattern} is not in {log}: {content[:500]!r}"
    for line in expected.get("pictures", []):
        check_picture(line, sorted(logs.glob("frame_*.png"))[-1])


def check_picture(line: str, path: Path) -> None:
    """``WxH`` or ``WxH white at X,Y``, dark in the opposite corner."""
    match = re.fullmatch(r"(\d+)x(\d+)(?: white at (\d+),(\d+))?", line)
    picture = np.asarray(Image.open(path))
    assert picture.shape[:2] == (int(match[2]), int(match[1]))
    if match[3]:
        x, y = int(match[3]), int(match[4])
        assert picture[y, x].min() > 240 and picture[-1 - y, -1 - x].max() < 16


def run(name: str, place: Path, options: str, capfd) -> None:
    expected = SCRIPTS[name]
    for module in expected.get("needs", []):
        pytest.importorskip(module)
    capfd.readouterr()
    code = run_cli(arguments(name, place, options))
    captured = capfd.readouterr()
    check(expected, code, captured.out, captured.err, place / "lcd")


@pytest.mark.parametrize("name", [name for name, expected in SCRIPTS.items() if "process" not in expected])
def test_script_on_the_functional_back_end(name, place, capfd):
    run(name, place, SCRIPTS[name].get("options", [""])[0], capfd)


@pytest.mark.rtl
@pytest.mark.parametrize("name", [name for name, expected in SCRIPTS.items() if "rtl" in expected])
def test_script_on_the_rtl(name, place, capfd):
    options = SCRIPTS[name]["options"][0].replace("--frames 2", "").replace("--frames 3", "")
    run(name, place, f"{options} {SCRIPTS[name]['rtl'][0]} --backend rtl", capfd)


@pytest.mark.parametrize("name", [name for name, expected in SCRIPTS.items() if "process" in expected])
def test_script_in_a_process_of_its_own(name, place):
    command = [sys.executable, "-m", "openkpu", *arguments(name, place, SCRIPTS[name].get("options", [""])[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=place,
                          env={**os.environ, "PYTHONPATH": str(REPO)})
    assert done.returncode == 0 and re.search(SCRIPTS[name]["process"][0], done.stderr), done.stderr


def test_no_pseudo_terminal_is_said(place, monkeypatch, capfd):
    def none():
        raise OSError("out of pty devices")

    monkeypatch.setattr("pty.openpty", none)
    (place / "uart.py").write_text("from machine import UART\nUART(UART.UART3, 115200)\n")
    assert run_cli(["script", str(place / "uart.py"), "--uart", "UART3=pty"]) == 2
    assert "no pseudo-terminal (out of pty devices)" in capfd.readouterr().err


def test_a_pseudo_terminal_talks_with_the_script(place):
    (place / "echo.py").write_text(
        "from machine import UART\nu = UART(UART.UART3, 115200, timeout=20000)\nu.write('ready\\n')\n"
        "line = u.readline()\nu.write(b'got ' + line)\nimport time\ntime.sleep(0.5)\n")
    command = [sys.executable, "-m", "openkpu", "script", "echo.py", "--uart", "UART3=pty"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=place,
                               env={**os.environ, "PYTHONPATH": str(REPO)})
    try:
        name = re.search(r"UART3 is (\S+)", running.stderr.readline())[1]
        with open(name, "r+b", buffering=0) as terminal:
            assert terminal.readline() == b"ready\n"
            terminal.write(b"hello\n")
            assert terminal.readline() == b"got hello\n"
        assert running.wait(timeout=60) == 0
    finally:
        running.kill()
        running.stderr.close()
    assert (place / "lcd" / "uart3.log").read_bytes() == b"ready\ngot hello\n"
