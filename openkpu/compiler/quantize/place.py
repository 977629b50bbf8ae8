# SPDX-License-Identifier: Apache-2.0
"""Maps that layers read side by side get places in larger maps; where two such wishes contradict, a map is copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..limits import channel_group
from ..program import KpuStep, Program, Value
from . import segments


def place(program: Program, parts: dict[str, list[str]]) -> Program:
    """The program with every joined map of ``parts`` laid out: parts are views of it, or copies are.

    Channels between parts that the layout's grouping leaves unused get weights that ignore them.
    """
    values, steps = dict(program.values), list(program.steps)
    # Larger wishes first, so that one that is part of another finds it.
    order = sorted(parts, key=lambda n: (-values[n].shape[1], list(parts).index(n)))
    offsets: dict[str, list[int]] = {}
    for name in order:
        group = channel_group(values[name].shape[3])
        at, places = 0, []
        for part in parts[name]:
            at = -(-at // group) * group
            places.append(at)
            at += values[part].shape[1]
        offsets[name] = places
        if at != values[name].shape[1]:
            _widen(values, steps, name, places, [values[p].shape[1] for p in parts[name]], at)
        for part, channel in zip(parts[name], places, strict=True):
            root, first = part, 0
            while (parent := values[root].parent) is not None:
                first += values[root].channel
                root = parent
            movable = values[part].parent is None and values[part].data is None and part not in program.inputs
            if movable:
                values[part] = replace(values[part], parent=name, channel=channel)
            else:
                _copy(values, steps, part, name, channel)
    return Program(values, tuple(steps), program.inputs, program.outputs)


def _widen(values: dict[str, Value], steps: list, name: str, places: list[int], counts: list[int], total: int) -> None:
    """Give the layers that read ``name`` weights of zero for the channels between its parts."""
    old = values[name]
    values[name] = replace(old, shape=(1, total, *old.shape[2:]))
    for i, step in enumerate(steps):
        if isinstance(step, KpuStep) and step.input == name:
            middle = -step.arg_x
            wide = np.full((len(step.weights), total, step.kernel, step.kernel), middle, step.weights.dtype)
            at = 0
            for channel, count in zip(places, counts, strict=True):
                wide[:, channel: channel + count] = step.weights[:, at: at + count]
                at += count
            steps[i] = replace(step, weights=wide)


def _copy(values: dict[str, Value], steps: list, part: str, whole: str, channel: int) -> None:
    """Append a copy of ``part`` as channels of ``whole``, made right after ``part`` exists."""
    source = values[part]
    name = f"{part}.in.{whole}"[:200]
    count = source.shape[1]
    values[name] = replace(source, name=name, parent=whole, channel=channel, data=None)
    weights = np.full((count, count, 1, 1), 128, np.uint8)
    weights[np.arange(count), np.arange(count)] = 129
    table = segments.lines(1, 1, 0, 16)
    copy = KpuStep(name, part, name, weights, np.full(count, 1 << 20, np.int64), np.full(count, 4, np.int64),
                   np.zeros(count, np.int64), table.starts, table.y_mul, table.shift, table.bias, arg_x=-128)
    made = [i for i, s in enumerate(steps) if part in s.outputs]
    steps.insert(made[0] + 1 if made else 0, copy)


