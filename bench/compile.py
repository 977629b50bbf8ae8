# SPDX-License-Identifier: Apache-2.0
"""Kmodels by openkpu compile and by nncase 1.9 side by side: accuracy, host steps, KPU cycles, seconds, memory.

Usage: python bench/compile.py [NETWORK ...]; networks of the shared folder (OPENKPU_SHARED), by default those that are
there. Calibrated on the even pictures of ``images`` in sorted order, tested on the odd ones. SQNR is
10 log10(sum ref^2 / sum (ref - out)^2) in dB against onnxruntime, per output. Cycles are those of the configuration
``full`` (openkpu.schedule). nncase 1.9 runs where CPython 3.10 has it (``make nncase-ops``, or the interpreter that
OPENKPU_NNCASE_PYTHON names); its figures of 2026-11-28 are shown otherwise. Every compiler has its own process.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from inputs import ROOT

from openkpu.compiler.compile import Options, compile_network
from openkpu.compiler.importers import import_network
from openkpu.compiler.pictures import load_pictures
from openkpu.compiler.preprocess import Preprocess
from openkpu.compiler.reference import reference
from openkpu.devices.backends import open_device
from openkpu.hw.configs import CORES
from openkpu.kmodel import Model, load
from openkpu.kmodel.model import KpuConv
from openkpu.runtime.session import Session
from openkpu.schedule import cycles
from openkpu.schedule.plan import plan

SHARED = Path(os.environ.get("OPENKPU_SHARED") or ROOT.parent / "shared")
NNCASE = Path(os.environ.get("OPENKPU_NNCASE_PYTHON") or ROOT / "build" / "compile" / "bin" / "python")
COMPILER_LIMIT = 1200
"""Seconds that one compiler may take."""


class Network(NamedTuple):
    """Mean and standard deviation in codes: the network sees (x - mean) / std."""

    file: str
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


NETWORKS = {
    "RFB-320": Network("RFB-320.onnx", (1, 3, 240, 320), (127,) * 3, (128,) * 3),
    "yolox_nano_224": Network("yolox_nano_224.onnx", (1, 3, 224, 224), (123.675, 116.28, 103.53),
                              (58.395, 57.12, 57.375)),
    "ulffd_landmark": Network("ulffd_landmark.tflite", (1, 3, 240, 320), (127,) * 3, (128,) * 3),
}
# What this bench measured with nncase 1.9.0.20230322: SQNR per output, host steps, steps, cycles, seconds, megabytes.
STORED: dict[str, tuple[list[float], int, int, int, float, float]] = {
    "RFB-320": ([38.6, 19.4], 92, 145, 259_928, 5.9, 109),
    "yolox_nano_224": ([7.2], 178, 298, 358_349, 20.7, 124),
    "ulffd_landmark": ([18.2, 17.7, 25.8], 59, 102, 287_704, 22.4, 92),
}


def split() -> tuple[list[Path], list[Path]]:
    """(calibration, test) pictures."""
    found = sorted(p for p in (SHARED / "images").iterdir() if p.suffix in (".jpg", ".png"))
    return found[::2], found[1::2]


def compile_ours(name: str, out: Path) -> None:
    """In a process of its own: the kmodel, and a line of JSON."""
    network = NETWORKS[name]
    begin = time.perf_counter()
    result = compile_network(SHARED / "networks" / network.file, split()[0],
                             Options(Preprocess(1.0, network.mean, network.std)))
    out.write_bytes(result.compiled.data)
    print(json.dumps({"seconds": time.perf_counter() - begin,
                      "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def run_compiler(command: list[str | Path]) -> dict[str, float] | None:
    """What the compiler says about itself; None, with its complaint printed, if it fails."""
    done = subprocess.run(command, text=True, capture_output=True, timeout=COMPILER_LIMIT, check=False)
    if done.returncode:
        print(f"{command[1]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def sqnr(wanted: list[np.ndarray], got: list[np.ndarray]) -> float:
    a, b = (np.concatenate([x.ravel() for x in xs]).astype(np.float64) for xs in (wanted, got))
    return 10 * float(np.log10((a**2).sum() / max(float(((a - b)**2).sum()), 1e-30)))


def kpu_cycles(model: Model) -> int:
    """What the layers take; v4's and v5's runtimes switch the output stream off, whatever the file says."""
    core = CORES["full"]
    plans = [plan(replace(layer.descriptor, send_data_out=int(layer.stream)), core, layer.eight_bit)
             for layer in model.kpu_layers for _ in range(layer.batches)]
    return sum(layer.total for layer in cycles.run(plans, core))


def judge(path: Path, arrays: list[np.ndarray], wanted: list[list[np.ndarray]]) -> dict[str, Any]:
    """Accuracy and cost of a kmodel."""
    model = load(path)
    device = open_device("functional")
    try:
        session = Session(model, device)
        planes = model.inputs[0].shape == arrays[0].shape
        outputs = [session.run([array if planes else array.transpose(0, 2, 3, 1)]) for array in arrays]
    finally:
        device.close()
    return {"sqnr": [sqnr([w[i] for w in wanted], [o[i] for o in outputs]) for i in range(len(model.outputs))],
            "host": sum(not isinstance(layer, KpuConv) for layer in model.layers), "steps": len(model.layers),
            "cycles": kpu_cycles(model)}


def line(compiler: str, name: str, found: dict[str, Any]) -> str:
    accuracy = " / ".join(f"{value:5.1f}" for value in found["sqnr"])
    return (f"{name:16} {compiler:12} {accuracy:>15} dB  {found['host']:4} of {found['steps']:4} steps on the host  "
            f"{found['cycles']:9,} cycles  {found['seconds']:6.1f} s  {found['megabytes']:6.0f} MB")


def bench(name: str, folder: Path) -> bool:
    """Both lines of a network; False if ours is missing or worse somewhere."""
    network = NETWORKS[name]
    path = SHARED / "networks" / network.file
    calibration, test = (load_pictures(paths, network.shape) for paths in split())
    mean, std = (np.array(v, np.float32).reshape(1, -1, 1, 1) for v in (network.mean, network.std))
    graph = import_network(path)
    wanted = reference(path, graph.inputs, graph.outputs,
                       [[(array.astype(np.float32) - mean) / std] for array in test])
    ours = folder / f"{name}.kmodel"
    told = run_compiler([sys.executable, __file__, "--one", name, ours])
    if told is None:
        return False
    mine = judge(ours, test, wanted) | told
    print(line("openkpu", name, mine), flush=True)
    theirs = nncase(name, path, folder, calibration, test, wanted)
    if theirs is None:
        print(f"{name:16} nncase 1.9: not here, and no figures are stored")
        return True
    print(line("nncase 1.9", name, theirs), flush=True)
    return all(a >= b for a, b in zip(mine["sqnr"], theirs["sqnr"], strict=True)) and mine["cycles"] <= theirs["cycles"]


def nncase(name: str, path: Path, folder: Path, calibration: list[np.ndarray], test: list[np.ndarray],
           wanted: list[list[np.ndarray]]) -> dict[str, Any] | None:
    if not NNCASE.is_file():
        keys = ("sqnr", "host", "steps", "cycles", "seconds", "megabytes")
        return dict(zip(keys, STORED[name], strict=True)) if name in STORED else None
    pictures, out = folder / f"{name}.npy", folder / f"{name}.nncase.kmodel"
    np.save(pictures, np.concatenate(calibration))
    mean, std = (",".join(map(str, v)) for v in (NETWORKS[name].mean, NETWORKS[name].std))
    told = run_compiler([NNCASE, ROOT / "bench" / "nncase_compile.py", path, pictures, mean, std, out])
    return None if told is None else judge(out, test, wanted) | told


def main() -> int:
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        compile_ours(sys.argv[2], Path(sys.argv[3]))
        return 0
    names = sys.argv[1:] or [n for n, network in NETWORKS.items() if (SHARED / "networks" / network.file).is_file()]
    if not names:
        print(f"no networks in {SHARED / 'networks'}: OPENKPU_SHARED names the folder that holds networks/ and images/")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        results = [bench(name, Path(folder)) for name in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
