"""openkpu run: a model on an input."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from ..errors import InputError, UsageError
from ..kmodel import Layer, Model, TensorSpec
from ..runtime import LayerResult
from ..yolo2 import Box, region_layer
from .draw import annotate
from .files import read_text, write_array, write_json, write_picture
from .inputs import Prepared, prepare_inputs
from .options import (
    FILE,
    input_arguments,
    model_argument,
    open_session,
    print_table,
    say,
    show_shape,
)
from .progress import ProgressHook
from .terminal import printable

TOP = 5
MAX_LABEL = 200


class Anchors(click.ParamType):
    """Comma-separated positive numbers, an even count; or a file that holds them."""

    name = "anchors"

    def convert(self, value, param, ctx) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            try:
                numbers = tuple(float(part) for part in read_text(Path(value), "--yolo2").split(","))
            except (UsageError, ValueError):
                shown = value if len(value) < 80 else f"{value[:80]}..."
                self.fail(f"{shown!r} is neither a list of numbers such as 1.08,1.19,3.42,4.41 nor a file with one",
                          param, ctx)
        if len(numbers) % 2:
            self.fail(f"{len(numbers)} numbers are no pairs of width and height", param, ctx)
        if not all(0 < number < float("inf") for number in numbers):
            self.fail("anchors must be positive", param, ctx)
        return numbers


class Share(click.FloatRange):
    """A number from 0 to 1. That of click lets NaN pass, because no comparison with it is true."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value, param, ctx) -> float:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is not in the range 0<=x<=1.", param, ctx)
        return number


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
    names = _read_labels(labels)
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
        boxes = _placed(_detect(loaded, outputs[0], anchors, threshold, nms), prepared[0], names)
        drawing = _draw(boxes, prepared[0], out)
    _print_outputs(loaded, outputs, files, recorder.results, seconds)
    if anchors:
        _print_boxes(boxes, drawing)
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


def _read_labels(path: Path | None) -> list[str]:
    if path is None:
        return []
    names = read_text(path, "--labels").splitlines()
    for number, name in enumerate(names, 1):
        if len(name) > MAX_LABEL:
            raise UsageError(f"--labels {path}: line {number} has {len(name)} characters; a name has at most "
                             f"{MAX_LABEL}")
    return [printable(name) for name in names]


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


def head_shape(model: Model, anchors: tuple[float, ...]) -> tuple[int, int, int]:
    """(C, H, W) of the detector head, output 0; InputError if it cannot be one for these anchors."""
    spec = model.outputs[0]
    shape = spec.map_shape or spec.shape[-3:]
    count = len(anchors) // 2
    if len(shape) != 3 or spec.dtype != np.float32 or len(model.inputs[0].shape) != 4:
        raise InputError(f"--yolo2: output 0 of {model.source} is no float feature map (C, H, W) of a picture")
    if shape[0] % count or shape[0] // count < 5:
        raise InputError(f"--yolo2: output 0 of {model.source} has {shape[0]} channels, which are not {count} anchors "
                         "times 5 + classes; give as many anchors as the network was trained with")
    return shape


def _detect(model: Model, output: np.ndarray, anchors: tuple[float, ...], threshold: float, nms: float) -> list[Box]:
    height, width = model.inputs[0].shape[-2:]
    return region_layer(output.reshape(head_shape(model, anchors)), anchors, threshold, nms, (width, height),
                        (width, height))


@dataclass(frozen=True)
class _Placed:
    """A box in picture pixels."""

    left: float
    top: float
    right: float
    bottom: float
    class_id: int
    name: str
    probability: float


def _placed(boxes: list[Box], prepared: Prepared, names: list[str]) -> list[_Placed]:
    return [_Placed(*prepared.to_picture(box.x, box.y), *prepared.to_picture(box.x + box.w, box.y + box.h),
                    box.class_id, _name(names, box.class_id), box.probability)
            for box in sorted(boxes, key=lambda b: -b.probability)]


def _draw(boxes: list[_Placed], prepared: Prepared, out: Path) -> Path | None:
    """Write the picture with its boxes; where, None if the input was no picture."""
    if prepared.picture is None:
        return None
    file = out / "annotated.png"
    write_picture(file, annotate(prepared.picture, [(b.left, b.top, b.right, b.bottom, b.class_id,
                                                     f"{b.name} {b.probability:.2f}") for b in boxes]))
    return file


def _print_boxes(boxes: list[_Placed], drawing: Path | None) -> None:
    say(f"{len(boxes)} boxes, in picture pixels:")
    rows = [(b.name, f"{b.probability:.4f}", *(f"{v:.0f}" for v in (b.left, b.top, b.right - b.left, b.bottom - b.top)))
            for b in boxes]
    print_table(("class", "probability", "x", "y", "w", "h"), rows, right=("x", "y", "w", "h"))
    if drawing is not None:
        say(f"boxes drawn in {drawing}")
