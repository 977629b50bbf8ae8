# SPDX-License-Identifier: Apache-2.0
"""openkpu run: a model on an input."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from ..detect import Detection, detect, head_shape, placed
from ..draw import annotate
from ..inputs import Prepared, prepare_inputs
from ..kmodel import Layer, Model, TensorSpec
from ..runtime import LayerResult
from .files import write_array, write_json, write_picture
from .options import (
    FILE,
    input_arguments,
    model_argument,
    open_session,
    print_table,
    say,
    show_shape,
)
from .parameters import Anchors, Share, read_labels
from .progress import ProgressHook

TOP = 5


class Recorder:
    """Hook that keeps every layer's result."""

    def __init__(self) -> None:
        self.results: list[LayerResult] = []

    def layer_started(self, layer: Layer) -> None:
        pass

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        self.results.append(result)


@click.command()
@model_argument
@input_arguments
@click.option("--out", type=FILE, default="out", show_default=True, help="Folder of the results.")
@click.option("--json", "json_file", type=FILE,
              help="Write outputs, layers (CRC-32, seconds, cycles) and totals here.")
@click.option("--yolo2", "anchors", type=Anchors(), metavar="W0,H0,W1,H1,...",
              help="Decode output 0 as a YOLO v2 detector with these anchors (or a file of them).")
@click.option("--threshold", type=Share(), default=0.5, show_default=True,
              help="Smallest probability of a box.")
@click.option("--nms", type=Share(), default=0.3, show_default=True,
              help="Largest overlap of two boxes of a class.")
@click.option("--labels", type=FILE, help="Text file with one class name per line.")
def run(loaded: Model, inputs: tuple[Path, ...], fit: str, rounding: str,
        backend: str, out: Path, json_file: Path | None, anchors: tuple[float, ...] | None, threshold: float,
        nms: float, labels: Path | None) -> None:
    """Run MODEL on INPUT and write out_<k>.npy for every output.

    INPUT is a picture (any format Pillow reads; raw codes 0..255, planes R, G, B) or a .npy file that is taken as it
    is: the model's dtype, N,C,H,W. A model with several inputs takes several files.

    \b
    Example:
      openkpu run face_model_at_0x300000.kfpkg photo.jpg \\
        --yolo2 1.889,2.5245,2.9465,3.94056,3.99987,5.3658,5.155437,6.92275,6.718375,9.01025
    """
    names = read_labels(labels)
    if anchors:
        head_shape(loaded, anchors)
    prepared = prepare_inputs(loaded, inputs, fit)
    recorder = Recorder()
    with open_session(loaded, backend, rounding) as session, ProgressHook(loaded, device=session.device) as progress:
        begin = time.perf_counter()
        outputs = session.run([p.array for p in prepared], hooks=(recorder, progress))
        seconds = time.perf_counter() - begin
    files = [out / f"out_{k}.npy" for k in range(len(outputs))]
    for file, output in zip(files, outputs, strict=True):
        write_array(file, output)
    if json_file:
        write_json(json_file, report(loaded.source, backend, outputs, files, recorder.results, seconds))
    # Everything is written before anything is printed: the reader of the output may go away.
    boxes, drawing = [], None
    if anchors:
        boxes = placed(detect(loaded, outputs[0], anchors, threshold, nms), prepared[0])
        drawing = _draw(boxes, prepared[0], names, out)
    _print_outputs(loaded, outputs, files, recorder.results, seconds)
    if anchors:
        _print_boxes(boxes, names, drawing)
    else:
        _print_classes(loaded, outputs, names)


def report(model: str, backend: str, outputs: list[np.ndarray], files: list[Path], layers: list[LayerResult],
           seconds: float) -> dict:
    """The JSON document of a run (keys as in the README)."""
    cycles = [layer.cycles for layer in layers if layer.cycles is not None]
    return {
        "model": model,
        "backend": backend,
        "outputs": [{"index": k, "dtype": str(array.dtype), "shape": list(array.shape), "file": str(file)}
                    for k, (array, file) in enumerate(zip(outputs, files, strict=True))],
        "layers": [{key: value for key, value in vars(layer).items() if key != "figures"} for layer in layers],
        "totals": {"macs": sum(layer.macs for layer in layers), "cycles": sum(cycles) if cycles else None,
                   "seconds": seconds},
    }


def _name(names: list[str], index: int) -> str:
    return names[index] if index < len(names) else f"class {index}"


def _print_outputs(model: Model, outputs: list[np.ndarray], files: list[Path], layers: list[LayerResult],
                   seconds: float) -> None:
    macs = sum(layer.macs for layer in layers)
    cycles = sum(layer.cycles or 0 for layer in layers)
    counted = f", {cycles:,} KPU cycles" if cycles else ""
    say(f"{model.source}: kmodel v{model.version}, {macs / 1e6:.1f} M MAC on the KPU in {seconds:.2f} s{counted}")
    print_table(("output", "dtype", "shape", "smallest", "largest", "file"),
                [(str(k), str(array.dtype), show_shape(array.shape), f"{array.min():.6g}", f"{array.max():.6g}",
                  str(file)) for k, (array, file) in enumerate(zip(outputs, files, strict=True))])


def _is_classifier(spec: TensorSpec) -> bool:
    """One flat vector of scores, not a feature map."""
    shape = spec.map_shape or spec.shape
    return sum(n > 1 for n in shape) == 1 and spec.shape[-1] > 1


def _print_classes(model: Model, outputs: list[np.ndarray], names: list[str]) -> None:
    if len(outputs) != 1 or not _is_classifier(model.outputs[0]):
        return
    scores = outputs[0].reshape(-1)
    best = np.argsort(-scores, kind="stable")[:TOP]
    say(f"top {len(best)}:")
    print_table(("class", "score"), [(_name(names, int(index)), f"{scores[index]:.6g}") for index in best])


def _draw(boxes: list[Detection], prepared: Prepared, names: list[str], out: Path) -> Path | None:
    """Write the picture with its boxes; where, None if the input was no picture."""
    if prepared.picture is None:
        return None
    file = out / "annotated.png"
    labelled = [(b.left, b.top, b.right, b.bottom, b.class_id, f"{_name(names, b.class_id)} {b.probability:.2f}")
                for b in boxes]
    write_picture(file, annotate(prepared.picture, labelled))
    return file


def _print_boxes(boxes: list[Detection], names: list[str], drawing: Path | None) -> None:
    say(f"{len(boxes)} boxes, in picture pixels:")
    rows = [(_name(names, b.class_id), f"{b.probability:.4f}",
             *(f"{v:.0f}" for v in (b.left, b.top, b.right - b.left, b.bottom - b.top))) for b in boxes]
    print_table(("class", "probability", "x", "y", "w", "h"), rows, right=("x", "y", "w", "h"))
    if drawing is not None:
        say(f"boxes drawn in {drawing}")
