# SPDX-License-Identifier: Apache-2.0
"""Random networks compiled by nncase 1.9, whose simulator says what they give: OpenKPU must give the same bytes.

    python -m tools.nncase_campaign --count 300 --seed 7
    python -m tools.nncase_campaign --count 100 --backend rtl

Needs CPython 3.10 with tests/requirements-nncase.txt (``make nncase-ops`` makes build/compile).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openkpu.devices.backends import BACKENDS, open_device
from openkpu.errors import OpenKPUError
from openkpu.hw.device import Device
from openkpu.hw.fields import AIRAM_BASE, AIRAM_BYTES
from openkpu.kmodel import Model, load
from openkpu.runtime import Session

ROOT = Path(__file__).parent.parent
MAKER = ROOT / "tests" / "nncase_networks.py"
NO_NNCASE = ("nncase 1.9 was not found: run `make nncase-ops`, or name a CPython 3.10 that has it with "
             "OPENKPU_NNCASE_PYTHON")
SECONDS_PER_NETWORK = 25
"""The maker's own limit of one network, and a little more."""


def nncase_python() -> Path | None:
    """The interpreter that has nncase 1.9, or None."""
    named = os.environ.get("OPENKPU_NNCASE_PYTHON")
    found = Path(named) if named else ROOT / "build" / "compile" / "bin" / "python"
    return found.absolute() if found.exists() else None


def make_networks(folder: Path, seed: int, count: int, first: int = 0) -> list[Path]:
    """The kmodels of networks ``first`` to ``first + count - 1`` of a seed; beside each its .npz, or its .refused.

    Raises
    ------
    RuntimeError : there is no nncase, or it did not do its work.
    """
    python = nncase_python()
    if python is None:
        raise RuntimeError(NO_NNCASE)
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(MAKER), str(folder), str(seed), str(count), str(first)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=count * SECONDS_PER_NETWORK)
    if done.returncode:
        raise RuntimeError(f"{MAKER.name} ended with {done.returncode}: {done.stderr[-400:]}")
    return sorted(folder.glob(f"{seed}-*.kmodel"))


def differences(kmodel: Path, device: Device) -> list[str]:
    """What OpenKPU gives otherwise than nncase's simulator, which wrote the .npz beside the kmodel."""
    try:
        model = load(kmodel)
        with np.load(kmodel.with_suffix(".npz")) as case:
            wanted = [case[f"y{i}"] for i in range(len(model.outputs))]
            # As nncase's simulator starts: a miscompiled file may read what nothing has written.
            device.write_memory(AIRAM_BASE, bytes(AIRAM_BYTES))
            found = Session(model, device).run([case[f"x{i}"] for i in range(len(model.inputs))])
    except OpenKPUError as error:
        return [f"{type(error).__name__}: {error}"]
    return [text for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if (text := _difference(i, a, b))]


def _difference(index: int, found: np.ndarray, wanted: np.ndarray) -> str:
    if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
        return f"output {index} is {found.dtype} {found.shape}, not {wanted.dtype} {wanted.shape}"
    differs = found != wanted
    if found.dtype.kind == "f":
        differs &= ~(np.isnan(found) & np.isnan(wanted))
    if not differs.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(differs)[0])
    return (f"output {index} differs in {differs.sum()} of {differs.size} values, first at {at}: "
            f"{found[at]!r}, not {wanted[at]!r}")


def run_campaign(seed: int, count: int, folder: Path, device: Device, say: Callable[[str], None] = print) -> Counter:
    """Compile, run and compare; ``say`` gets one line per network that is not equal."""
    result: Counter[str] = Counter()
    for kmodel in make_networks(folder, seed, count):
        if not kmodel.with_suffix(".npz").exists():
            continue
        found = differences(kmodel, device)
        result["different" if found else "equal"] += 1
        if found:
            say(f"{kmodel.stem}: " + "; ".join(found))
        elif _miscompiled(load(kmodel)):
            result["miscompiled, equal"] += 1
    refused = sorted(folder.glob(f"{seed}-*.refused"))
    result["refused by nncase"] += len(refused)
    return result


def _miscompiled(model: Model) -> bool:
    return any("miscompiled" in warning for warning in model.warnings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--backend", choices=BACKENDS, default="functional")
    parser.add_argument("--folder", type=Path, help="keep the networks here")
    options = parser.parse_args()
    begin = time.monotonic()
    print(f"seed {options.seed}: {options.count} networks on the {options.backend} back end")
    with tempfile.TemporaryDirectory() as temporary:
        device = open_device(options.backend)
        try:
            result = run_campaign(options.seed, options.count, options.folder or Path(temporary), device)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            device.close()
    print(", ".join(f"{n} {what}" for what, n in sorted(result.items())), f"in {time.monotonic() - begin:.0f} s")
    return 5 if result["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
