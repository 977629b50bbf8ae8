# SPDX-License-Identifier: Apache-2.0
"""Plain reference of one KPU layer: Python integers and loops, spec/kpu-hardware.md sections 5 to 9 word by word.

What the specification leaves open is settled here; the RTL follows the same text.

Convolution
    ``alu`` is the exact sum of section 5.1 kept to its low 36 bits (two's complement), ``v`` of section 6 likewise.
    A ``kernel_type`` above 1 counts as 1x1, a ``pool_type`` above 9 as bypass. Every pool works with every kernel.
Source channels
    A normal layer reads channels 0..IC-1. Depthwise and ``bypass_conv`` layers read channels 0..OC-1 and ignore IC:
    output channel c comes from input channel c, at the address the register strides give.
``first_stride``
    The input is decimated before anything else: pixel (y, x) of the layer is stored pixel (2y, 2x), W' = ceil(W/2),
    H' = ceil(H/2), where W and H are the descriptor's. Padding surrounds the decimated map. The pool type
    is ignored (bypass), so OW = W' and OH = H'.
``bypass_conv``
    alu = pixel (0..255) of the same channel; batch norm, activation and pool follow as usual. No weights are
    fetched, the weight buffer keeps its contents; kernel type, padding, arg_*, shr_* and all weight-load fields are
    ignored. Works together with ``first_stride``.
``full_add``
    Changes the output stream only: with ``send_data_out`` = 1 it is OC 64-bit words, word c = sum of the OW*OH output
    bytes (after the pool) of channel c, zero-extended. The map itself is not streamed; ``dma_total_byte`` is ignored.
    The map is written to AI RAM as always.
Output stream
    ``send_data_out`` = 1: the C,H,W bytes without any alignment, 8 per word, first byte in bits [7:0], the last
    word filled with zero bytes. It ends after ``dma_total_byte`` bytes, or with the map when that is shorter;
    ``channel_byte_num`` is ignored.
Order
    The source is read before the destination is written. Overlapping source and destination are therefore harmless
    here; in hardware the result of such a layer is unspecified.
``load_act``, ``load_para``, ``load_coor`` = 0
    See :class:`openkpu.golden.parameters.ParameterMemory`.
Ignored
    ram_flag, pad_type, coef_column_offset, coef_row_offset, coef_size, channel_byte_num, all reserved bits, bits
    [63:60] of activation and batch-norm words. ``dma_burst_size`` only shapes bus traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np

from openkpu.hw.descriptor import Descriptor
from openkpu.hw.fields import ROW_BYTES

from .parameters import ParameterMemory, Parameters, Read

Plane = list[list[int]]


@dataclass(frozen=True)
class LayerResult:
    """``output``: (OC, OH, OW) uint8, the packed bytes in memory order. ``stream``: words of ``fifo_data_out``."""

    output: np.ndarray
    stream: list[int]


@dataclass(frozen=True)
class Segment:
    """One piece of the activation function."""

    x_start: int
    y_mul: int
    shift: int
    bias: int


def wrap36(value: int) -> int:
    """The low 36 bits as a signed number."""
    return ((value + (1 << 35)) & ((1 << 36) - 1)) - (1 << 35)


def convolve(windows: list[list[list[int]]], weights: Sequence[int], d: Descriptor) -> Plane:
    """``alu`` of one output channel (section 5.1).

    ``windows[y][x]`` holds the pixels under all taps of pixel (y, x), in the order of ``weights``.
    """
    n_ic = 1 if d.depthwise else d.i_ch_num
    s_w = sum(weights)
    constant = ((d.arg_w * s_w) >> d.shr_w) + d.arg_add * n_ic
    return [[wrap36(sum(map(mul, window, weights)) + ((d.arg_x * sum(window)) >> d.shr_x) + constant)
             for window in line] for line in windows]


def batch_norm(alu: int, norm_mul: int, norm_shift: int, norm_add: int) -> int:
    """``v`` (section 6)."""
    return wrap36(((alu * norm_mul) >> norm_shift) + norm_add)


def round_shift(p: int, shift: int) -> int:
    """Section 7.2, with its unusual rounding of negative products."""
    if shift == 0:
        return p
    integer, fraction, half = p >> shift, p & ((1 << shift) - 1), 1 << (shift - 1)
    direction = -1 if p < 0 else 1
    if fraction < half:
        return integer
    if fraction > half:
        return integer + direction
    return integer + direction if integer & 1 else integer


def activate(v: int, segments: Sequence[Segment]) -> int:
    """``y`` (section 7): the highest segment with v > x_start, segment 0 if there is none."""
    chosen = segments[0]
    for segment in reversed(segments):
        if v > segment.x_start:
            chosen = segment
            break
    # Shifts of 64 and more would not fit hardware shifters; they give what 63 gives (spec 12.1 number 25).
    r = round_shift((v - chosen.x_start) * chosen.y_mul, min(chosen.shift, 63))
    return min(max(r + chosen.bias, 0), 255)


def pool(image: Plane, pool_type: int, out_height: int, out_width: int) -> Plane:
    """Section 8 on one channel of activation values."""
    height, width = len(image), len(image[0])

    def window(y0: int, x0: int, size: int) -> list[int]:
        return [image[y][x] for y in range(y0, y0 + size) for x in range(x0, x0 + size)]

    def clamped(y0: int, x0: int) -> list[int]:
        return [image[min(y, height - 1)][min(x, width - 1)] for y in (y0, y0 + 1) for x in (x0, x0 + 1)]

    def inside(y0: int, x0: int) -> list[int]:
        return [image[y][x] for y in (y0, y0 + 1) for x in (x0, x0 + 1) if y < height and x < width]

    value = {
        1: lambda y, x: max(window(2 * y, 2 * x, 2)),
        2: lambda y, x: sum(window(2 * y, 2 * x, 2)) >> 2,
        3: lambda y, x: max(window(4 * y, 4 * x, 4)),
        4: lambda y, x: sum(window(4 * y, 4 * x, 4)) >> 4,
        5: lambda y, x: image[2 * y][2 * x],
        6: lambda y, x: image[2 * y][2 * x + 1],
        7: lambda y, x: image[4 * y][4 * x],
        8: lambda y, x: sum(clamped(y, x)) >> 2,
        9: lambda y, x: max(inside(y, x)),
    }.get(pool_type, lambda y, x: image[y][x])
    return [[value(y, x) for x in range(out_width)] for y in range(out_height)]


def pack_words(data: bytes) -> list[int]:
    """Bytes to 64-bit little-endian words, the last one filled with zero bytes."""
    return np.frombuffer(data + bytes(-len(data) % 8), "<u8").tolist()


def stream_words(d: Descriptor, output: np.ndarray) -> list[int]:
    """What the layer puts into ``fifo_data_out`` (section 9.3, 9.4). ``output``: (OC, OH, OW) uint8."""
    if not d.send_data_out:
        return []
    if d.full_add:
        return output.sum(axis=(1, 2), dtype=np.uint64).tolist()
    return pack_words(output.tobytes()[: d.dma_total_byte])


def stream_length(d: Descriptor) -> int:
    """How many words a descriptor announces with ``send_data_out``; a layer that is refused sends as many zeros."""
    if not d.send_data_out:
        return 0
    if d.full_add:
        return d.o_ch_num
    return -(-min(d.o_ch_num * d.o_col_high * d.o_row_wid, d.dma_total_byte) // 8)


def effective_pool(d: Descriptor) -> int:
    """The pool type that is carried out."""
    return 0 if d.first_stride else d.pool_type


def read_source(d: Descriptor, airam: np.ndarray) -> list[Plane]:
    """The input map as the convolution sees it, [c][y][x]."""
    step = 2 if d.first_stride else 1
    pitch = ROW_BYTES // d.coef_group

    def pixel(c: int, y: int, x: int) -> int:
        row = (d.image_src_addr + c // d.coef_group * d.channel_switch_addr + y * d.row_switch_addr + x // ROW_BYTES)
        return int(airam[row * ROW_BYTES + c % d.coef_group * pitch + x % ROW_BYTES])

    return [[[pixel(c, y, x) for x in range(0, d.i_row_wid, step)] for y in range(0, d.i_col_high, step)]
            for c in range(d.source_channels)]


def write_output(d: Descriptor, airam: np.ndarray, output: np.ndarray) -> None:
    """Write the valid bytes of the map and no others (section 3.4)."""
    pitch = ROW_BYTES // d.wb_group
    for (c, y, x), value in np.ndenumerate(output):
        row = (d.image_dst_addr + c // d.wb_group * d.wb_channel_switch_addr + y * d.wb_row_switch_addr
               + x // ROW_BYTES)
        airam[row * ROW_BYTES + c % d.wb_group * pitch + x % ROW_BYTES] = value


def alu_planes(d: Descriptor, source: list[Plane], parameters: Parameters) -> list[Plane]:
    """``alu`` of every output channel, [o][y][x]."""
    if d.bypass_conv:
        return source
    height, width, pad = len(source[0]), len(source[0][0]), d.kernel // 2

    def pixel(plane: Plane, y: int, x: int) -> int:
        return plane[y][x] if 0 <= y < height and 0 <= x < width else d.pad_value

    def windows(planes: list[Plane]) -> list[list[list[int]]]:
        taps = range(-pad, d.kernel - pad)
        return [[[pixel(plane, y + ky, x + kx) for plane in planes for ky in taps for kx in taps]
                 for x in range(width)] for y in range(height)]

    weights = parameters.weights.reshape(d.o_ch_num, -1).tolist()
    if d.depthwise:
        return [convolve(windows([source[o]]), weights[o], d) for o in range(d.o_ch_num)]
    shared = windows(source)
    return [convolve(shared, weights[o], d) for o in range(d.o_ch_num)]


def run_layer(d: Descriptor, airam: np.ndarray, read: Read, eight_bit: bool,
              memory: ParameterMemory | None = None) -> LayerResult:
    """Run one legal layer: fetch the parameters, compute, write the map into ``airam``.

    Parameters
    ----------
    d : Descriptor
        Must pass ``openkpu.hw.check.descriptor_errors``.
    airam : (bytes,) uint8, changed in place
    read : bus memory
    eight_bit : the ``eight_bit_mode`` register
    memory : parameter memories of the KPU; new and empty ones if None
    """
    parameters = (memory or ParameterMemory()).fetch(d, read, eight_bit)
    segments = [Segment(*map(int, s)) for s in zip(parameters.x_start, parameters.y_mul, parameters.shift_number,
                                                   parameters.bias, strict=True)]
    norms = [list(map(int, n)) for n in zip(parameters.norm_mul, parameters.norm_shift, parameters.norm_add,
                                            strict=True)]
    planes = []
    for o, alu in enumerate(alu_planes(d, read_source(d, airam), parameters)):
        activated = [[activate(batch_norm(a, *norms[o]), segments) for a in line] for line in alu]
        planes.append(pool(activated, effective_pool(d), d.o_col_high, d.o_row_wid))
    output = np.array(planes, np.uint8)
    write_output(d, airam, output)
    return LayerResult(output, stream_words(d, output))

