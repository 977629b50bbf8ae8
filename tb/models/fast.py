# SPDX-License-Identifier: Apache-2.0
"""Vectorised golden model of one KPU layer, bit-identical to :mod:`openkpu.golden.reference` for every legal layer.

Convolutions are matrix products of floats, which are exact as long as no sum leaves the 24 (float32) or 53 (float64)
bits of the mantissa; bounds taken from the weights choose the type. Batch norm and activation run in float64 where
bounds show that every intermediate value is exact and no 36-bit value wraps, and in int64 otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from openkpu.hw.descriptor import Descriptor

from .parameters import ParameterMemory, Parameters, Read
from .reference import LayerResult, Segment, activate, effective_pool, stream_words

# Subtracted from every pixel: halves the magnitude of the sums, so that float32 suffices for more layers.
CENTRE = 128
# Elements worked on at a time: operand or result of one matrix product, and post-processing inside the L2 cache.
PRODUCT_BLOCK = 1 << 20
POST_BLOCK = 1 << 14

# pool_type of sampling pools -> (step, first column): only the sampled pixels are computed at all.
SAMPLING = {5: (2, 0), 6: (2, 1), 7: (4, 0)}
MAXIMUM = {1: 2, 3: 4}


def run_layer(d: Descriptor, airam: np.ndarray, read: Read, eight_bit: bool,
              memory: ParameterMemory | None = None) -> LayerResult:
    """Run one legal layer; arguments and result as :func:`openkpu.golden.reference.run_layer`."""
    parameters = (memory or ParameterMemory()).fetch(d, read, eight_bit)
    source = replace(d.in_layout, channels=d.source_channels).gather(airam)
    output = compute(d, source, parameters)
    d.out_layout.scatter(airam, output)
    return LayerResult(output, stream_words(d, output))


def compute(d: Descriptor, source: np.ndarray, parameters: Parameters) -> np.ndarray:
    """The output map (OC, OH, OW) uint8 of the stored input map ``source`` (C, H, W) uint8."""
    if d.first_stride:
        source = source[:, ::2, ::2]
    pool_type = effective_pool(d)
    step, column = SAMPLING.get(pool_type, (1, 0))
    convolution = Convolution(d, source, parameters, step, column)
    post = PostProcessor(convolution, parameters)
    window = MAXIMUM.get(pool_type, 1)
    early = window if post.increasing else 1

    height, width = -(-source.shape[1] // step), -(-(source.shape[2] - column) // step)
    activated = np.empty((d.o_ch_num, height // early, width // early), np.uint8)
    for channels, rows, sums in convolution.blocks(early):
        if early > 1:
            sums = _maximum(sums, early)
            rows = slice(rows.start // early, rows.start // early + sums.shape[1])
        post.run(sums, channels, rows, activated[channels, rows])
    if step > 1 or early > 1:
        return np.ascontiguousarray(activated[:, : d.o_col_high, : d.o_row_wid])
    return _pool(activated, pool_type)


def alu(d: Descriptor, source: np.ndarray, parameters: Parameters) -> np.ndarray:
    """``alu`` of section 5.1, (OC, H, W) int64; arguments as :func:`compute`."""
    if d.first_stride:
        source = source[:, ::2, ::2]
    convolution = Convolution(d, source, parameters)
    result = np.empty((d.o_ch_num, *source.shape[1:]), np.int64)
    for channels, rows, sums in convolution.blocks():
        result[channels, rows] = sums
    if convolution.pixel_term is not None:
        result += convolution.pixel_term
    return _wrap36(result + convolution.constant[:, None, None])


class Convolution:
    """alu = sums + constant + pixel_term, where ``sums`` comes from :meth:`blocks`.

    With zw = -arg_x / 2^shr_x (when that is an integer) the pixel sum is folded into the weights:
    sum(X*w) - zw*sum(X) = sum((X - CENTRE)*(w - zw)) + CENTRE*sum(w - zw); ``pixel_term`` is None then.

    Only every ``step``-th line and every ``step``-th pixel from ``column`` on is computed.

    Attributes
    ----------
    constant : (OC,) int64
    bound : (OC,) float64, no partial sum is larger in magnitude
    pixel_term : (1 or OC, H, W) int64; only present for the rare other arg_x
    """

    def __init__(self, d: Descriptor, source: np.ndarray, parameters: Parameters, step: int = 1, column: int = 0):
        self.d = d
        self.source = source
        self.step = step
        self.column = column
        self.pixel_term: np.ndarray | None = None
        if d.bypass_conv:
            self.constant = np.zeros(d.o_ch_num, np.int64)
            self.bound = np.full(d.o_ch_num, 255.0)
            return
        weights = parameters.weights.reshape(d.o_ch_num, -1)
        weight_sum = weights.sum(axis=1, dtype=np.int64)
        zero = -(d.arg_x >> d.shr_x)
        if d.arg_x % (1 << d.shr_x):
            zero = 0
            self.pixel_term = (d.arg_x * self._window_sums()[:, ::step, column::step]) >> d.shr_x
        kernel = weights.astype(np.float32 if abs(zero) < 1 << 16 else np.float64)
        kernel -= zero
        self.bound = CENTRE * np.abs(kernel).sum(axis=1, dtype=np.float64)
        self.kernel = kernel.astype(np.float32 if self.bound.max() <= 1 << 24 else np.float64, copy=False)
        self.constant = (CENTRE * (weight_sum - zero * weights.shape[1]) + ((d.arg_w * weight_sum) >> d.shr_w)
                         + d.arg_add * (1 if d.depthwise else d.i_ch_num))

    def _padded(self, planes: np.ndarray, dtype: type, offset: int) -> np.ndarray:
        """``planes`` - ``offset`` with the pixels around the image."""
        pad = self.d.kernel // 2
        channels, height, width = planes.shape
        padded = np.full((channels, height + 2 * pad, width + 2 * pad), self.d.pad_value - offset, dtype)
        np.subtract(planes, dtype(offset), out=padded[:, pad: height + pad, pad: width + pad], dtype=dtype)
        return padded

    def _window_sums(self) -> np.ndarray:
        """S_x, (1 or OC, H, W) int64."""
        padded = self._padded(self.source, np.int64, 0)
        if not self.d.depthwise:
            padded = padded.sum(axis=0, keepdims=True)
        size = self.d.kernel
        return np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2)).sum(axis=(3, 4))

    def blocks(self, multiple: int = 1) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yield (channels, rows, sums (channels, rows, width)).

        Blocks have a multiple of ``multiple`` rows; rows left over at the bottom may be missing.
        """
        if self.d.bypass_conv:
            sums = self.source[:, ::self.step, self.column::self.step].astype(np.float32)
            yield slice(0, len(sums)), slice(0, sums.shape[1]), sums
        elif self.d.depthwise:
            yield from self._depthwise()
        else:
            yield from self._matrix_products(multiple)

    def _depthwise(self) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Shifted multiply-adds on flattened padded planes: a shift by (ky, kx) is one offset."""
        size, (channels, height, width) = self.d.kernel, self.source.shape
        pitch = width + size - 1
        count = height * pitch - (size - 1)
        group = max(1, POST_BLOCK // count)
        for first in range(0, channels, group):
            chosen = slice(first, min(first + group, channels))
            flat = self._padded(self.source[chosen], self.kernel.dtype.type, CENTRE)
            flat = flat.reshape(len(flat), -1)
            kernel = self.kernel[chosen, :, None]
            sums = np.empty((len(flat), height * pitch), self.kernel.dtype)
            valid, product = sums[:, :count], np.empty((len(flat), count), self.kernel.dtype)
            np.multiply(flat[:, :count], kernel[:, 0], out=valid)
            for tap in range(1, size * size):
                offset = tap // size * pitch + tap % size
                np.multiply(flat[:, offset: offset + count], kernel[:, tap], out=product)
                valid += product
            sums = sums.reshape(-1, height, pitch)[:, ::self.step, self.column:width:self.step]
            yield chosen, slice(0, sums.shape[1]), sums

    def _matrix_products(self, multiple: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
        size, (channels, height, width) = self.d.kernel, self.source.shape
        step, column = self.step, self.column
        padded = self._padded(self.source, self.kernel.dtype.type, CENTRE)
        out_width = -(-(width - column) // step)
        out_height = -(-height // step) // multiple * multiple
        rows = max(multiple, PRODUCT_BLOCK // (max(self.kernel.shape) * out_width) // multiple * multiple)
        for first in range(0, out_height, rows):
            last = min(first + rows, out_height)
            inputs = np.empty((channels, size * size, last - first, out_width), self.kernel.dtype)
            for tap in range(size * size):
                ky, kx = divmod(tap, size)
                inputs[:, tap] = padded[:, ky + first * step: ky + (last - 1) * step + 1: step,
                                        kx + column: kx + width: step]
            sums = self.kernel @ inputs.reshape(channels * size * size, -1)
            yield slice(0, len(sums)), slice(first, last), sums.reshape(-1, last - first, out_width)


@dataclass(frozen=True)
class Piece:
    """y = clamp(round_shift((v - x_start) * y_mul, shift) + bias) for v > ``after``, up to the next piece."""

    after: int
    x_start: int
    y_mul: int
    shift: int
    bias: int

    def value(self, v: int) -> int:
        return activate(v, [Segment(self.x_start, self.y_mul, self.shift, self.bias)])


def pieces(parameters: Parameters) -> list[Piece]:
    """The activation table as disjoint pieces by ascending ``after``; the first begins below every value."""
    result: list[Piece] = []
    columns = zip(parameters.x_start, parameters.y_mul, parameters.shift_number, parameters.bias, strict=True)
    table = [tuple(map(int, segment)) for segment in columns]
    for x_start, y_mul, shift, bias in reversed(table):
        # A start at or above a later segment's is hidden by that segment.
        if not result or x_start < result[-1].after:
            result.append(Piece(x_start, x_start, y_mul, min(shift, 63), bias))
    x_start, y_mul, shift, bias = table[0]
    result.append(Piece(-1 << 36, x_start, y_mul, min(shift, 63), bias))
    return result[::-1]


class PostProcessor:
    """Batch norm and activation of blocks of sums (spec sections 6 and 7).

    ``increasing``: a larger sum never gives a smaller result, so maximum pools may go first.
    """

    def __init__(self, convolution: Convolution, parameters: Parameters):
        self.convolution = convolution
        self.parameters = parameters
        self.pieces = pieces(parameters)
        constant, bound = convolution.constant.astype(np.float64), convolution.bound
        mul = parameters.norm_mul.astype(np.float64)
        scale = np.ldexp(1.0, -parameters.norm_shift)
        low, high = np.sort([((constant - bound) * mul * scale), ((constant + bound) * mul * scale)], axis=0)
        low, high = low + parameters.norm_add - 1, high + parameters.norm_add + 1
        self.exact_in_float = bool(
            convolution.pixel_term is None
            and (np.abs(constant) + bound).max() < 1 << 35
            and ((np.abs(constant) + bound) * np.abs(mul)).max() < 1 << 53
            and low.min() > -1 << 35 and high.max() < 1 << 35)
        self.increasing = False
        if not self.exact_in_float:
            return
        self._reach(int(low.min()), int(high.max()))
        self.increasing = bool((mul >= 0).all()) and self._activation_increases(int(high.max()))
        self.factor = (mul * scale)[:, None]
        self.summand = (constant * mul * scale)[:, None]
        self.norm_add = parameters.norm_add.astype(np.float64)[:, None]
        self.slopes = np.array([np.ldexp(float(p.y_mul), -p.shift) for p in self.pieces])
        self.offsets = np.array([-p.x_start * s for p, s in zip(self.pieces, self.slopes, strict=True)])
        self.biases = np.array([float(p.bias) for p in self.pieces])
        self.products_fall_below_zero = any(p.y_mul < 0 or p.x_start > p.after for p in self.pieces)
        self.buffers = np.empty((3, POST_BLOCK))

    def _reach(self, low: int, high: int) -> None:
        """Keep the pieces that values in low..high can reach; turn leading constant ones into a lower limit of v."""
        while len(self.pieces) > 1 and self.pieces[1].after < low:
            del self.pieces[0]
        while len(self.pieces) > 1 and self.pieces[-1].after >= high:
            del self.pieces[-1]
        self.limit: int | None = None
        while len(self.pieces) > 1 and self.pieces[0].y_mul == 0 and self.pieces[0].bias == self.pieces[1].bias:
            # At its own start a piece gives its bias.
            del self.pieces[0]
            self.limit = self.pieces[0].x_start

    def _activation_increases(self, high: int) -> bool:
        joints = zip(self.pieces, self.pieces[1:])  # noqa: B905 (pairs of neighbours)
        return all(p.y_mul >= 0 and p.x_start <= p.after for p in self.pieces) and all(
            left.value(right.after) <= right.value(right.after + 1) for left, right in joints)

    def run(self, sums: np.ndarray, channels: slice, rows: slice, target: np.ndarray) -> None:
        """Post-process ``sums`` (c, y, width) of ``channels`` and ``rows`` into ``target`` (same shape, uint8)."""
        count, height, width = sums.shape
        lines = max(1, min(height, POST_BLOCK // width))
        group = max(1, POST_BLOCK // (lines * width))
        process = self._floats if self.exact_in_float else self._integers
        for c in range(0, count, group):
            for y in range(0, height, lines):
                block = sums[c: c + group, y: y + lines]
                target[c: c + group, y: y + lines] = process(
                    block, slice(channels.start + c, channels.start + c + block.shape[0]),
                    slice(rows.start + y, rows.start + y + block.shape[1]))

    def _floats(self, sums: np.ndarray, channels: slice, rows: slice) -> np.ndarray:
        size = sums.size
        if size > self.buffers.shape[1]:
            self.buffers = np.empty((3, size))
        v, parameter, q = (b[:size].reshape(len(sums), -1) for b in self.buffers)
        np.multiply(sums, self.factor[channels, :, None], out=v.reshape(sums.shape))
        v += self.summand[channels]
        np.floor(v, out=v)
        v += self.norm_add[channels]
        if self.limit is not None:
            np.maximum(v, self.limit, out=v)
        if len(self.pieces) == 1:
            np.multiply(v, self.slopes[0], out=q)
            q += self.offsets[0]
            bias = self.biases[0]
        else:
            index = np.zeros(v.shape, np.uint8)
            for piece in self.pieces[1:]:
                index += v > piece.after
            index = index.astype(np.intp)
            np.take(self.slopes, index, out=q, mode="clip")
            q *= v
            q += np.take(self.offsets, index, out=parameter, mode="clip")
            bias = np.take(self.biases, index, out=parameter, mode="clip")
        np.rint(q, out=v)
        if self.products_fall_below_zero:
            # Section 7.2 moves a negative product down where rounding would move it up.
            v -= 2.0 * ((v > q) & (q < 0))
        v += bias
        np.clip(v, 0, 255, out=v)
        return v.reshape(sums.shape)

    def _integers(self, sums: np.ndarray, channels: slice, rows: slice) -> np.ndarray:
        def column(values: np.ndarray) -> np.ndarray:
            return values[channels, None, None]

        c, p = self.convolution, self.parameters
        alu = sums.astype(np.int64) + column(c.constant)
        if c.pixel_term is not None:
            alu += c.pixel_term[channels if len(c.pixel_term) > 1 else slice(None), rows]
        v = _wrap36(((_wrap36(alu) * column(p.norm_mul)) >> column(p.norm_shift)) + column(p.norm_add))
        index = np.zeros(v.shape, np.intp)
        for piece in self.pieces[1:]:
            index += v > piece.after
        x_start, y_mul, shift, bias = (np.array([getattr(piece, name) for piece in self.pieces], np.int64)[index]
                                       for name in ("x_start", "y_mul", "shift", "bias"))
        r = round_shift((v - x_start) * y_mul, shift)
        return np.clip(r + bias, 0, 255).astype(np.uint8)


def round_shift(p: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Section 7.2 on int64 arrays, shift 0..63."""
    one = np.int64(1)
    integer = p >> shift
    fraction = p & ((one << shift) - 1)
    # Without a shift the fraction is 0 and below any positive half.
    half = one << np.maximum(shift - 1, 0)
    away = (fraction > half) | ((fraction == half) & (integer & 1 == 1))
    return integer + np.where(away, np.where(p < 0, -1, 1), 0)


def _wrap36(value: np.ndarray) -> np.ndarray:
    return (value << 28) >> 28


def _maximum(planes: np.ndarray, size: int) -> np.ndarray:
    """Maximum of size x size windows, stride = size; pixels left over at the right and bottom are dropped."""
    height, width = planes.shape[1] // size * size, planes.shape[2] // size * size
    lines = planes[:, 0:height:size]
    for y in range(1, size):
        lines = np.maximum(lines, planes[:, y:height:size])
    result = lines[:, :, 0:width:size]
    for x in range(1, size):
        result = np.maximum(result, lines[:, :, x:width:size])
    return result


def _pool(a: np.ndarray, pool_type: int) -> np.ndarray:
    """Pools that are not sampling (section 8) on activation values (C, H, W) uint8."""
    if pool_type in MAXIMUM:
        return _maximum(a, MAXIMUM[pool_type])
    if pool_type in (2, 4):
        size, height, width = pool_type, a.shape[1] // pool_type, a.shape[2] // pool_type
        windows = a[:, : height * size, : width * size].reshape(len(a), height, size, width, size)
        return (windows.sum(axis=(2, 4), dtype=np.uint16) >> pool_type).astype(np.uint8)
    if pool_type in (8, 9):
        padded = np.pad(a, ((0, 0), (0, 1), (0, 1)), "edge").astype(np.uint16)
        parts = padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]
        if pool_type == 8:
            return (sum(parts) >> 2).astype(np.uint8)
        # The edge repeated adds nothing to a maximum.
        return np.maximum.reduce(parts).astype(np.uint8)
    return a
