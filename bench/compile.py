"""What `openkpu compile` makes of the third-party networks, beside nncase 1.9.

Usage: python bench/compile.py [--weights 16] [NAME ...]
Calibrates on the even ones of the shared pictures in sorted order and tests on the odd ones, stretched bilinearly. SQNR
= 10 log10(sum ref^2 / sum (ref - out)^2) of the float outputs on the functional back end, against the float network.
nncase compiles beside it where OPENKPU_NNCASE names a Python with nncase 1.9; its stored figures are shown else.
Every network is compiled in a process of its own, so that the peak memory is its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from inputs import ROOT

from openkpu.compiler import Options, Preprocess, compile_network
from openkpu.compiler.importers import import_network
from openkpu.compiler.pictures import load_pictures
from openkpu.compiler.reference import reference
from openkpu.devices.functional import FunctionalDevice
from openkpu.hw.configs import CORES
from openkpu.kmodel import load
from openkpu.kmodel.model import Model
from openkpu.runtime import Session
from openkpu.schedule import cycles
from openkpu.schedule.plan import plan

SHARED = Path(os.environ.get("OPENKPU_SHARED") or ROOT.parent / "shared")
TIMEOUT = 900  # seconds per network


@dataclass(frozen=True)
class Case:
    """A network, what its pixels mean, and nncase 1.9.0.20230322's figures: dB per output, host steps, KPU cycles."""

    file: str
    preprocess: Preprocess
    nncase: tuple[tuple[float, ...], int, int]


CASES = {
    "RFB-320": Case("RFB-320.onnx", Preprocess(1, (127.0,), (128.0,)), ((38.6, 19.4), 92, 299_530)),
    "yolox": Case("yolox_nano_224.onnx", Preprocess(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                  ((7.4,), 178, 400_562)),
    "landmark": Case("ulffd_landmark.tflite", Preprocess(1, (127.0,), (128.0,)), ((), 57, 317_565)),
}
NNCASE_FILES = {"landmark": SHARED / "kmodels" / "v5_ulffd_landmark.kmodel"}


def kpu_cycles(model: Model) -> int:
    """By the cycle model, without streams, which the runtimes of v4 and v5 switch off."""
    core = CORES["full"]
    plans = [plan(replace(layer.descriptor, send_data_out=int(layer.stream)), core, layer.eight_bit)
             for layer in model.kpu_layers for _ in range(layer.batches)]
    return sum(c.total for c in cycles.run(plans, core))


def host_steps(model: Model) -> int:
    return len(model.layers) - len(model.kpu_layers)


def sqnr(model: Model, pictures: list[np.ndarray], wanted: list[list[np.ndarray]]) -> list[float]:
    """dB per output; ``pictures`` as the model takes them."""
    session = Session(model, FunctionalDevice())
    signal, noise = np.zeros(len(wanted[0])), np.zeros(len(wanted[0]))
    for picture, want in zip(pictures, wanted, strict=True):
        for k, (w, got) in enumerate(zip(want, session.run([picture]), strict=True)):
            w = w.astype(np.float64).ravel()
            signal[k] += (w**2).sum()
            noise[k] += ((w - np.asarray(got, np.float64).ravel()) ** 2).sum()
    return [round(float(10 * np.log10(s / n)), 1) for s, n in zip(signal, noise, strict=True)]


def measure(name: str, weights: int, version: str) -> dict[str, Any]:
    """Compile and test one network."""
    case = CASES[name]
    path = SHARED / "networks" / case.file
    graph = import_network(path)
    pictures = load_pictures([SHARED / "images"], graph.shapes[graph.inputs[0]])
    begin = time.perf_counter()
    result = compile_network(path, pictures[::2], Options(case.preprocess, version, weights))
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    feeds = [[case.preprocess.apply(p)] for p in pictures[1::2]]
    wanted = reference(path, graph.inputs, graph.outputs, feeds)
    model = result.compiled.model
    row = {"sqnr": sqnr(model, pictures[1::2], wanted), "host": host_steps(model), "cycles": kpu_cycles(model),
           "seconds": round(seconds, 1), "megabytes": round(peak), "bytes": len(result.compiled.data)}
    theirs = nncase(name, path, case, [f[0] for f in [[case.preprocess.apply(p)] for p in pictures[::2]]])
    if theirs is not None:
        row["nncase"] = {"host": host_steps(theirs), "cycles": kpu_cycles(theirs)}
        if theirs.inputs[0].dtype == np.float32 and len(theirs.inputs[0].shape) == 4:
            x = [f[0] if theirs.inputs[0].shape[1] == 3 else f[0].transpose(0, 2, 3, 1) for f in feeds]
            row["nncase"]["sqnr"] = sqnr(theirs, x, wanted)
    return row


NNCASE_SCRIPT = """
import nncase, numpy as np, sys
from pathlib import Path
source, data, target = map(Path, sys.argv[1:])
options = nncase.CompileOptions()
options.target = "k210"
options.dump_dir = str(target.parent)
compiler = nncase.Compiler(options)
read = compiler.import_tflite if source.suffix == ".tflite" else compiler.import_onnx
read(source.read_bytes(), nncase.ImportOptions())
x = np.load(data)
ptq = nncase.PTQTensorOptions()
ptq.samples_count = len(x)
ptq.set_tensor_data(x.tobytes())
compiler.use_ptq(ptq)
compiler.compile()
target.write_bytes(compiler.gencode_tobytes())
"""


def nncase(name: str, path: Path, case: Case, feeds: list[np.ndarray]) -> Model | None:
    """nncase's kmodel: made now, or a stored one, or None."""
    python = os.environ.get("OPENKPU_NNCASE")
    if name in NNCASE_FILES:
        return load(NNCASE_FILES[name])
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        data, target = Path(folder) / "x.npy", Path(folder) / "nncase.kmodel"
        np.save(data, np.concatenate(feeds))
        subprocess.run([python, "-c", NNCASE_SCRIPT, str(path), str(data), str(target)], check=True, timeout=TIMEOUT,
                       stdout=subprocess.DEVNULL)
        return load(target)


def show(values: list[float] | tuple[float, ...]) -> str:
    return " / ".join(f"{v:.1f}" for v in values) or "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CASES, []], help="networks; all if none is named")
    parser.add_argument("--weights", type=int, choices=[8, 16], default=8)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Only v3 files can have 16-bit weights.
    version = "v4" if options.weights == 8 else "v3"
    if options.one:
        print(json.dumps(measure(options.names[0], options.weights, version)))
        return
    print("| network | SQNR, dB | nncase | host steps | nncase | KPU cycles | nncase | seconds | MB |")
    print("|" + " --- |" * 9)
    for name in options.names or CASES:
        if not (SHARED / "networks" / CASES[name].file).is_file():
            print(f"{CASES[name].file} is not in {SHARED / 'networks'} (OPENKPU_SHARED names the folder)",
                  file=sys.stderr)
            continue
        done = subprocess.run([sys.executable, __file__, "--one", "--weights", str(options.weights), name],
                              check=True, timeout=TIMEOUT, stdout=subprocess.PIPE, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        stored = dict(zip(("sqnr", "host", "cycles"), CASES[name].nncase, strict=True))
        theirs = {**stored, **row.get("nncase", {})}
        print(f"| {name} | {show(row['sqnr'])} | {show(theirs['sqnr'])} | {row['host']} | {theirs['host']} "
              f"| {row['cycles']:,} | {theirs['cycles']:,} | {row['seconds']} | {row['megabytes']} |", flush=True)


if __name__ == "__main__":
    main()
