# SPDX-License-Identifier: Apache-2.0
"""Runs a program in integers without a device: what every written file must give, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .mapping import evaluate
from .mapping.network import HostOp
from .program import KpuStep, Program
from .quantize import integer


def run_program(program: Program, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs for one picture (uint8 codes or float32 per input)."""
    memory: dict[str, np.ndarray] = {}

    def write(name: str, array: np.ndarray) -> None:
        value = program[name]
        if value.parent is None:
            memory[name] = array
            return
        root, channel = program.root(name)
        whole = memory.setdefault(root.name, np.zeros(root.shape, np.uint8))
        whole[:, channel: channel + array.shape[1]] = array

    def read(name: str) -> np.ndarray:
        value = program[name]
        if value.data is not None:
            return value.data
        if value.parent is None:
            return memory[name]
        root, channel = program.root(name)
        return memory[root.name][:, channel: channel + value.shape[1]]

    for name, array in zip(program.inputs, inputs, strict=True):
        write(name, np.asarray(array))
    for step in program.steps:
        if isinstance(step, KpuStep):
            write(step.output, integer.layer(step, read(step.input)))
            continue
        target = program[step.output]
        x = [read(name) for name in step.inputs]
        if step.op == "dequantize":
            source = program[step.inputs[0]]
            assert source.scale is not None and source.zero is not None
            spread = [1, -1] + [1] * (len(source.shape) - 2)
            scale, zero = source.scale.reshape(spread), source.zero.reshape(spread).astype(np.float32)
            made = (x[0].astype(np.float32) - zero) * scale
        elif step.op == "quantize":
            assert target.scale is not None and target.zero is not None
            made = np.clip(np.rint(x[0] / target.scale[0]) + target.zero[0], 0, 255).astype(np.uint8)
        else:
            op = HostOp(step.name, step.op, list(step.inputs), step.output, step.attributes)
            made = evaluate.host(op, dict(zip(step.inputs, x, strict=True)), target.shape)
        write(step.output, made.astype(np.dtype(target.dtype)))
    return [read(name) for name in program.outputs]
