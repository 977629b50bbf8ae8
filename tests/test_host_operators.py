# SPDX-License-Identifier: Apache-2.0
"""Host operators against plain loops written from the specification's sentences."""

import ctypes
import math

import numpy as np
import pytest

from openkpu.arithmetic import conv, elementwise, fused, libm, nnil, quantize, reduce, rounding, shape

INF = (-np.inf, np.inf)


@pytest.fixture(autouse=True)
def silent_infinities():
    with np.errstate(all="ignore"):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def loop_conv(x, w, bias, groups, pad_h, pad_w, stride, dilation):
    n, c, h, width = x.shape
    oc, icg, kh, kw = w.shape
    oh = (h + sum(pad_h) - ((kh - 1) * dilation[0] + 1) + stride[0]) // stride[0]
    ow = (width + sum(pad_w) - ((kw - 1) * dilation[1] + 1) + stride[1]) // stride[1]
    out = np.zeros((n, oc, oh, ow))
    for i, o, y, q in np.ndindex(out.shape):
        total = float(bias[o])
        for k, ky, kx in np.ndindex(icg, kh, kw):
            iy, ix = y * stride[0] - pad_h[0] + ky * dilation[0], q * stride[1] - pad_w[0] + kx * dilation[1]
            if 0 <= iy < h and 0 <= ix < width:
                total += float(x[i, o // (oc // groups) * icg + k, iy, ix]) * float(w[o, k, ky, kx])
        out[i, o, y, q] = total
    return out


CONVS = [
    (1, 4, 6, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1)), (2, 4, 4, (3, 2), (0, 1), (2, 0), (2, 1), (1, 1)),
    (4, 4, 4, (3, 3), (2, 2), (2, 2), (1, 1), (2, 2)), (2, 4, 6, (1, 1), (0, 0), (0, 0), (1, 2), (1, 1)),
    (4, 4, 8, (2, 2), (-1, 0), (0, -1), (1, 1), (1, 1)),
]


@pytest.mark.parametrize("groups, ic, oc, kernel, pad_h, pad_w, stride, dilation", CONVS)
def test_float_convolution(rng, groups, ic, oc, kernel, pad_h, pad_w, stride, dilation):
    x = rng.normal(size=(2, ic, 7, 9)).astype(np.float32)
    w = rng.normal(size=(oc, ic // groups, *kernel)).astype(np.float32)
    bias = rng.normal(size=oc).astype(np.float32)
    expected = loop_conv(x, w, bias, groups, pad_h, pad_w, stride, dilation)
    got = conv.conv2d(x, w, bias, groups, pad_h, pad_w, stride, dilation, (-1, 2))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.clip(expected, -1, 2), atol=1e-5)


@pytest.mark.parametrize("offsets", [(-3, -128), (70_000_000, -60_000_000)], ids=["BLAS", "64-bit integers"])
@pytest.mark.parametrize("groups, ic, oc, kernel, pad_h, pad_w, stride, dilation", CONVS[:4])
def test_quantized_convolution_skips_pixels_outside(rng, groups, ic, oc, kernel, pad_h, pad_w, stride, dilation,
                                                    offsets):
    x = rng.integers(0, 256, (1, ic, 5, 6), np.uint8)
    w = rng.integers(0, 256, (oc, ic // groups, *kernel), np.uint8)
    bias = rng.integers(-1000, 1000, oc).astype(np.int32)
    wide_x, wide_w = (a.astype(object) + o for a, o in zip((x, w), offsets, strict=True))
    acc = np.zeros(loop_conv(x, w, bias, groups, pad_h, pad_w, stride, dilation).shape, object)
    for i, o, y, q in np.ndindex(acc.shape):
        total = int(bias[o])
        for k, ky, kx in np.ndindex(ic // groups, *kernel):
            iy, ix = y * stride[0] - pad_h[0] + ky * dilation[0], q * stride[1] - pad_w[0] + kx * dilation[1]
            if 0 <= iy < 5 and 0 <= ix < 6:
                total += wide_x[i, o // (oc // groups) * (ic // groups) + k, iy, ix] * wide_w[o, k, ky, kx]
        acc[i, o, y, q] = min(max((total * 3 + 512 >> 10) + 7, 0), 255)
    got = conv.quantized_conv2d(x, w, bias, groups, pad_h, pad_w, stride, dilation, *offsets, 3, 10, 7)
    np.testing.assert_array_equal(got, acc.astype(np.uint8))


def test_transposed_convolution_adds_no_bias(rng):
    groups, icg, ocg, kernel, stride, dilation, pad = 2, 2, 3, (3, 2), (2, 1), (1, 2), (1, 0)
    x = rng.normal(size=(1, groups * icg, 4, 5)).astype(np.float32)
    w = rng.normal(size=(groups, ocg, icg, *kernel)).astype(np.float32)
    out = np.zeros((1, groups * ocg, 8, 7))
    for g, o, k, y, q, ky, kx in np.ndindex(groups, ocg, icg, 4, 5, *kernel):
        oy, ox = y * stride[0] - pad[0] + ky * dilation[0], q * stride[1] - pad[1] + kx * dilation[1]
        if 0 <= oy < 8 and 0 <= ox < 7:
            out[0, g * ocg + o, oy, ox] += float(x[0, g * icg + k, y, q]) * float(w[g, o, k, ky, kx])
    got = conv.conv2d_transpose(x, w, out.shape, (1, 0), (0, 0), stride, dilation, INF)
    np.testing.assert_allclose(got, out, atol=1e-5)


def test_quantized_matrix_product(rng):
    a, b = rng.integers(0, 256, (3, 40), np.uint8), rng.integers(0, 256, (40, 5), np.uint8)
    bias = rng.integers(-9999, 9999, 5).astype(np.int32)
    acc = (a.astype(np.int64) - 7) @ (b.astype(np.int64) - 120) + bias
    expected = np.clip((acc * 11 + (1 << 13) >> 14) - 4, 0, 255)
    np.testing.assert_array_equal(conv.quantized_matmul(a, b, bias, -7, -120, 11, 14, -4), expected)


@pytest.mark.parametrize("op", ["max", "min", "mean", "sum"])
def test_window_reduction_folds_only_pixels_inside(rng, op):
    x = rng.normal(size=(1, 2, 5, 6)).astype(np.float32)
    init = {"max": -3e38, "min": 3e38}.get(op, 0)
    got = reduce.reduce_window2d(x, op, (1, 1), (1, 0), (3, 2), (2, 2), (1, 1), init, INF)
    fold = {"max": max, "min": min, "mean": lambda v: sum(v) / len(v), "sum": sum}[op]
    for c, y, q in np.ndindex(got.shape[1:]):
        inside = [float(x[0, c, iy, ix]) for iy in range(2 * y - 1, 2 * y + 2) for ix in range(2 * q - 1, 2 * q + 1)
                  if 0 <= iy < 5 and 0 <= ix < 6]
        assert got[0, c, y, q] == pytest.approx(fold(inside), rel=1e-5, abs=1e-6)


def test_v3_max_pool_starts_at_zero_and_obeys_the_stored_output_size(rng):
    x = rng.integers(0, 256, (2, 5, 5), np.uint8)
    got = reduce.pool_v3(x, "max", (3, 2), (2, 2), (2, 2), (0, 0))
    assert got.shape == (2, 3, 2)
    np.testing.assert_array_equal(got[:, 0, 0], x[:, :2, :2].max(axis=(1, 2)))
    np.testing.assert_array_equal(got[:, 2, 1], x[:, 4, 2:4].max(axis=1))


def test_v3_softmax_does_not_shift_negative_inputs():
    x = np.array([-90, -91], np.float32)
    e = np.exp(x)
    np.testing.assert_array_equal(reduce.softmax_v3(x), e / e.sum())


def test_softmax_applies_beta_after_subtracting_the_maximum(rng):
    x = rng.normal(size=(3, 7)).astype(np.float32)
    e = np.exp((x.astype(np.float64) - x.max(axis=1, keepdims=True)) * 0.5)
    np.testing.assert_allclose(reduce.softmax(x, -1, 0.5), e / e.sum(axis=1, keepdims=True), rtol=1e-5)


def test_l2_normalisation_has_a_floor():
    np.testing.assert_allclose(reduce.l2_normalize(np.array([3, 4], np.float32)), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(reduce.l2_normalize(np.array([1e-6, 0], np.float32)), [0.1, 0], rtol=1e-5)


@pytest.mark.parametrize("last, expected", [(False, 1), (True, 3)])
def test_index_of_the_extreme_among_equals(last, expected):
    x = np.array([[1, 5, 2, 5, 0]], np.float32)
    assert reduce.arg_extreme(x, "arg_max", (1,), last).tolist() == [expected]
    assert reduce.arg_extreme(-x, "arg_min", (1,), last).tolist() == [expected]


def test_top_k_keeps_index_order_among_equals():
    values, indices = reduce.top_k(np.array([2, 9, 4, 9], np.float32), 3, 0, True)
    assert values.tolist() == [9, 9, 4] and indices.tolist() == [1, 3, 2]


@pytest.mark.parametrize("value, away, even", [(0.5, 1, 0), (1.5, 2, 2), (-0.5, -1, 0), (-2.5, -3, -2),
                                               (0.49999997, 0, 0), (8388609.0, 8388609, 8388609)])
def test_halves_round_as_the_format_says(value, away, even):
    x = np.array([value], np.float32)
    assert rounding.round_half_away(x)[0] == away
    assert quantize.quantize(x, 1, 0, "away", np.int32)[0] == away
    assert quantize.quantize(x, 1, 0, "even", np.int32)[0] == even
    assert quantize.quantize(np.repeat(x, 3), 1, 0, "chip", np.int32).tolist() == [even, even, away]
    assert quantize.quantize(np.repeat(x, 2), 1, 0, "chip", np.int32).tolist() == [even, even]


def test_v3_quantize_clamps_and_survives_special_values():
    x = np.array([-5, 0.5, 300, np.inf, -np.inf, np.nan], np.float32)
    assert quantize.quantize_v3(x, 0.5, -1).tolist() == [0, 3, 255, 255, 0, 0]


def test_conversion_saturates_at_every_integer_type():
    x = np.array([1e30, -1e30, 3.0], np.float32)
    for kind in (np.int8, np.uint8, np.int32, np.int64, np.uint64):
        limits = np.iinfo(kind)
        assert rounding.saturate(x, kind).tolist() == [limits.max, limits.min, 3]
    assert rounding.saturate(np.array([2.0**62 * 1.5]), np.int64).tolist() == [3 << 61]


def test_v4_dequantize_multiplies_with_the_reciprocal():
    q = np.arange(256, dtype=np.uint8)
    expected = (q.astype(np.float32) - np.float32(37)) * (np.float32(1) / np.float32(12.7))
    np.testing.assert_array_equal(quantize.dequantize_v4(q, 37, 12.7), expected)


@pytest.mark.parametrize("value, shift, expected",
                         [(5, 1, 3), (-5, 1, -4), (4, 1, 2), (7, 2, 2), (-6, 2, -3), (9, 0, 9)])
def test_v3_carry_moves_odd_bits_away_from_zero(value, shift, expected):
    assert rounding.shift_carry(np.array([value]), shift)[0] == expected


def test_v3_quantized_add(rng):
    a, b = rng.integers(0, 256, 64, np.uint8), rng.integers(0, 256, 64, np.uint8)
    for shifts in ((4, 4), (3, 5)):
        got = elementwise.quantized_add_v3(a, b, (-10, 9, shifts[0]), (3, 7, shifts[1]), (20, 5, 4))
        for i in range(64):
            wa, wb = (int(a[i]) - 10) * 9, (int(b[i]) + 3) * 7
            v = (wa + wb) >> shifts[0] if shifts[0] == shifts[1] else (wa >> shifts[0]) + (wb >> shifts[1])
            t = (v * 5) >> 3
            v = (t >> 1) + (0 if not t & 1 else 1 if t >= 0 else -1)
            assert got[i] == min(max(v + 20, 0), 255)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "min", "max"])
def test_v4_quantized_binary_broadcasts(rng, op):
    a, b = rng.integers(0, 256, (1, 3, 2, 2), np.uint8), rng.integers(0, 256, (1, 3, 1, 1), np.uint8)
    scales = (-100, 5, 3), (-128, 6, 2), (9, 4, 3)
    got = elementwise.quantized_binary(a, b, op, *scales)

    def rescaled(v, offset, mul, shift):
        return ((v + offset) * mul + (1 << (shift - 1))) >> shift

    for index in np.ndindex(a.shape):
        wa, wb = rescaled(int(a[index]), *scales[0]), rescaled(int(b[0, index[1], 0, 0]), *scales[1])
        div = int((wa + int(wb / 2)) / wb) if wb else 0
        r = {"add": wa + wb, "sub": wa - wb, "mul": wa * wb, "div": div, "min": min(wa, wb), "max": max(wa, wb)}[op]
        assert got[index] == min(max(((r * 4 + 4) >> 3) + 9, 0), 255)


def test_integer_division_by_zero_gives_zero():
    a, b = np.array([7, -7, 3], np.int32), np.array([0, 2, -2], np.int32)
    assert elementwise.binary(a, b, "div", INF).tolist() == [0, -3, -1]


def test_binary_clamps_and_keeps_the_type():
    got = elementwise.binary(np.array([1, 9], np.int32), np.array([2, 2], np.int32), "mul", (0, 6))
    assert got.dtype == np.int32 and got.tolist() == [2, 6]


def test_integers_pass_through_float32():
    big = np.array([(1 << 24) + 1, -3], np.int64)
    assert elementwise.binary(big, np.array([0, -2], np.int64), "add", INF).tolist() == [1 << 24, -5]
    assert elementwise.binary(big, np.array([1, -2], np.int64), "pow", INF).tolist() == [1 << 24, 0]


def test_unary_functions_are_float32(rng):
    x = rng.uniform(0.1, 0.9, 20).astype(np.float32)
    expected = {"rsqrt": lambda v: v ** -0.5, "erf": math.erf, "square": lambda v: v * v, "tanh": math.tanh}
    for name, function in expected.items():
        got = elementwise.unary(x, name)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, [function(float(v)) for v in x], rtol=1e-6)
    assert elementwise.unary(np.array([2.5, -0.5], np.float32), "round").tolist() == [3, -1]


def test_nnil_program_of_a_clamped_square():
    opcodes = 0x03, 0x01, 0x42, 0x04, 0x06, 0x80, 0xA0
    program = tuple((op, np.float32(6) if op == 0x06 else None) for op in opcodes)
    x = np.array([-3, 1, 2], np.float32)
    assert nnil.run(program, x).tolist() == [6, 1, 4]


def test_pad_grows_and_crops_and_inserts():
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert shape.pad(x, (1, -1), (0, 1), 9).tolist() == [[9, 9, 9], [1, 2, 9], [4, 5, 9]]
    assert shape.pad(x, (0, 0), (0, 0), 7, "constant", (0, 1)).tolist() == [[0, 7, 1, 7, 2], [3, 7, 4, 7, 5]]
    assert shape.pad(x[0], (1,), (1,), 0, "reflect").tolist() == [1, 0, 1, 2, 1]
    assert shape.pad(x[0], (1,), (1,), 0, "symmetric").tolist() == [0, 0, 1, 2, 2]
    assert shape.pad(x[0], (2,), (1,), 0, "edge").tolist() == [0, 0, 0, 1, 2, 2]


def test_strided_slice_walks_both_ways():
    x = np.arange(10)
    assert shape.strided_slice(x, (1,), (3,), (3,)).tolist() == [1, 4, 7]
    assert shape.strided_slice(x, (9,), (-4,), (3,)).tolist() == [9, 5, 1]


def test_nearest_resize():
    x = np.arange(4, dtype=np.uint8)[None, None, None]
    assert shape.resize_nearest(x, (1, 6)).ravel().tolist() == [0, 0, 1, 2, 2, 3]
    assert shape.resize_nearest(x, (1, 7), align_corners=True).ravel().tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert shape.resize_nearest(x, (1, 2), half_pixel=True).ravel().tolist() == [1, 3]


@pytest.mark.parametrize("v5, expected", [(False, [0, 5, 10, 10]), (True, [0, 5, 10, 10])])
def test_bilinear_resize_of_bytes(v5, expected):
    x = np.array([0, 10], np.uint8)[None, None, None]
    assert shape.resize_bilinear(x, (1, 4), False, v5=v5).ravel().tolist() == expected
    third = shape.resize_bilinear(x, (1, 4), True, v5=v5).ravel().tolist()
    assert third == ([0, 3, 7, 10] if v5 else [0, 3, 6, 10])


def test_space_to_batch_and_back(rng):
    x = rng.integers(0, 99, (2, 3, 5, 6))
    moved = shape.space_to_batch(x, (2, 3), ((1, 0), (0, 0)))
    assert moved.shape == (12, 3, 3, 2)
    np.testing.assert_array_equal(moved[2 * 4 + 1, :, 1, 1], x[1, :, 2, 4])
    np.testing.assert_array_equal(shape.batch_to_space(moved, (2, 3), ((1, 0), (0, 0))), x)


@pytest.mark.parametrize("op, init, expected", [("mean", 0, 3.5), ("sum", 1, 22), ("min", 0.5, 0.5), ("max", 9, 9)])
def test_reduction_starts_at_init(op, init, expected):
    x = np.arange(1, 7, dtype=np.float32).reshape(1, 2, 3)
    assert reduce.reduce_axes(x, op, (1, 2), init).ravel() == pytest.approx([expected])


@pytest.mark.skipif(not libm.IS_GLIBC, reason="the C library is not glibc")
@pytest.mark.parametrize("name", ["acosf", "asinf", "cosf", "erff", "expf", "logf", "sinf", "tanhf", "powf"])
def test_float_function_gives_glibcs_bits(name, rng):
    function = getattr(ctypes.CDLL("libm.so.6"), name)
    count = 2 if name == "powf" else 1
    function.argtypes, function.restype = [ctypes.c_float] * count, ctypes.c_float
    any_bits = rng.integers(0, 1 << 32, (count, 4000)).astype(np.uint32).view(np.float32)
    special = np.array([[0, -0.0, np.inf, -np.inf, np.nan, 1, 88.7, -103.0, -87.4, 1e-45]] * count, np.float32)
    usual = rng.normal(0, 3, (count, 20000)).astype(np.float32)
    x = np.concatenate([usual, np.abs(usual), any_bits, special], axis=1)
    found = getattr(libm, name)(*x)
    wanted = np.fromiter(map(function, *(row.tolist() for row in x)), np.float32)
    assert found.dtype == np.float32 and np.array_equal(np.isnan(found), np.isnan(wanted))
    assert np.array_equal(found.view(np.uint32)[~np.isnan(found)], wanted.view(np.uint32)[~np.isnan(found)])


def test_float_function_keeps_the_shape_and_broadcasts():
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert libm.tanhf(x).shape == (1, 2, 3) and libm.expf(x[..., :0]).shape == (1, 2, 0)
    assert libm.powf(x, np.float32(2)).tolist() == np.square(x).tolist()


def test_smallest_and_largest_pass_over_nans_and_start_finite():
    x = np.array([[np.nan, 2, np.nan], [np.nan] * 3, [np.inf] * 3, [-np.inf] * 3], np.float32)
    limit = np.finfo(np.float32).max
    assert reduce.reduce_axes(x, "min", (1,))[:, 0].tolist() == [2, limit, limit, -np.inf]
    assert reduce.reduce_axes(x, "max", (1,))[:, 0].tolist() == [2, -limit, np.inf, -limit]


def test_fused_multiply_add_rounds_once():
    one = np.float32(1)
    tiny = np.float32(2.0 ** -23)
    # (1 + u)(1 + u) - 1 - 2u = u*u, which vanishes when the product is rounded first.
    assert fused.multiply_add(one + tiny, one + tiny, -(one + 2 * tiny)) == tiny * tiny
    # 1 + u/2 + u*u/4 lies just above the middle of two floats: two roundings would give 1.
    half = np.float32(2.0 ** -24)
    assert fused.multiply_add(one + tiny, half, one) == one + tiny
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 5000)).astype(np.float32)
    wide = a.astype(np.longdouble) * b.astype(np.longdouble) + c.astype(np.longdouble)
    assert np.array_equal(fused.multiply_add(a, b, c), wide.astype(np.float32))
