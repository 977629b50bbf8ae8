# SPDX-License-Identifier: Apache-2.0
"""Known-answer vectors of spec/kpu-hardware.md section 13 on both golden models and on the functional device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from openkpu.devices.functional import FunctionalDevice
from openkpu.golden import fast, reference
from openkpu.golden.layers import Layer, make_descriptor, memory_reader
from openkpu.golden.parameters import ParameterMemory, pack_activation, pack_fields
from openkpu.golden.reference import Segment
from openkpu.hw.fields import AIRAM_BASE, BN_FIELDS, REGS_BASE, ROW_BYTES, register

BOTTOM = -(1 << 35)


@pytest.mark.parametrize(("alu", "mul", "shift", "add", "v"), [
    (1000, 3, 1, 5, 1505), (-1000, 3, 1, 5, -1495), (-1001, 3, 1, 5, -1497), (-7, 1, 2, 0, -2), (5, -3, 1, 0, -8),
    (123456, 1048576, 15, -77, 3950515), (-123457, 2097148, 15, 444097540, 436196307)])
def test_batch_norm_gives_the_known_values(alu, mul, shift, add, v):
    assert reference.batch_norm(alu, mul, shift, add) == v


ROUNDED = [
    (1, 1, 0), (3, 1, 2), (5, 1, 2), (-1, 1, -2), (-2, 1, -1), (-3, 1, -2), (-5, 1, -4), (7, 2, 2), (6, 2, 2),
    (5, 2, 1), (10, 2, 2), (9, 0, 9), (1 << 40, 43, 0), (3 << 42, 43, 2), (-5, 2, -3), (-6, 2, -2), (-7, 2, -2),
    (-9, 2, -4), (-10, 2, -4), (3 << 41, 43, 1), (5 << 42, 43, 2)]


def test_round_shift_gives_the_known_values():
    assert [reference.round_shift(p, s) for p, s, _ in ROUNDED] == [r for *_, r in ROUNDED]
    p, s, r = np.array(ROUNDED).T
    np.testing.assert_array_equal(fast.round_shift(p, s), r)


STARTS = [BOTTOM, -1000, -500, 0, 64] + [1000 + i for i in range(11)]
SLOPES = [0, 16384, -24576, 20480, 32767] + [0] * 11
SHIFTS = [0, 16, 16, 14, 15] + [0] * 11
BIASES = [0, 10, 200, 50, 130] + [255] * 11
ACTIVATED = {
    BOTTOM: 0, -5000: 0, -1000: 0, -999: 10, -998: 10, -996: 11, -994: 12, -500: 135, -499: 198, -498: 199, -496: 198,
    -234: 100, -1: 11, 0: 12, 1: 51, 2: 52, 3: 54, 4: 55, 10: 62, 63: 129, 64: 130, 65: 131, 150: 216, 189: 255}


def test_activation_gives_the_known_values():
    segments = [Segment(*s) for s in zip(STARTS, SLOPES, SHIFTS, BIASES, strict=True)]
    assert {v: reference.activate(v, segments) for v in ACTIVATED} == ACTIVATED


def test_fast_activation_gives_the_known_values():
    values = [v for v in ACTIVATED if v > -(1 << 31)]
    # One bypassed pixel of value 0 per channel: the norm_add is v.
    d = make_descriptor((len(values), 1, 1), len(values), bypass_conv=1)
    layer = Layer("known", d, True, np.zeros(0, np.uint8),
                  pack_fields(BN_FIELDS, norm_mul=0, norm_shift=0, norm_add=np.array(values)),
                  pack_activation(STARTS, SLOPES, SHIFTS, BIASES), np.zeros((len(values), 1, 1), np.uint8))
    assert layer.result.output.ravel().tolist() == [ACTIVATED[v] for v in values]


IMAGE = [[0, 7, 28, 63, 112, 175], [9, 16, 37, 72, 121, 184], [24, 31, 52, 87, 136, 199], [45, 52, 73, 108, 157, 220],
         [72, 79, 100, 135, 184, 247]]
BIG_IMAGE = [[(37 * r + 53 * c + 11) % 256 for c in range(8)] for r in range(8)]
POOLED = [
    (IMAGE, 0, IMAGE), (IMAGE, 1, [[16, 72, 184], [52, 108, 220]]), (IMAGE, 2, [[8, 50, 148], [38, 80, 178]]),
    (IMAGE, 3, [[108]]), (IMAGE, 4, [[44]]), (IMAGE, 5, [[0, 28, 112], [24, 52, 136]]),
    (IMAGE, 6, [[7, 63, 175], [31, 87, 199]]), (IMAGE, 7, [[0]]),
    (IMAGE, 8, [[8, 22, 50, 92, 148, 179], [20, 34, 62, 104, 160, 191], [38, 52, 80, 122, 178, 209],
                [62, 76, 104, 146, 202, 233], [75, 89, 117, 159, 215, 247]]),
    (IMAGE, 9, [[16, 37, 72, 121, 184, 184], [31, 52, 87, 136, 199, 199], [52, 73, 108, 157, 220, 220],
                [79, 100, 135, 184, 247, 247], [79, 100, 135, 184, 247, 247]]),
    (IMAGE, 12, IMAGE), (BIG_IMAGE, 3, [[244, 237], [249, 242]]), (BIG_IMAGE, 4, [[130, 118], [118, 122]]),
    (BIG_IMAGE, 7, [[11, 223], [159, 115]])]


@pytest.mark.parametrize(("image", "pool_type", "expected"), POOLED)
def test_pools_give_the_known_images(image, pool_type, expected):
    assert reference.pool(image, pool_type, len(expected), len(expected[0])) == expected
    # Identity of pixels 0..255: bypassed convolution, factor 1 and a slope of 1 from 0 on.
    d = make_descriptor((1, len(image), len(image[0])), 1, bypass_conv=1, pool_type=pool_type)
    layer = Layer("pool", d, True, np.zeros(0, np.uint8),
                  pack_fields(BN_FIELDS, norm_mul=np.ones(1), norm_add=np.zeros(1), norm_shift=np.zeros(1)),
                  pack_activation([0] * 16, [1] * 16, [0] * 16, [0] * 16), np.array([image], np.uint8))
    assert layer.result.output[0].tolist() == expected


COUNTING = np.arange(1, 17).reshape(1, 4, 4)
TENS = np.array([10 * np.arange(16), 255 - np.arange(16)]).reshape(2, 4, 4)
ONE_TO_NINE = np.arange(1, 10)
TWO_PLANES = [
    [[-9630, -18155, -25505, -19550], [-29145, -49440, -60600, -44325], [-58785, -94080, -105240, -74205],
     [-49870, -78845, -86375, -60350]],
    [[125730, 188214, 187452, 124714], [187071, 280035, 278892, 185547], [184023, 275463, 274320, 182499],
     [121666, 182118, 181356, 120650]]]
CONVOLVED = [
    ("plain", COUNTING, ONE_TO_NINE, True, {},
     [[[111, 178, 217, 145], [231, 348, 393, 252], [363, 528, 573, 360], [197, 274, 295, 175]]]),
    ("zero points", COUNTING, ONE_TO_NINE, True, {"pad_value": 2, "arg_x": -3, "arg_w": -2, "arg_add": 54},
     [[[37, 64, 85, 55], [102, 150, 168, 99], [162, 222, 240, 135], [51, 52, 55, 13]]]),
    ("shifted arguments", COUNTING, ONE_TO_NINE, True,
     {"pad_value": 2, "arg_x": -100000, "shr_x": 15, "arg_w": -65536, "shr_w": 15, "arg_add": 55},
     [[[36, 63, 84, 54], [100, 148, 165, 97], [159, 218, 235, 132], [49, 48, 51, 10]]]),
    ("16-bit weights", COUNTING, 1000 * ONE_TO_NINE, False,
     {"pad_value": 2, "arg_x": -20000, "shr_x": 2, "arg_w": -16, "shr_w": 3, "arg_add": 90000},
     [[[25000, 40000, 49000, 27000], [60000, 78000, 78000, 33000], [72000, 78000, 78000, 21000],
       [-25000, -68000, -77000, -79000]]]),
    ("two-channel depthwise", TENS, np.append(np.arange(9), np.full(9, 255)), True,
     {"depth_wise_layer": 1, "pad_value": 5, "arg_x": -128, "arg_w": -5, "arg_add": 5760}, TWO_PLANES)]


def alu_of_both(d, source, weights, eight_bit):
    """alu by the reference and by the fast model, (OC, H, W) each."""
    layer = Layer("alu", d, eight_bit, weights.astype("u1" if eight_bit else "<u2").view(np.uint8),
                  np.zeros(d.o_ch_num, np.uint64), np.zeros(18, np.uint64), source.astype(np.uint8))
    parameters = ParameterMemory().fetch(d, memory_reader(layer.memory()), eight_bit)
    planes = reference.alu_planes(d, reference.read_source(d, layer.airam()), parameters)
    return planes, fast.alu(d, layer.source, parameters)


@pytest.mark.parametrize(("source", "weights", "eight_bit", "fields", "expected"),
                         [pytest.param(*case, id=name) for name, *case in CONVOLVED])
def test_3x3_convolutions_give_the_known_sums(source, weights, eight_bit, fields, expected):
    d = make_descriptor(source.shape, len(source), kernel_type=1, eight_bit=eight_bit, **fields)
    planes, vectorised = alu_of_both(d, source, weights, eight_bit)
    assert planes == expected
    assert vectorised.tolist() == expected


def test_1x1_convolution_gives_the_known_sums():
    d = make_descriptor((2, 4, 4), 3, arg_x=-128, arg_w=-5, arg_add=640)
    planes, vectorised = alu_of_both(d, TENS, np.array([1, 2, 200, 100, 0, 255]), True)
    assert [[p[0], p[3]] for p in planes] == [
        [[-30865, -32009, -33153, -34297], [-44593, -45737, -46881, -48025]],
        [[-7360, -6612, -5864, -5116], [1616, 2364, 3112, 3860]],
        [[32390, 30983, 29576, 28169], [15506, 14099, 12692, 11285]]]
    assert vectorised.tolist() == planes


@dataclass(frozen=True)
class FullLayer:
    """One of the complete layers of sections 13.6 and 13.7."""

    layer: Layer
    words: list[int]
    weight_bytes: str
    bn_words: list[int]
    input_rows: list[dict[int, str]]
    alu: dict[tuple[int, int], list[int]]
    output: list
    output_rows: list[str]
    stream: list[int]


ACTIVATION = pack_activation(
    [BOTTOM, -2000, 0, 40, 100, 400] + [1000 + i for i in range(10)], [0, 3277, 16384, 8192, 4096, -2048] + [0] * 10,
    [0, 15, 14, 14, 14, 16] + [0] * 10, [0, 0, 100, 140, 170, 245] + [226] * 10)
ACTIVATION_WORDS = [
    0x0800000000000000, 0x0FFFFFF8300CCD0F, 0x000000000040000E, 0x000000002820000E, 0x000000006410000E,
    0x0000000190F80010] + [0x00000003E8000000 + (i << 24) for i in range(10)] + [0xE2E2F5AA8C640000, 0xE2E2E2E2E2E2E2E2]


def spec_layer(name, size, out_channels, weights, norms, **fields):
    """x[c][r][q] = (31c + 17r + 5q + 3) mod 256, zx = 10, zw = 128, tables where section 13.6 has them."""
    c, r, q = np.ogrid[:len(norms[0]) if fields.get("depth_wise_layer") else 2, :size, :size]
    source = ((31 * c + 17 * r + 5 * q + 3) % 256).astype(np.uint8)
    d = make_descriptor(source.shape, out_channels, image_dst_addr=32, kernel_type=1, pad_value=10, arg_x=-128,
                        arg_w=-10, arg_add=9 * 128 * 10, send_data_out=1, bwsx_base_addr=0x40010000,
                        para_start_addr=0x40020000, active_addr=0x40030000, **fields)
    bn = pack_fields(BN_FIELDS, norm_mul=norms[0], norm_shift=norms[1], norm_add=norms[2])
    return Layer(name, d, True, weights.astype(np.uint8).ravel(), bn, ACTIVATION, source)


OC, IC, KY, KX = np.ogrid[:3, :2, :3, :3]
LAYER_A = FullLayer(
    spec_layer("A", 8, 3, (101 * OC + 59 * IC + 23 * KY + 7 * KX + 90) % 256,
               ([400, 437, 474], [15] * 3, [-30, 20, 70]), pool_type=1),
    [0x1, 0x0000002000000000, 0x0002000200000001, 0x00000C0300001C07, 0x400100000A0F0411, 0x40020000001B0001, 0,
     0x40030000C0010008, 0x0000000000410004, 0x00FFFF80FFFFF600, 0x2D00, 0x0000002F000F0001],
    "5a616871787f888f96959ca3acb3bac3cad1bfc6cdd6dde4edf4fbfa010811181f282f36242b323b42495259605f666d767d848d949b",
    [0x0FFFFFFFE2000190, 0x0F000000140001B5, 0x0F000000460001DA],
    [{0: "03080d12171c2126", 16: "22272c31363b4045"}, {0: "14191e23282d3237", 16: "33383d42474c5156"}],
    {(0, 0): [10204, 15652, 17632, 19612, 21592, 23572, 25552, 16192],
     (0, 1): [17120, 25146, 27081, 29016, 30951, 32886, 34821, 21248],
     (0, 4): [32420, 44883, 46818, 48753, 50688, 52623, 54558, 32264],
     (0, 7): [17632, 21820, 22420, 23020, 23620, 24220, 24820, 12388],
     (1, 0): [-9880, -15284, -14924, -14564, -14204, -13844, -13484, -10372],
     (1, 4): [-16984, -11238, -10453, -9668, -8883, -8098, -7313, 20],
     (1, 7): [-24484, -9908, -9648, -9388, -9128, -8868, -8608, 3728],
     (2, 0): [1780, 1396, 136, -1124, -2384, -3644, -4904, -5192],
     (2, 3): [-12856, -24390, -27315, -30240, -33165, -36090, -39015, -31024],
     (2, 7): [-34856, -58532, -61172, -63812, -66452, -69092, -71732, -53060]},
    [[[214, 226, 238, 244], [242, 243, 244, 241], [244, 239, 239, 243], [242, 234, 234, 243]],
     [[189, 183, 184, 192], [183, 186, 188, 199], [191, 193, 195, 196], [194, 196, 198, 199]],
     [[168, 196, 188, 200], [197, 182, 173, 173], [180, 153, 145, 151], [163, 124, 116, 130]]],
    ["d6e2eef4/bdb7b8c0/a8c4bcc8", "f2f3f4f1/b7babcc7/c5b6adad", "f4efeff3/bfc1c3c4/b4999197",
     "f2eaeaf3/c2c4c6c7/a37c7482"],
    [0xF1F4F3F2F4EEE2D6, 0xF3EAEAF2F3EFEFF4, 0xC7BCBAB7C0B8B7BD, 0xC7C6C4C2C4C3C1BF, 0xADADB6C5C8BCC4A8,
     0x82747CA3979199B4])
LAYER_B = FullLayer(
    spec_layer("B", 4, 3, (101 * OC + 23 * KY + 7 * KX + 90)[:, 0] % 256, ([900, 937, 974], [14] * 3, [-30, 20, 70]),
               depth_wise_layer=1),
    [0x9, 0x0000002000000000, 0x0002000200000002, 0x00000C0300000C03, 0x400100000A0F0401, 0x40020000000D8001, 0,
     0x40030000C0010004, 0x0000000000410004, 0x00FFFF80FFFFF600, 0x2D00, 0x0000002F000F0001],
    "5a616871787f888f96bfc6cdd6dde4edf4fb242b323b4249525960",
    [0x0EFFFFFFE2000384, 0x0E000000140003A9, 0x0E000000460003CE],
    [{0: "03080d12", 16: "22272c31", 32: "41464b50"}, {0: "14191e23", 16: "33383d42", 32: "52575c61"}],
    {(0, 0): [538, 863, 968, 426], (0, 1): [1279, 1476, 1116, 64], (0, 2): [820, 252, -108, -1109],
     (0, 3): [-2006, -4012, -4597, -3990], (1, 0): [15546, 24239, 27374, 18606], (1, 1): [26803, 41058, 45243, 30346],
     (1, 2): [36646, 55287, 59472, 39475], (1, 3): [23886, 35690, 38135, 25074],
     (2, 0): [-11982, -20029, -21544, -15990], (2, 1): [-24533, -40410, -43200, -31592],
     (2, 2): [-30500, -49896, -52686, -38273], (2, 3): [-27574, -44476, -46681, -33454]},
    [[[200, 117, 123, 199], [140, 146, 131, 197], [115, 198, 196, 191], [186, 175, 172, 175]],
     [[229, 226, 226, 226], [226] * 4, [226] * 4, [226] * 4],
     [[136, 88, 79, 112], [61, 0, 0, 19], [26, 0, 0, 0], [43, 0, 0, 8]]],
    ["c8757bc7/e5e2e2e2/88584f70", "8c9283c5/e2e2e2e2/3d000013", "73c6c4bf/e2e2e2e2/1a000000",
     "baafacaf/e2e2e2e2/2b000008"],
    [0xC583928CC77B75C8, 0xAFACAFBABFC4C673, 0xE2E2E2E2E2E2E2E5, 0xE2E2E2E2E2E2E2E2, 0x1300003D704F5888,
     0x0800002B0000001A])
FULL_LAYERS = pytest.mark.parametrize("full", [LAYER_A, LAYER_B], ids=["A", "B"])


@FULL_LAYERS
def test_full_layer_packs_to_the_known_words_and_tables(full):
    assert [f"{w:016x}" for w in full.layer.words()] == [f"{w:016x}" for w in full.words]
    assert full.layer.weights.tobytes().hex() == full.weight_bytes
    assert full.layer.bn.tolist() == full.bn_words
    assert [f"{w:016x}" for w in ACTIVATION] == [f"{w:016x}" for w in ACTIVATION_WORDS]


def assert_output_rows(full, ram):
    for row, text in enumerate(full.output_rows, 32):
        for slot, part in enumerate(text.split("/")):
            start = row * ROW_BYTES + 16 * slot
            assert bytes(ram[start: start + 4]).hex() == part


@FULL_LAYERS
@pytest.mark.parametrize("model", [reference, fast])
def test_full_layer_gives_the_known_map_and_stream(full, model):
    ram = full.layer.airam()
    for row, parts in enumerate(full.input_rows):
        for start, text in parts.items():
            assert ram[row * ROW_BYTES + start:][: len(text) // 2].tobytes().hex() == text
    result = model.run_layer(full.layer.descriptor, ram, memory_reader(full.layer.memory()), True)
    assert result.output.tolist() == full.output
    assert result.stream == full.stream
    assert_output_rows(full, ram)


@FULL_LAYERS
def test_full_layer_gives_the_known_sums(full):
    d = full.layer.descriptor
    planes, vectorised = alu_of_both(d, full.layer.source, full.layer.weights, True)
    assert {(c, y): planes[c][y] for c, y in full.alu} == full.alu
    assert vectorised.tolist() == planes


def test_full_layer_a_gives_the_known_activation_values():
    unpooled = make_descriptor((2, 8, 8), 3, **{
        name: getattr(LAYER_A.layer.descriptor, name) for name in
        ("kernel_type", "pad_value", "arg_x", "arg_w", "arg_add", "active_addr", "bwsx_base_addr", "para_start_addr")})
    layer = Layer("A", unpooled, True, LAYER_A.layer.weights, LAYER_A.layer.bn, ACTIVATION, LAYER_A.layer.source)
    assert layer.result.output[0, :2].tolist() == [[167, 185, 191, 197, 203, 209, 215, 187],
                                                   [190, 214, 220, 226, 232, 238, 244, 202]]
    assert layer.result.output[1, 4].tolist() == [179, 187, 188, 189, 190, 191, 192, 120]
    assert layer.result.output[2, 0].tolist() == [168, 165, 156, 146, 135, 117, 200, 199]


@FULL_LAYERS
@pytest.mark.parametrize("view", [0x4000_0000, 0x8000_0000])
def test_full_layer_runs_through_the_registers(full, view):
    """All addresses in the non-cached (0x4...) or the cached (0x8...) view: only the low 30 bits count."""
    device = FunctionalDevice()
    shift = view - 0x4000_0000
    for address, data in full.layer.memory().items():
        device.write_memory(address + shift, data)
    device.write_memory(AIRAM_BASE + shift, full.layer.airam().tobytes())

    def at(name):
        return REGS_BASE + shift + register(name).offset

    device.write64(at("interrupt_mask"), 6)
    device.write64(at("eight_bit_mode"), 1)
    for word in full.words:
        device.write64(at("layer_argument_fifo"), word)
    device.wait_interrupt(1_000_000)
    assert device.read64(at("interrupt_status")) == 1
    assert [device.read64(at("fifo_data_out")) for _ in full.stream] == full.stream
    assert device.read64(at("fifo_data_out")) == 0
    assert_output_rows(full, device.read_memory(AIRAM_BASE + shift, 36 * ROW_BYTES))
