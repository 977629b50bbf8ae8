# SPDX-License-Identifier: Apache-2.0
"""Builds an sdist, from it a wheel, and uses every command of the wheel outside the checkout.

Usage: python tools/check_wheel.py [--rtl] [PYTHON ...]; PYTHON is an interpreter, by default this one.

For each interpreter a virtual environment is made in a temporary folder, with a cache of its own and nothing of the
checkout but the demo's model and a picture. --rtl also installs the extra "rtl" and runs the commands that simulate,
which builds the simulator (minutes). Ends with code 1 at the first command that fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "demo"
PICTURE = DEMO / "pictures" / "heldout_006.png"
SCRIPT = ROOT / "examples" / "face_find.py"
COMMANDS = [
    "--version", "info shapes.kmodel", "run shapes.kmodel heldout_006.png --out functional --json functional.json",
    "run shapes.kmodel heldout_006.png --yolo2 anchors.txt --labels labels.txt --out boxes",
    "dump shapes.kmodel heldout_006.png --layer 4 --out dump", "flash build flash.bin shapes_v3.kmodel@0x300000",
    "flash ls flash.bin", "flash extract flash.bin 0x300000 extracted.kmodel", "completion bash",
    "script face_find.py --camera pictures --lcd frames --frames 2"]
SIMULATING = [
    "run shapes.kmodel heldout_006.png --backend rtl --out rtl --json rtl.json", "profile shapes.kmodel",
    "compare shapes.kmodel heldout_006.png"]
BOUND = 1800


def run(command: list[str | Path], folder: Path, environment: dict[str, str]) -> None:
    """Run a command; print it with its time, and its output where it fails."""
    begin = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=BOUND, check=False)
    shown = " ".join([Path(command[0]).name, *map(str, command[1:])])
    print(f"{time.monotonic() - begin:8.1f} s  {shown}", flush=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nended with code {done.returncode}: {shown}")


def check(python: str, wheel: Path, rtl: bool, folder: Path) -> None:
    """Every command with one interpreter."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"XDG_CACHE_HOME": str(folder / "cache"), "PATH": f"{folder / 'venv/bin'}:{environment['PATH']}"}
    for path in (DEMO / "shapes.kmodel", DEMO / "shapes_v3.kmodel", DEMO / "anchors.txt", DEMO / "labels.txt", PICTURE,
                 SCRIPT):
        shutil.copy(path, folder)
    (folder / "pictures").mkdir()
    shutil.copy(PICTURE, folder / "pictures")
    (folder / "demo").mkdir()
    for name in ("shapes_v3.kmodel", "anchors.txt", "labels.txt"):
        shutil.copy(DEMO / name, folder / "demo")
    run([python, "-m", "venv", "venv"], folder, environment)
    installed = f"openkpu[rtl] @ {wheel.as_uri()}" if rtl else str(wheel)
    run([folder / "venv/bin/python", "-m", "pip", "install", "-q", installed], folder, environment)
    for command in COMMANDS + (SIMULATING if rtl else []):
        run([folder / "venv/bin/openkpu", *command.split()], folder, environment)
    if rtl:
        same = (folder / "rtl" / "out_0.npy").read_bytes() == (folder / "functional" / "out_0.npy").read_bytes()
        print("rtl and functional back end: " + ("the same bytes" if same else "DIFFERENT"))
        if not same:
            sys.exit(1)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtl", action="store_true")
    parser.add_argument("pythons", nargs="*", default=[sys.executable], metavar="PYTHON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openkpu-wheel-") as folder:
        dist = Path(folder) / "dist"
        run([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)], ROOT, dict(os.environ))
        for number, python in enumerate(options.pythons):
            own = Path(folder) / f"python-{number}"
            own.mkdir()
            version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout.strip()
            print(version, flush=True)
            check(python, next(dist.glob("*.whl")), options.rtl, own)


if __name__ == "__main__":
    main()
