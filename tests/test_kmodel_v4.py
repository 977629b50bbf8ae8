# SPDX-License-Identifier: Apache-2.0
"""kmodel v4: every node body of the format is decoded, every check refuses what it should."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from kmodel_writer import CLAMP, CONST, F32, KPU, MAIN, U8, descriptor, mr, shape4, v4_file, v4_kpu_conv

from openkpu.errors import ModelError
from openkpu.kmodel import KpuConv, KpuUpload, Tensor, load, model_size
from openkpu.kmodel.v4 import ops as ops_v4

INF = float("inf")


def i32(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def one(opcode: int, body: bytes, **options):
    """The only node of a file."""
    return load(v4_file([(opcode, body)], **options)).layers[0]


def fmap(start: int, *dims: int, dtype: int = F32, pool: int = MAIN) -> bytes:
    """The range of a dense tensor."""
    return mr(start, int(np.prod(dims)) * (4 if dtype == F32 else 1), dtype, pool)


# pad h (0, 1), pad w (1, 0), kernel 2x3, stride 1x2, dilation 2x1: 5x7 becomes 4x3.
WINDOW_WORDS = (0, 1, 1, 0, 2, 3, 1, 2, 2, 1)
WINDOW = i32(*WINDOW_WORDS)
WINDOW_READ = ops_v4.Window((0, 1), (1, 0), (2, 3), (1, 2), (2, 1))
QUANT = ("in_offset", "filter_offset", "out_mul", "out_shift", "out_offset")
CONV_RANGES = fmap(0, 1, 4, 5, 7) + fmap(4096, 1, 6, 4, 3)
QCONV_RANGES = fmap(0, 1, 4, 5, 7, dtype=U8) + fmap(4096, 1, 6, 4, 3, dtype=U8)
NHWC_RANGES = fmap(0, 1, 5, 7, 4) + fmap(4096, 1, 4, 3, 6)
QNHWC_RANGES = fmap(0, 1, 5, 7, 4, dtype=U8) + fmap(4096, 1, 4, 3, 6, dtype=U8)
DW_RANGES = fmap(0, 1, 5, 7, 4) + fmap(4096, 1, 4, 3, 4)
QDW_RANGES = fmap(0, 1, 5, 7, 4, dtype=U8) + fmap(4096, 1, 4, 3, 4, dtype=U8)
PROGRAM = bytes([0x03, 0x06]) + f32(2.5) + bytes([0x42, 0x01, 0x42, 0x04, 0x05, 0x80, 0x00, 0x20, 0xA0])

BODIES = [
    ("binary", 0x00, fmap(0, 1, 2, 3, 4) + fmap(512, 1, 2, 1, 1) + fmap(1024, 1, 2, 3, 4) + i32(3) + shape4(1, 2, 3, 4)
     + shape4(1, 2, 1, 1) + shape4(1, 2, 3, 4) + f32(0, 6), ops_v4.Binary,
     {"a": (MAIN, 0, "f4", (1, 2, 3, 4)), "b": (MAIN, 512, "f4", (1, 2, 1, 1)), "out": (MAIN, 1024, "f4", (1, 2, 3, 4)),
      "op": "div", "clamp": (0, 6)}),
    ("concat", 0x01, mr(4096, 60) + i32(4, 1, 2) + mr(0, 40) + mr(512, 20) + i32(10, 5), ops_v4.Concat,
     {"parts": ((MAIN, 0, "u1", (1, 40)), (MAIN, 512, "u1", (1, 20))), "out": (MAIN, 4096, "u1", (1, 60))}),
    ("conv2d", 0x02, CONV_RANGES + shape4(1, 4, 5, 7) + i32(2, 6) + WINDOW + f32(0, INF) + f32(*range(72))
     + f32(*range(6)), ops_v4.Conv2d, {"input": (MAIN, 0, "f4", (1, 4, 5, 7)), "out": (MAIN, 4096, "f4", (1, 6, 4, 3)),
      "groups": 2,
                     "window": WINDOW_READ, "clamp": (0, INF), "weights": np.arange(72).reshape(6, 2, 2, 3),
                     "bias": np.arange(6)}),
    ("dequantize", 0x03, mr(0, 8, U8) + mr(64, 32) + i32(7) + f32(0.5), ops_v4.Dequantize,
     {"input": (MAIN, 0, "u1", (8,)), "out": (MAIN, 64, "f4", (8,)), "zero_point": 7, "scale": 0.5}),
    ("matmul", 0x04, mr(0, 24) + mr(0, 48, pool=CONST) + mr(512, 32) + i32(2, 3, 4) + CLAMP + f32(1, 2, 3, 4),
     ops_v4.Matmul, {"a": (MAIN, 0, "f4", (2, 3)), "b": (CONST, 0, "f4", (3, 4)), "out": (MAIN, 512, "f4", (2, 4)),
                     "clamp": (-INF, INF), "bias": np.arange(1, 5)}),
    ("pad", 0x05, fmap(0, 1, 2, 3, 4, dtype=U8) + fmap(512, 1, 2, 6, 2, dtype=U8) + shape4(1, 2, 3, 4)
     + i32(0, 0, 0, 0, 1, 2, -1, -1) + i32(0) + bytes([9, 0, 0, 0]), ops_v4.Pad,
     {"input": (MAIN, 0, "u1", (1, 2, 3, 4)), "out": (MAIN, 512, "u1", (1, 2, 6, 2)),
      "pads": ((0, 0), (0, 0), (1, 2), (-1, -1)), "value": 9}),
    ("quantize", 0x06, mr(0, 32) + mr(64, 8, U8) + i32(-7) + f32(0.5), ops_v4.Quantize,
     {"input": (MAIN, 0, "f4", (8,)), "out": (MAIN, 64, "u1", (8,)), "zero_point": -7, "scale": 0.5}),
    ("reduce", 0x07, fmap(0, 1, 2, 3, 4) + fmap(512, 1, 2, 1, 1) + i32(2) + shape4(1, 2, 3, 4) + shape4(1, 2, 1, 1)
     + f32(-1), ops_v4.Reduce, {"out": (MAIN, 512, "f4", (1, 2, 1, 1)), "op": "max", "init": -1}),
    ("reduce_window2d", 0x08, fmap(0, 1, 4, 5, 7) + fmap(4096, 1, 4, 4, 3) + i32(0) + shape4(1, 4, 5, 7) + WINDOW
     + f32(0) + CLAMP, ops_v4.ReduceWindow2d, {"out": (MAIN, 4096, "f4", (1, 4, 4, 3)), "op": "mean",
      "window": WINDOW_READ,
                                      "init": 0}),
    ("memory_copy", 0x09, mr(0, 32) + mr(64, 32), ops_v4.MemoryCopy,
     {"input": (MAIN, 0, "u1", (32,)), "out": (MAIN, 64, "u1", (32,))}),
    ("resize_image", 0x0A, fmap(0, 1, 2, 3, 4) + fmap(512, 1, 2, 6, 8) + shape4(1, 2, 3, 4) + i32(6, 8, 1)
     + bytes([1, 0, 0, 0]), ops_v4.ResizeImage, {"out": (MAIN, 512, "f4", (1, 2, 6, 8)), "mode": "nearest",
      "align_corners": True}),
    ("softmax", 0x0B, mr(0, 96) + mr(512, 96) + i32(8, 3) + f32(0.5), ops_v4.Softmax,
     {"input": (MAIN, 0, "f4", (3, 8)), "out": (MAIN, 512, "f4", (3, 8)), "beta": 0.5}),
    ("transpose", 0x0C, fmap(0, 1, 2, 3, 4) + fmap(512, 1, 3, 4, 2) + shape4(1, 2, 3, 4) + shape4(0, 2, 3, 1),
     ops_v4.Transpose, {"out": (MAIN, 512, "f4", (1, 3, 4, 2)), "perm": (0, 2, 3, 1)}),
    ("strided_slice", 0x0D, fmap(0, 1, 2, 9, 4) + fmap(512, 1, 1, 4, 2) + shape4(1, 2, 9, 4) + shape4(0, 1, 8, 0)
     + shape4(1, 2, 0, 4) + shape4(1, 1, -2, 2) + i32(0, 0, 0, 0, 0), ops_v4.StridedSlice,
     {"out": (MAIN, 512, "f4", (1, 1, 4, 2)), "begin": (0, 1, 8, 0), "end": (1, 2, 0, 4), "strides": (1, 1, -2, 2)}),
    ("unary", 0x0E, mr(0, 32) + mr(64, 32) + i32(7), ops_v4.Unary, {"input": (MAIN, 0, "f4", (8,)), "op": "rsqrt"}),
    ("quantized_conv2d", 0x0F, QCONV_RANGES + shape4(1, 4, 5, 7) + i32(2, 6) + WINDOW + i32(-1, -2, 3, 4, 5)
     + i32(*range(6)) + bytes(range(72)), ops_v4.QuantizedConv2d,
     {"input": (MAIN, 0, "u1", (1, 4, 5, 7)), "in_offset": -1, "filter_offset": -2, "out_mul": 3, "out_shift": 4,
      "out_offset": 5, "weights": np.arange(72).reshape(6, 2, 2, 3), "bias": np.arange(6)}),
    ("quantized_matmul", 0x10, mr(0, 6, U8) + mr(64, 12, U8) + mr(512, 8, U8) + i32(2, 3, 4, -1, -2, 3, 4, 5)
     + i32(1, 2, 3, 4), ops_v4.QuantizedMatmul,
     {"a": (MAIN, 0, "u1", (2, 3)), "b": (MAIN, 64, "u1", (3, 4)), "a_offset": -1, "b_offset": -2, "out_mul": 3,
      "out_shift": 4, "out_offset": 5, "bias": np.arange(1, 5)}),
    ("quantized_binary", 0x11, mr(0, 24, U8) + mr(64, 24, U8) + mr(512, 24, U8) + i32(1) + shape4(1, 2, 3, 4) * 3
     + i32(1, 2, 3, 4, 5, 6, 7, 8, 9), ops_v4.QuantizedBinary,
     {"op": "sub", "a_offset": 1, "a_mul": 2, "a_shift": 3, "b_offset": 4, "b_mul": 5, "b_shift": 6, "out_offset": 7,
      "out_mul": 8, "out_shift": 9}),
    ("table_lookup1d", 0x12, mr(0, 24, U8) + mr(64, 256, U8, CONST) + mr(512, 24, U8), ops_v4.TableLookup1d,
     {"input": (MAIN, 0, "u1", (24,)), "table": (CONST, 64, "u1", (256,)), "out": (MAIN, 512, "u1", (24,))}),
    ("conv2d_transpose", 0x13, fmap(0, 1, 4, 3, 3) + fmap(4096, 1, 2, 6, 6) + shape4(1, 4, 3, 3) + shape4(1, 2, 6, 6)
     + i32(2) + i32(0, 0, 0, 0, 2, 2, 2, 2, 1, 1) + CLAMP + f32(*range(16)) + f32(1, 2), ops_v4.Conv2dTranspose,
     {"out": (MAIN, 4096, "f4", (1, 2, 6, 6)), "groups": 2, "weights": np.arange(16).reshape(2, 1, 2, 2, 2),
      "bias": np.array([1, 2])}),
    ("nnil_unary_method", 0x14, mr(0, 32) + mr(64, 32) + PROGRAM, ops_v4.NnilUnaryMethod,
     {"program": ((3, None), (6, 2.5), (0x42, None), (1, None), (0x42, None), (4, None), (5, None), (0x80, None),
                  (0, None), (0x20, None), (0xA0, None))}),
    ("cpu_conv2d", 0x1001, NHWC_RANGES + shape4(1, 5, 7, 4) + i32(6) + WINDOW + CLAMP + f32(*range(144))
     + f32(*range(6)), ops_v4.CpuConv2d, {"input": (MAIN, 0, "f4", (1, 5, 7, 4)),
      "out": (MAIN, 4096, "f4", (1, 4, 3, 6)),
                        "window": WINDOW_READ, "weights": np.arange(144).reshape(6, 2, 3, 4), "bias": np.arange(6)}),
    ("cpu_depthwise_conv2d", 0x1002, DW_RANGES + shape4(1, 5, 7, 4) + WINDOW + CLAMP + f32(*range(24)) + f32(*range(4)),
     ops_v4.CpuDepthwiseConv2d, {"out": (MAIN, 4096, "f4", (1, 4, 3, 4)), "weights": np.arange(24).reshape(4, 2, 3),
                                 "bias": np.arange(4)}),
    ("cpu_reduce_window2d", 0x1003, DW_RANGES + i32(2) + shape4(1, 5, 7, 4) + WINDOW + f32(-1) + CLAMP,
     ops_v4.CpuReduceWindow2d, {"out": (MAIN, 4096, "f4", (1, 4, 3, 4)), "op": "max", "init": -1}),
    ("cpu_quantized_conv2d", 0x1004, QNHWC_RANGES + shape4(1, 5, 7, 4) + i32(6) + WINDOW + i32(1, 2, 3, 4, 5)
     + bytes(range(144)) + i32(*range(6)), ops_v4.CpuQuantizedConv2d,
     {"out": (MAIN, 4096, "u1", (1, 4, 3, 6)), "weights": np.arange(144).reshape(6, 2, 3, 4), "bias": np.arange(6),
      "in_offset": 1, "filter_offset": 2, "out_mul": 3, "out_shift": 4, "out_offset": 5}),
    ("cpu_quantized_depthwise_conv2d", 0x1005, QDW_RANGES + shape4(1, 5, 7, 4) + WINDOW + i32(1, 2, 3, 4, 5)
     + bytes(range(24)) + i32(*range(4)), ops_v4.CpuQuantizedDepthwiseConv2d,
     {"out": (MAIN, 4096, "u1", (1, 4, 3, 4)), "weights": np.arange(24).reshape(4, 2, 3), "bias": np.arange(4)}),
    ("kpu_upload", 0x2001, mr(0, 1200, U8) + mr(128, 1200, U8, KPU) + shape4(2, 3, 10, 20), KpuUpload,
     {"input": (MAIN, 0, "u1", (2, 3, 10, 20)), "out": (KPU, 128, "u1", (2, 3, 10, 20))}),
]
CONSTANTS = bytes(range(256)) * 2
POOL_NUMBERS = {"const": CONST, "main": MAIN, "kpu": KPU}


def place(value):
    """A tensor as (pool, offset, dtype, shape); anything else as it is."""
    if isinstance(value, Tensor):
        return POOL_NUMBERS[value.pool], value.offset, value.dtype.str[1:], value.shape
    return tuple(place(v) for v in value) if isinstance(value, tuple) and not hasattr(value, "_fields") else value


@pytest.mark.parametrize(("name", "opcode", "body", "cls", "expected"), BODIES, ids=[b[0] for b in BODIES])
def test_node_body_is_decoded(name, opcode, body, cls, expected):
    layer = one(opcode, body, const=CONSTANTS)
    assert type(layer) is cls and layer.name == name and layer.where == "host"
    for field, value in expected.items():
        found = place(getattr(layer, field))
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value, field


@pytest.mark.parametrize(("name", "opcode", "body", "cls", "expected"), BODIES, ids=[b[0] for b in BODIES])
def test_node_body_that_is_cut_off_is_refused(name, opcode, body, cls, expected):
    # The writer pads the body to a multiple of 8, so less than 8 missing bytes would come back as zeros.
    for size in range(0, len(body) - 7, 4):
        with pytest.raises(ModelError):
            one(opcode, body[:size], const=CONSTANTS)


@pytest.mark.parametrize(("name", "opcode", "body", "cls", "expected"), BODIES, ids=[b[0] for b in BODIES])
def test_range_outside_its_memory_is_refused(name, opcode, body, cls, expected):
    count = {"concat": 1, "kpu_upload": 1}.get(name, 3 if "binary" in name or "matmul" in name else 2)
    for i in range(count):
        for field, value in ((0, 3), (1, 2), (2, 0xFFFFFFF0), (3, 0xFFFFFFF0), (2, 65536), (3, 0)):
            changed = bytearray(body)
            struct.pack_into("<I", changed, 16 * i + 4 * field, value)
            with pytest.raises(ModelError):
                one(opcode, bytes(changed), const=CONSTANTS)


def with_word(name: str, position: int, value: int | float) -> tuple[int, bytes]:
    """A body of BODIES with one 32-bit word replaced."""
    opcode, body = next((b[1], b[2]) for b in BODIES if b[0] == name)
    changed = bytearray(body)
    struct.pack_into("<f" if isinstance(value, float) else "<i", changed, 4 * position, value)
    return opcode, bytes(changed)


@pytest.mark.parametrize(("name", "position", "value", "field"), [
    ("binary", 12, 6, "binary_op"), ("binary", 14, 3, "shapes"), ("binary", 26, float("nan"), "fused activation"),
    ("concat", 6, 0, "inputs_count"), ("concat", 6, -1, "inputs_count"), ("concat", 15, 0, "dims"),
    ("concat", 15, 11, "input 0"), ("conv2d", 12, 3, "groups"), ("conv2d", 12, 0, "groups"),
    ("conv2d", 14, -1, "padding"), ("conv2d", 18, 0, "filter"), ("conv2d", 20, 0, "stride"),
    ("conv2d", 22, -2, "dilation"), ("conv2d", 18, 9, "filter"),
    ("conv2d", 9, 0, "in_shape"), ("conv2d", 9, 65536, "in_shape"), ("dequantize", 9, 0.0, "scale"),
    ("dequantize", 9, float("inf"), "scale"), ("quantize", 9, float("nan"), "scale"), ("matmul", 13, 4, "input_a"),
    ("matmul", 12, 0, "a_rows"), ("matmul", 14, -1, "b_cols"), ("pad", 18, -2, "output"), ("pad", 18, -9, "paddings"),
    ("pad", 19, 1 << 30, "paddings"), ("reduce", 8, 4, "reduce_op"), ("reduce", 15, 2, "out_shape"),
    ("reduce_window2d", 8, 4, "reduce_op"), ("cpu_reduce_window2d", 8, 3, "reduce_op"),
    ("reduce_window2d", 13, 4, "padding"), ("resize_image", 12, 0, "out_h"), ("resize_image", 14, 2, "mode"),
    ("softmax", 9, 0, "outer_size"), ("softmax", 10, float("nan"), "beta"), ("transpose", 12, 1, "perm"),
    ("transpose", 13, -1, "perm"), ("transpose", 13, 4, "perm"), ("strided_slice", 20, 0, "strides"),
    ("strided_slice", 14, 9, "begin"), ("strided_slice", 13, -1, "begin"), ("strided_slice", 18, 8, "begin"),
    ("unary", 8, 10, "unary_op"), ("quantized_conv2d", 27, 63, "out_shift"), ("quantized_matmul", 18, -1, "out_shift"),
    ("quantized_binary", 27, 63, "a_shift"), ("conv2d_transpose", 16, 3, "groups"), ("kpu_upload", 6, 100, "output"),
    ("kpu_upload", 6, (2 << 20) - 64, "output"), ("kpu_upload", 4, MAIN, "output"),
])
def test_parameter_that_cannot_be_is_refused(name, position, value, field):
    opcode, body = with_word(name, position, value)
    with pytest.raises(ModelError) as error:
        one(opcode, body, const=CONSTANTS)
    assert field in str(error.value)


@pytest.mark.parametrize("program", [
    b"\x03", b"\x03\x03", b"\xa0", b"\x02\xa0", b"\x03\x40\xa0", b"\x99\xa0", b"\x06\x00\xa0", b"\x03" * 65 + b"\xa0",
    b"\x03" + b"\x01\x02" * 600 + b"\xa0",
])
def test_nnil_program_that_cannot_run_is_refused(program):
    with pytest.raises(ModelError):
        one(0x14, mr(0, 32) + mr(64, 32) + program)


def test_result_in_the_constants_is_refused():
    with pytest.raises(ModelError, match="constants"):
        one(0x0E, mr(0, 32) + mr(0, 32, pool=CONST) + i32(0), const=CONSTANTS)


def test_operand_in_the_kpu_ram_is_refused():
    with pytest.raises(ModelError, match="KPU's RAM"):
        one(0x0E, mr(0, 32, pool=KPU) + mr(0, 32) + i32(0))


def test_pool_over_windows_without_a_pixel_is_refused():
    window = i32(3, 3, 3, 3, 2, 2, 1, 1, 1, 1)
    body = fmap(0, 1, 1, 4, 4) + fmap(4096, 1, 1, 9, 9) + i32(0) + shape4(1, 1, 4, 4) + window + f32(0) + CLAMP
    with pytest.raises(ModelError, match="outside the image"):
        one(0x08, body)


NO_OUTPUT = mr(0, 0)


def conv_file(d=None, *, main_out=NO_OUTPUT, batches=1, skips=(0, 0, 0)) -> bytes:
    d = d or descriptor()
    return v4_file([(0x2002, v4_kpu_conv(d, main_out, batches=batches, skips=skips))],
                   inputs=((mr(0, 3 * 6 * 8, U8, KPU), (1, 3, 6, 8)),))


@pytest.mark.parametrize("skips", [(0, 0, 0), (8, 120, 56), (255, 1, 3)])
def test_kpu_conv_reads_its_tables_behind_the_skips(skips):
    data = conv_file(skips=skips)
    model = load(data)
    conv = model.layers[0]
    assert isinstance(conv, KpuConv) and conv.name == "kpu_conv2d" and conv.eight_bit and not conv.stream
    assert conv.batch_norm_offset == conv.offset + 120 + skips[0]
    assert conv.activation_offset == conv.batch_norm_offset + 32 + skips[1]
    assert conv.weights_offset == conv.activation_offset + 144 + skips[2]
    assert conv.weights.tobytes() == bytes(range(108)) and data[conv.weights_offset:][:108] == conv.weights.tobytes()
    assert model.inputs[0].tensor.pool == "kpu" and model.inputs[0].shape == (1, 3, 6, 8)


def test_kpu_conv_output_of_all_batches_goes_to_main_memory():
    conv = load(conv_file(main_out=mr(64, 3 * 192, U8), batches=3)).layers[0]
    assert conv.main_out.shape == (3, 4, 6, 8) and conv.main_out.offset == 64 and conv.kpu_out.shape == (3, 4, 6, 8)
    assert conv.input.map_rows == 6 and [m.base for m in conv.input.layouts] == [0, 6, 12]


@pytest.mark.parametrize(("options", "text"), [
    ({"skips": (4096, 0, 0)}, "batch_norm skip"), ({"batches": 0}, "batches"), ({"batches": 256}, "batches"),
    ({"batches": -1}, "batches"), ({"main_out": mr(0, 191, U8)}, "main_mem_output"),
    ({"main_out": mr(0, 192, F32)}, "main_mem_output"), ({"main_out": mr(0, 192, U8, KPU)}, "main_mem_output"),
    ({"d": replace(descriptor(), image_dst_addr=32700), "batches": 20}, "image_dst_addr"),
])
def test_kpu_conv_that_does_not_fit_is_refused(options, text):
    with pytest.raises(ModelError, match=text):
        load(conv_file(**options))


def test_overlapping_maps_are_accepted_with_a_warning():
    assert "overlap" in load(conv_file(descriptor(dst=2))).warnings[0]


UNARY = (0x0E, mr(0, 16) + mr(0, 16) + i32(0))


@pytest.mark.parametrize(("options", "text"), [
    ({"target": 2}, "target"), ({"inputs": ()}, "inputs"), ({"outputs": ()}, "outputs"),
    ({"main": (64 << 20) + 4}, "main_mem"), ({"inputs": ((mr(0, 16), (1, 1, 1, 5)),)}, "input 0"),
    ({"inputs": ((mr(0, 16), (1, 0, 1, 4)),)}, "input 0 shape"), ({"outputs": (mr(65530, 16),)}, "output 0"),
    ({"outputs": (mr(0, 16, pool=KPU),)}, "output 0"), ({"outputs": (mr(0, 0),)}, "output 0"),
    ({"inputs": ((mr(0, 16, F32, KPU), (1, 1, 1, 4)),)}, "input 0"),
    ({"inputs": ((mr(0, 16, F32, CONST), (1, 1, 1, 4)),), "const": bytes(16)}, "input 0"),
    ({"inputs": ((mr(0, 4 << 20, U8, KPU), (1, 64, 256, 256)),)}, "AI RAM"),
])
def test_header_or_table_that_cannot_be_is_refused(options, text):
    with pytest.raises(ModelError, match=text):
        load(v4_file([UNARY], **options))


@pytest.mark.parametrize("opcode", [0x15, 0x1000, 0x1006, 0x2000, 0x2003, 0xFFFFFFFF])
def test_unknown_opcode_is_refused(opcode):
    with pytest.raises(ModelError, match="not supported"):
        load(v4_file([(opcode, bytes(64))]))


def test_input_and_output_formats():
    model = load(v4_file([UNARY], inputs=((mr(0, 16), (1, 1, 1, 4)), (mr(32, 12, U8), (1, 3, 2, 2))),
                         outputs=(mr(0, 16), mr(64, 3, U8))))
    assert [(s.dtype.name, s.shape, s.tensor.offset) for s in model.inputs] == [
        ("float32", (1, 1, 1, 4), 0), ("uint8", (1, 3, 2, 2), 32)]
    assert [(s.dtype.name, s.shape) for s in model.outputs] == [("float32", (4,)), ("uint8", (3,))]


def test_final_padding_may_be_missing_and_trailing_data_is_ignored():
    whole = v4_file([UNARY, UNARY])
    cut = whole[:-4]
    assert load(cut).image == cut and model_size(cut) == len(whole)
    assert "997632 bytes behind" in load(whole + bytes(997632)).warnings[0]
    with pytest.raises(ModelError, match="truncated"):
        load(whole[:-8])


def test_map_shape_follows_pads_and_concatenations():
    nodes = [(0x05, fmap(0, 1, 2, 4, 4) + fmap(512, 1, 2, 3, 3) + shape4(1, 2, 4, 4) + i32(0, 0, 0, 0, 0, -1, 0, -1)
              + i32(0, 0)),
             (0x01, mr(2048, 144) + i32(36, 1, 2) + mr(512, 72) + mr(512, 72) + i32(2, 2)),
             (0x0E, mr(2048, 144) + mr(4096, 144) + i32(0))]
    assert load(v4_file(nodes, outputs=(mr(4096, 144),))).outputs[0].map_shape == (4, 3, 3)
