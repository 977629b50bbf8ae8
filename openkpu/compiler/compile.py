# SPDX-License-Identifier: Apache-2.0
"""From a network file and pictures to a kmodel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .backend import Compiled, compile_program
from .errors import CompileError
from .graph import Graph
from .importers import extra_missing, import_network
from .mapping import Network, map_network
from .passes import normalise
from .pictures import load_pictures
from .preprocess import Preprocess, fold
from .program import HostStep, Program
from .quantize.build import Quantizer, Settings
from .quantize.calibrate import Statistics, calibrate
from .quantize.ranges import Codes
from .quantize.weights import Fit
from .reference import reference

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, of)``."""


@dataclass(frozen=True)
class Options:
    """What ``openkpu compile`` can be told.

    Attributes
    ----------
    format : v3, v4 or v5.
    weights : bits, 8 or 16.
    input : "uint8" (raw codes) or "float32" (what the network itself takes).
    layout : "NCHW" or "NHWC", of the kmodel's inputs.
    outputs : values to end the network at; none: its own.
    release : of nncase, for v5: whose runtime shall read the file; none: the last.
    """

    preprocess: Preprocess = field(default_factory=Preprocess)
    format: str = "v4"
    weights: int = 8
    input: str = "uint8"
    layout: str = "NCHW"
    outputs: tuple[str, ...] = ()
    release: str = ""


@dataclass(frozen=True, eq=False)
class Result:
    """A compiled network and what is known about it.

    Attributes
    ----------
    compiled : the kmodel.
    program : its steps in integers.
    network : its steps in floats.
    quantizer : ranges and scales.
    names : of the outputs.
    sqnr : dB per output over the calibration pictures, against the float reference.
    """

    compiled: Compiled
    program: Program
    network: Network
    quantizer: Quantizer
    statistics: Statistics
    sqnr: tuple[float, ...]
    names: tuple[str, ...]


def compile_network(path: Path, pictures: Sequence[Path] | Sequence[np.ndarray], options: Options | None = None,
                    progress: Progress = lambda stage, done, of: None) -> Result:
    """Compile an ONNX or TFLite file.

    Parameters
    ----------
    path : the network.
    pictures : calibration pictures: files and folders, or arrays (1, C, H, W), uint8 raw codes (float32 network inputs
        with ``input="float32"``).

    Raises
    ------
    CompileError : the network cannot be compiled.
    InputError : the pictures cannot be used.
    """
    # Sums in another order, as more threads make them, would be other bytes; matrices this small gain nothing by them.
    try:
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise extra_missing("threadpoolctl") from error
    with threadpool_limits(1):
        return _compile(path, pictures, options or Options(), progress)


def _compile(path: Path, pictures: Sequence[Path] | Sequence[np.ndarray], options: Options,
             progress: Progress) -> Result:
    progress("read", 0, 1)
    graph = import_network(path)
    _cut(graph, options.outputs, path)
    options = _own_codes(graph, options)
    names, shapes = list(graph.inputs), [graph.shapes[n] for n in graph.inputs]
    arrays = _arrays(pictures, shapes)
    feeds = [[_network_input(a, options) for a in picture] for picture in arrays]
    wanted = reference(path, names, graph.outputs, feeds)
    raw = options.input == "uint8"
    zeros = fold(graph, options.preprocess) if raw else {}
    normalise(graph)
    network = map_network(graph)
    progress("read", 1, 1)

    seen = [[_centred(a, zeros.get(n, 0)) if raw else f for n, a, f in zip(names, picture, feed, strict=True)]
            for picture, feed in zip(arrays, feeds, strict=True)]
    done = iter(range(1, len(seen) + 1))
    statistics = calibrate(network, seen, lambda: progress("calibrate", next(done), len(seen)))
    _compare(statistics, wanted, graph.outputs, path, ROUNDED if graph.codes else EXACT)
    given = {n: Codes(np.full(network.shapes[n][1], s), z) for n, (s, z) in network.codes.items() if n not in zeros}
    given |= {n: Codes(np.ones(graph.shapes[n][1]), z) for n, z in zeros.items()}
    fit = Fit(ridge=np.inf, rounding=False) if graph.codes else Fit()
    settings = Settings(options.weights, fit, given, not raw)
    quantizer = Quantizer(network, statistics, settings)
    count = iter(range(1, len(network.steps) + 1))
    program = quantizer.run(arrays if raw else feeds, lambda: progress("quantize", next(count), len(network.steps)))
    if options.layout == "NHWC":
        program = _interleaved(program)
    progress("write", 0, 1)
    compiled = compile_program(program, options.format, source=str(path), release=options.release)
    results = [quantizer.results[i] for i in range(len(arrays))]
    sqnr = tuple(_sqnr([w[k] for w in wanted], [r[k] for r in results]) for k in range(len(graph.outputs)))
    progress("write", 1, 1)
    return Result(compiled, program, network, quantizer, statistics, sqnr, tuple(graph.outputs))


def _own_codes(graph: Graph, options: Options) -> Options:
    """A quantized file's own input codes are the kmodel's, unless the caller says what its pixels mean."""
    if len(graph.inputs) != 1 or graph.inputs[0] not in graph.codes or not options.preprocess.none:
        return options
    scale, zero = graph.codes[graph.inputs[0]]
    return replace(options, preprocess=Preprocess(scale, (zero * scale,)))


def _cut(graph: Graph, outputs: Sequence[str], path: Path) -> None:
    for name in outputs:
        if name not in {o for n in graph.nodes for o in n.outputs}:
            known = ", ".join(n.output for n in graph.nodes[-3:])
            raise CompileError(f"{path} has no value '{name}' for --outputs; the last ones are {known}")
    if outputs:
        graph.outputs = list(outputs)
        graph.prune()


def _arrays(pictures: Sequence[Any], shapes: list[tuple[int, ...]]) -> list[list[np.ndarray]]:
    if not pictures:
        raise InputError("there are no calibration pictures; give typical ones with --calibrate")
    if not isinstance(pictures[0], Path):
        found = [list(p) if isinstance(p, list | tuple) else [p] for p in pictures]
    elif len(shapes) == 1:
        found = [[a] for a in load_pictures(pictures, shapes[0])]
    else:
        raise InputError(f"the network has {len(shapes)} inputs; calibrate it from Python (openkpu.compiler)")
    for picture in found:
        for array, shape in zip(picture, shapes, strict=True):
            if array.shape != shape:
                raise InputError(f"a calibration array has the shape {array.shape}, the network's input {shape}")
            if not np.isfinite(array).all():
                raise InputError("a calibration array holds numbers that are not finite")
    return found


def _network_input(array: np.ndarray, options: Options) -> np.ndarray:
    if options.input == "float32" and array.dtype != np.uint8:
        return array.astype(np.float32)
    return options.preprocess.apply(array) if array.ndim == 4 else array.astype(np.float32)


def _centred(array: np.ndarray, zero: int) -> np.ndarray:
    return array.astype(np.float32) - np.float32(zero)


EXACT, ROUNDED = 1e-2, 0.3
"""Largest change, relative to an output's power: of a float network, and of one that rounds behind every layer."""


def _compare(statistics: Statistics, wanted: list[list[np.ndarray]], names: list[str], path: Path,
             limit: float) -> None:
    """The rewritten network has to compute what the file says, or nothing is written."""
    for ours, theirs in zip(statistics.outputs, wanted, strict=True):
        for name, a, b in zip(names, ours, theirs, strict=True):
            if not np.isfinite(b).all():
                raise CompileError(f"{path}: the output '{name}' is not finite for a calibration picture; check "
                                   "--scale, --mean and --std, or train the network again")
            scale = max(float(np.sqrt(np.mean(np.square(b, dtype=np.float64)))), 1e-6)
            error = float(np.sqrt(np.mean((a.astype(np.float64) - b.reshape(a.shape)) ** 2)))
            if error > limit * scale:
                raise CompileError(f"{path}: the compiler's own rewriting changes the output '{name}' by "
                                   f"{error / scale:.1%}; this is a bug, please report it with the network")


def _sqnr(wanted: list[np.ndarray], got: list[np.ndarray]) -> float:
    a = np.concatenate([w.ravel() for w in wanted]).astype(np.float64)
    b = np.concatenate([g.ravel() for g in got]).astype(np.float64)
    noise = float(((a - b) ** 2).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10((a**2).sum() / noise))


def _interleaved(program: Program) -> Program:
    """The same program with inputs (1, H, W, C)."""
    values, steps, inputs = dict(program.values), list(program.steps), []
    for name in program.inputs:
        value = values[name]
        if len(value.shape) != 4:
            inputs.append(name)
            continue
        n, c, h, w = value.shape
        outer = f"{name}.nhwc"
        values[outer] = replace(value, name=outer, shape=(n, h, w, c), parent=None, channel=0)
        steps.insert(0, HostStep(outer, "transpose", (outer,), (name,), {"perm": (0, 3, 1, 2)}))
        inputs.append(outer)
    return Program(values, tuple(steps), tuple(inputs), program.outputs)


__all__ = ["Options", "Preprocess", "Result", "compile_network"]
