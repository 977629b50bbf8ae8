# SPDX-License-Identifier: Apache-2.0
"""A KPU step as descriptor and parameter tables (spec/kpu-hardware.md sections 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..golden.layers import make_descriptor
from ..golden.parameters import pack_activation, pack_fields
from ..hw.descriptor import Descriptor
from ..hw.fields import BN_FIELDS
from .errors import CompileError
from .limits import MAX_LOADS, Chip, channel_group, tall_map
from .program import KpuStep, Program, Step, Value


@dataclass(frozen=True, eq=False)
class Tables:
    """What the KPU fetches for a layer, uint8: weights, batch norm and activation."""

    weights: np.ndarray
    batch_norm: np.ndarray
    activation: np.ndarray


def descriptor(step: KpuStep, in_shape: tuple[int, int, int], chip: Chip) -> Descriptor:
    """The descriptor with all addresses 0, as the vendor's compilers write it into files."""
    loads, channels, size = chip.loads(in_shape[0], step.weights.shape[0], step.kernel, step.weight_bits,
                                       step.depthwise)
    if loads > MAX_LOADS or size > chip.load_bytes * step.weight_bits // 8:
        raise CompileError(f"{step.name}: weights {step.weights.shape} need loads of {size} bytes, more than the "
                           f"{chip.load_bytes * step.weight_bits // 8} that fit; use fewer channels")
    return make_descriptor(
        in_shape, step.weights.shape[0], eight_bit=step.weight_bits == 8, int_en=0, active_addr=0, bwsx_base_addr=0,
        para_start_addr=0, image_dst_addr=0, depth_wise_layer=int(step.depthwise), kernel_type=int(step.kernel == 3),
        pool_type=step.pool, pad_value=step.pad_value, o_ch_num_coef=channels, para_size=size, arg_x=step.arg_x,
        shr_x=step.shr_x, arg_w=step.arg_w, shr_w=step.shr_w, arg_add=step.arg_add)


def tables(step: KpuStep) -> Tables:
    """The step's parameters as the KPU reads them."""
    bn = pack_fields(BN_FIELDS, norm_mul=step.bn_mul, norm_add=step.bn_add, norm_shift=step.bn_shift)
    act = pack_activation(step.starts, step.y_mul, step.shift, step.bias)
    weights = np.ascontiguousarray(step.weights, step.weights.dtype.newbyteorder("<"))
    return Tables(*(np.frombuffer(a.tobytes(), "u1") for a in (weights, bn.astype("<u8"), act.astype("<u8"))))


def tall(step: KpuStep, shape: tuple[int, int, int]) -> tuple[KpuStep, tuple[int, int, int]]:
    """A layer with ``rows`` > 1 as the KPU computes it: over the same bytes, seen as a map of longer and fewer rows.

    Only taps in the middle column, and channels that are all treated alike, mean the same there.
    """
    seen = tall_map(*shape, step.rows)
    side = step.weights[:, :, :, ::2].astype(np.int64) + step.arg_x
    alike = all((a == a[:1]).all() for a in (step.weights, step.bn_mul, step.bn_shift, step.bn_add))
    if seen is None or not step.depthwise or step.pool or side.any() or not alike:
        raise CompileError(f"{step.name}: no layer of the KPU has taps {step.rows} rows apart on {shape}")
    count = seen[0]
    return replace(step, rows=1, weights=step.weights[:count], bn_mul=step.bn_mul[:count],
                   bn_shift=step.bn_shift[:count], bn_add=step.bn_add[:count]), seen


def split_wide_layers(program: Program, chip: Chip) -> Program:
    """Layers with more output channels than the weight loads of one layer hold, as several that write side by side."""
    values, steps = dict(program.values), []
    for step in program.steps:
        found = _split(program, step, chip) if isinstance(step, KpuStep) else None
        if found is None:
            steps.append(step)
        else:
            values |= {v.name: v for v in found[1]}
            steps += found[0]
    return replace(program, values=values, steps=tuple(steps))


def _split(program: Program, step: KpuStep, chip: Chip) -> tuple[list[Step], list[Value]] | None:
    source, target = program[step.input], program[step.output]
    limit = _channels_at_once(step, source.shape[1], chip)
    if step.weights.shape[0] <= limit:
        return None
    limit -= limit % channel_group(target.shape[3])
    if step.depthwise:
        limit -= limit % channel_group(source.shape[3])
    if limit <= 0:
        raise CompileError(f"{step.name}: the weights of one output channel ({step.weights[0].nbytes} bytes) exceed "
                           f"the KPU's weight buffer ({chip.load_bytes} bytes a load); use fewer input channels")
    steps: list[Step] = []
    parts: list[Value] = []
    for first in range(0, step.weights.shape[0], limit):
        piece = slice(first, first + limit)
        weights = step.weights[piece]
        part = Value(f"{target.name}[{first}]", (1, len(weights), *target.shape[2:]), parent=target.name,
                     channel=first)
        parts.append(part)
        read = step.input
        if step.depthwise:
            read = f"{source.name}[{first}:{first + len(weights)}]@{step.name}"
            parts.append(Value(read, (1, len(weights), *source.shape[2:]), parent=source.name, channel=first))
        steps.append(replace(step, name=f"{step.name}[{first}]", input=read, output=part.name, weights=weights,
                             bn_mul=step.bn_mul[piece], bn_shift=step.bn_shift[piece], bn_add=step.bn_add[piece]))
    return steps, parts


def _channels_at_once(step: KpuStep, in_channels: int, chip: Chip) -> int:
    if step.depthwise:
        return min(chip.max_out_channels(1, 1), chip.load_bytes // (step.kernel ** 2))
    return chip.max_out_channels(in_channels, step.kernel, step.weight_bits)
