# SPDX-License-Identifier: Apache-2.0
"""kmodel v5: container, operator tables, every tensor function and K210 record, and what is refused."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from kmodel_writer import (
    DATA,
    DT,
    IN,
    KPU5,
    OUT,
    RDATA,
    RET,
    Function5,
    Module5,
    dense,
    descriptor,
    k210_conv,
    k210_copy,
    k210_download,
    k210_upload,
    ldc,
    ldc_r4,
    lea,
    range5,
    stpaddings,
    stshape,
    tables,
    tensor,
    v5_file,
)

from openkpu.errors import ModelError
from openkpu.kmodel import KpuConv, KpuDownload, KpuUpload, Tensor, load, model_size
from openkpu.kmodel.v4.ops import Window
from openkpu.kmodel.v5 import ops as ops_v5

F4, U1, I4, I8 = DT["f4"], DT["u1"], DT["i4"], DT["i8"]
CLAMP = struct.pack("<2f", float("-inf"), float("inf"))
INF = float("inf")


def regs(*shapes: tuple[int, ...]) -> bytes:
    """Shape registers 0, 1, 2 ..."""
    return b"".join(stshape(i, s) for i, s in enumerate(shapes))


def code_file(code: bytes, *, rdata: bytes = bytes(256), data: int = 4096) -> bytes:
    """A model with one float input (4,) and one float output (4,) and this code."""
    return v5_file([Module5([Function5(code, [("f4", (4,))], [("f4", (4,))])], rdata=rdata, data=data)])


def one(code: bytes, **options):
    """The only layer of a model with this code, by the newest operator table."""
    model = load(code_file(code, rdata=CONSTANTS), **({"release": "1.8-1.9"} | options))
    assert len(model.layers) == 1
    return model.layers[0]


A, B, C, R = lea(DATA, 0), lea(DATA, 1024), lea(DATA, 2048), lea(DATA, 3072)
S = (2, 3, 4)
T = dense(S)
PADS4 = b"".join(ldc(v) for v in (0, 1, 0, 1, 0, 0))  # padding h (0, 1), padding w (1, 0), as before, after, interior
ST = regs(S, T)
CONSTANTS = bytes((1, 0, 1)) + bytes(253)
NEWEST = ST + A + R + tensor(0x26, bytes((F4, 0, 1, 1, 18)))  # erf, which only nncase 1.8 and 1.9 have

# name, number in nncase 1.9, code before the instruction, operands, expected fields.
FUNCTIONS = [
    ("BATCH_TO_SPACE", 0x00, regs((8, 1, 2, 2), dense((8, 1, 2, 2)), (2, 1, 3, 4), dense((2, 1, 3, 4)), (2, 2))
     + stpaddings(0, ((1, 0, 0), (0, 0, 0))) + A + R, bytes((F4, 0, 1, 3, 4, 0)), ops_v5.BatchToSpace,
     {"input": (0, "f4", (8, 1, 2, 2)), "out": (3072, "f4", (2, 1, 3, 4)), "block": (2, 2), "crops": ((1, 0), (0, 0))}),
    ("BINARY", 0x01, regs(S, T, (3, 1), (1, 0)) + A + B + R, bytes((F4, 0, 1, 2, 3, 0, 1, 7)) + CLAMP, ops_v5.Binary,
     {"a": (0, "f4", S), "b": (1024, "f4", (3, 1)), "out": (3072, "f4", S), "op": "floor_div", "clamp": (-INF, INF)}),
    ("BROADCAST", 0x02, regs((3, 1), (1, 0), S, T) + A + R, bytes((U1, 0, 1, 2, 3)), ops_v5.Broadcast,
     {"input": (0, "u1", (3, 1)), "out": (3072, "u1", S)}),
    ("COMPARE", 0x04, ST + A + B + R, bytes((I4, 0, 1, 0, 1, 0, 1, 2)), ops_v5.Compare,
     {"a": (0, "i4", S), "out": (3072, "u1", S), "op": "greater"}),
    ("CONV2D", 0x06, regs((1, 4, 5, 7), dense((1, 4, 5, 7)), (6, 2, 2, 3), dense((6, 2, 2, 3)), (1,),
     dense((1, 6, 4, 3)))
     + A + B + C + R + PADS4, bytes((F4, 0, 1, 2, 3, 4, 5)) + struct.pack("<5H", 2, 1, 2, 2, 1) + CLAMP, ops_v5.Conv2d,
     {"input": (0, "f4", (1, 4, 5, 7)), "weights": (1024, "f4", (6, 2, 2, 3)), "bias": (2048, "f4", (6,)),
      "out": (3072, "f4", (1, 6, 4, 3)), "groups": 2, "window": Window((0, 1), (1, 0), (2, 3), (1, 2), (2, 1))}),
    ("CONVERT", 0x08, ST + A + R, bytes((F4, I4, 0, 1, 1)), ops_v5.Convert,
     {"input": (0, "f4", S), "out": (3072, "i4", S)}),
    ("COPY", 0x09, ST + A + R, bytes((U1, 0, 1, 1)), ops_v5.Copy, {"input": (0, "u1", S), "out": (3072, "u1", S)}),
    ("CUMSUM", 0x0A, ST + A + R, bytes((F4, 0)) + struct.pack("<i2B", -1, 1, 0), ops_v5.Cumsum,
     {"input": (0, "f4", S), "axis": 2, "exclusive": True, "reverse": False}),
    ("DEQUANTIZE", 0x0B, ST + A + R + ldc_r4(0.5) + ldc_r4(-1), bytes((U1, F4, 0, 1, 1)), ops_v5.Dequantize,
     {"input": (0, "u1", S), "out": (3072, "f4", S), "scale": 0.5, "bias": -1}),
    ("GATHER", 0x0C, regs((5, 4), (4, 1), (5, 3), (3, 1), (3,)) + A + R + B, bytes((F4, 0, 2, 1, 3, 4, 1)),
     ops_v5.Gather,
     {"input": (0, "f4", (5, 4)), "indices": (1024, "i4", (3,)), "out": (3072, "f4", (5, 3)), "axis": 1}),
    ("GATHER_ND", 0x0D, regs((5, 4), (4, 1), (3, 4), (4, 1), (3, 1)) + A + R + B, bytes((F4, 0, 2, 1, 3, 4, 0)),
     ops_v5.GatherNd, {"indices": (1024, "i4", (3, 1)), "out": (3072, "f4", (3, 4)), "batch_dims": 0}),
    ("HARDMAX", 0x0E, ST + A + R, bytes((F4, 0, 1)) + struct.pack("<i", 1), ops_v5.Hardmax, {"axis": 1}),
    ("LUT1D", 0x10, ST + A + B + R + ldc(0) + ldc(255), bytes((U1, 0, 1, 1)) + struct.pack("<H", 256), ops_v5.Lut1d,
     {"input": (0, "u1", S), "table": (1024, "u1", (256,)), "min": 0.0, "max": 255.0}),
    ("MATMUL", 0x11, regs((2, 3, 4), dense((2, 3, 4)), (4, 5), (5, 1), (2, 3, 5), dense((2, 3, 5))) + A + B + C + R,
     bytes((0, 1, 2, 3, 4, 5)) + CLAMP, ops_v5.Matmul,
     {"a": (0, "f4", (2, 3, 4)), "b": (1024, "f4", (4, 5)), "bias": (2048, "f4", (5,)),
      "out": (3072, "f4", (2, 3, 5))}),
    ("ONEHOT", 0x12, regs((3,), (3, 5), (5, 1)) + A + B + C + lea(DATA, 2052) + R, bytes((F4, 0, 1, 2, 1, 1)),
     ops_v5.Onehot, {"indices": (0, "i4", (3,)), "on_value": (2048, "f4", (1,)), "off_value": (2052, "f4", (1,)),
                     "out": (3072, "f4", (3, 5)), "axis": 1, "mode": "process_neg"}),
    ("PAD", 0x13, regs((2, 3), (3, 1), (3, 6), (6, 1)) + stpaddings(1, ((0, 1, 0), (2, -1, 1))) + A + R + ldc(7),
     bytes((U1, 0, 1, 3, 1, 0)), ops_v5.Pad,
     {"input": (0, "u1", (2, 3)), "out": (3072, "u1", (3, 6)), "pads": ((0, 1, 0), (2, -1, 1)), "mode": "constant",
      "value": 7}),
    ("QUANTIZE", 0x14, ST + A + R + ldc_r4(2) + ldc_r4(3), bytes((F4, U1, 0, 1, 1)), ops_v5.Quantize,
     {"input": (0, "f4", S), "out": (3072, "u1", S), "scale": 2, "bias": 3}),
    ("REDUCE", 0x17, regs(S, T, (2, 4), (4, 1), (-2,)) + A + R + ldc_r4(1.5), bytes((F4, 0, 1, 3, 0, 4, 0)),
     ops_v5.Reduce,
     {"out": (3072, "f4", (2, 4)), "op": "mean", "axes": (1,), "keep_dims": False, "init": 1.5}),
    ("REDUCE_ARG", 0x18, regs(S, T, (2, 3, 1), dense((2, 3, 1)), (2,)) + A + R, bytes((F4, 0, 1, I8, 3, 1, 4, 1, 0)),
     ops_v5.ReduceArg, {"out": (3072, "i8", (2, 3, 1)), "op": "arg_max", "axes": (2,), "keep_dims": True,
                        "select_last": False}),
    ("REDUCE_PROD", 0x19, regs(S, T, (1, 3, 1), dense((1, 3, 1)), (2, 0)) + A + R, bytes((F4, 0, 1, 3, 4, 1)),
     ops_v5.ReduceProd, {"out": (3072, "f4", (1, 3, 1)), "axes": (0, 2)}),
    ("REDUCE_WINDOW2D", 0x1A, regs((1, 4, 5, 7), dense((1, 4, 5, 7)), dense((1, 4, 4, 3))) + A + ldc_r4(0) + R + PADS4,
     bytes((F4, 2, 0, 1, 2)) + struct.pack("<6H", 2, 3, 1, 2, 2, 1) + CLAMP, ops_v5.ReduceWindow2d,
     {"op": "max", "out": (3072, "f4", (1, 4, 4, 3)), "window": Window((0, 1), (1, 0), (2, 3), (1, 2), (2, 1))}),
    ("RESIZE_IMAGE", 0x1B, regs((1, 2, 3, 4), dense((1, 2, 3, 4)), dense((1, 2, 6, 8))) + ldc(6) + ldc(8) + A + R,
     bytes((F4, 0, 1, 2, 0, 1, 0)), ops_v5.ResizeImage,
     {"out": (3072, "f4", (1, 2, 6, 8)), "mode": "bilinear", "align_corners": False, "half_pixel_centers": True}),
    ("SIGMOID", 0x1D, ST + A + R, bytes((F4, 0, 1, 1)), ops_v5.Sigmoid, {"input": (0, "f4", S)}),
    ("SLICE", 0x1E, regs((4, 6), (6, 1), (2, 3), (3, 1), (3, 1), (-100, 2 ** 31 - 1), (-2, 2)) + A + R,
     bytes((U1, 0, 1, 3, 4, 5, 6)), ops_v5.Slice,
     {"out": (3072, "u1", (2, 3)), "starts": (3, 1), "steps": (-2, 2)}),
    ("SOFTMAX", 0x1F, ST + A + R, bytes((F4, 0, 1, 1)) + struct.pack("<if", -1, 0.5), ops_v5.Softmax,
     {"axis": 2, "beta": 0.5}),
    ("SPACE_TO_BATCH", 0x20, regs((2, 1, 3, 4), dense((2, 1, 3, 4)), (8, 1, 2, 2), dense((8, 1, 2, 2)), (2, 2))
     + stpaddings(0, ((1, 0, 0), (0, 0, 0))) + A + R, bytes((F4, 0, 1, 3, 4, 0)), ops_v5.SpaceToBatch,
     {"out": (3072, "f4", (8, 1, 2, 2)), "pads": ((1, 0), (0, 0))}),
    ("TERNARY", 0x22, ST + A + B + C + R, bytes((U1, 0, 1, 0, 1, 0, 1, 1)), ops_v5.Ternary,
     {"cond": (0, "f4", S), "b": (1024, "u1", S), "c": (2048, "u1", S), "out": (3072, "u1", S)}),
    ("TOPK", 0x23, regs(S, T, (2, 3, 2), dense((2, 3, 2))) + A + B + R,
     bytes((F4, 0, 1, 2, 3, 2, 3)) + struct.pack("<qi2B", 2, 2, 1, 0), ops_v5.Topk,
     {"values": (1024, "f4", (2, 3, 2)), "indices": (3072, "i8", (2, 3, 2)), "k": 2, "axis": 2, "largest": True,
      "sorted": False}),
    ("TRANSPOSE", 0x24, regs(S, T, (4, 2, 3), dense((4, 2, 3)), (2, 0, 1)) + A + R, bytes((F4, 0, 1, 3, 4)),
     ops_v5.Transpose, {"out": (3072, "f4", (4, 2, 3)), "perm": (2, 0, 1)}),
    ("TRILU", 0x25, ST + A + R, bytes((F4, 0, 1)) + struct.pack("<q", -1), ops_v5.Trilu, {"upper": True, "k": -1}),
    ("UNARY", 0x26, ST + A + R, bytes((F4, 0, 1, 1, 18)), ops_v5.Unary, {"op": "erf"}),
    ("GRU", 0x27, regs((3, 1, 4), (1, 6, 4)) + A + B + C + lea(DATA, 2560) + lea(DATA, 2816) + R + lea(DATA, 3584),
     bytes((0, 1, 1, 1)), ops_v5.Gru,
     {"input": (0, "f4", (3, 1, 4)), "weights": (1024, "f4", (1, 6, 4)), "recurrence": (2048, "f4", (1, 6, 2)),
      "bias": (2560, "f4", (1, 12)), "start": (2816, "f4", (1, 1, 2)), "out": (3072, "f4", (3, 1, 1, 2)),
      "last": (3584, "f4", (1, 1, 2)), "direction": "reverse", "linear_before_reset": True}),
    ("LAYER_NORMALIZATION", 0x29, ST + A + B + C + R, struct.pack("<2Bif", F4, 0, -2, 0.5), ops_v5.LayerNormalization,
     {"scale": (1024, "f4", (3, 4)), "bias": (2048, "f4", (3, 4)), "axis": 1, "epsilon": 0.5}),
    ("COMPRESS", 0x2A, regs(S, (3,)) + A + lea(RDATA, 0) + R, struct.pack("<2Bf", 0, 1, 1), ops_v5.Compress,
     {"condition": (0, "u1", (3,)), "out": (3072, "f4", (2, 2, 4)), "axis": 1}),
    ("GATHER_ELEMENTS", 0x2B, regs(S, (2, 3, 2)) + A + B + R, struct.pack("<2Bi", 0, 1, 2), ops_v5.GatherElements,
     {"indices": (1024, "i8", (2, 3, 2)), "out": (3072, "f4", (2, 3, 2)), "axis": 2}),
    ("RANDOM_NORMAL", 0x15, ST + R, struct.pack("<2B3f", F4, 0, 1, 2, 7), ops_v5.RandomNormal,
     {"out": (3072, "f4", S), "mean": 1, "deviation": 2, "seed": 7}),
    ("RANDOM_UNIFORM", 0x16, ST + R, struct.pack("<2B3f", F4, 0, 1, 2, 7), ops_v5.RandomUniform,
     {"out": (3072, "f4", S), "low": 1, "high": 2, "seed": 7}),
    ("ROI_ALIGN", 0x1C, regs((1, 2, 4, 5), (3, 2, 2, 1)) + A + B + C + R, struct.pack("<4Bfq", F4, 0, 1, 1, 0.5, 2),
     ops_v5.RoiAlign, {"rois": (1024, "f4", (3, 4)), "batch": (2048, "i8", (3,)), "out": (3072, "f4", (3, 2, 2, 1)),
                       "mode": "max", "scale": 0.5, "sampling": 2}),
]
NAMES = [f[0] for f in FUNCTIONS]


def place(value):
    """A tensor as (offset, dtype, shape); anything else as it is."""
    if isinstance(value, Tensor):
        return value.offset, value.dtype.str[1:], value.shape
    return value


@pytest.mark.parametrize(("name", "number", "before", "operands", "cls", "expected"), FUNCTIONS, ids=NAMES)
def test_tensor_function_is_decoded(name, number, before, operands, cls, expected):
    layer = one(before + tensor(number, operands) + RET)
    assert type(layer) is cls and layer.name == name
    for field, value in expected.items():
        assert place(getattr(layer, field)) == value, field


@pytest.mark.parametrize(("name", "number", "before", "operands", "cls", "expected"), FUNCTIONS, ids=NAMES)
def test_tensor_function_with_a_changed_operand_byte_never_escapes_the_checks(name, number, before, operands, cls,
                                                                              expected):
    for i in range(len(operands)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            changed = operands[:i] + bytes((value,)) + operands[i + 1:]
            try:
                load(code_file(before + tensor(number, changed) + RET))
            except ModelError as error:
                assert "kmodel v5" in str(error)


def test_every_tensor_function_of_the_newest_table_has_a_test():
    from openkpu.kmodel.v5.operators import FUNCTIONS
    assert set(NAMES) == set(FUNCTIONS) - {"EQUAL"}


def test_equal_of_nncase_1_3():
    layer = one(ST + A + B + R + tensor(0x0B, bytes((F4, 0, 1, 0, 1, 1))) + RET, release="1.4-1.5")
    assert layer.name == "EQUAL" and type(layer) is ops_v5.Compare and layer.op == "equal"


def test_paddings_have_two_entries_up_to_nncase_1_0():
    code = regs((2, 3), (3, 1), (3, 5), (5, 1)) + stpaddings(1, ((0, 1), (2, 0))) + A + R + ldc_r4(0)
    layer = one(code + tensor(0x12, bytes((F4, 0, 1, 3, 1, 0))) + RET, release="1.0")
    assert layer.pads == ((0, 1, 0), (2, 0, 0))


def test_binary_before_nncase_1_4_has_no_output_shape():
    layer = one(regs(S, T, (3, 1), (1, 0)) + A + B + R + tensor(0x01, bytes((F4, 0, 1, 2, 3, 1, 2)) + CLAMP) + RET,
                release="1.3")
    assert layer.op == "mul" and layer.out.shape == S


@pytest.mark.parametrize(("release", "number", "op", "name"), [
    ("1.0.0-beta1/rc1", 0x1A, 1, "ceil"), ("1.0.0-snapshot", 0x1C, 9, "sin"), ("1.0", 0x1D, 1, "acos"),
    ("1.1", 0x21, 11, "sign"), ("1.2", 0x25, 12, "sin"), ("1.8-1.9", 0x26, 18, "erf"),
])
def test_unary_operators_are_numbered_by_release(release, number, op, name):
    assert one(ST + A + R + tensor(number, bytes((F4, 0, 1, 1, op))) + RET, release=release).op == name


def test_operator_table_is_found_by_the_stack_check():
    reduce = regs(S, T, (2, 4), (4, 1), (1,)) + A + R + ldc_r4(0) + tensor(0x12, bytes((F4, 0, 1, 3, 0, 4, 0))) + RET
    assert load(code_file(reduce)).operator_table == "1.0.0-beta1/rc1"
    newest = ST + A + R + tensor(0x26, bytes((F4, 0, 1, 1, 18))) + RET
    assert load(code_file(newest)).operator_table == "1.8-1.9"
    old = ST + A + R + tensor(0x26, bytes((F4, 0, 1, 1, 5))) + RET
    assert load(code_file(old)).operator_table == "1.3, 1.4-1.5, 1.6-1.7.0, 1.7.1, 1.8-1.9"


# TRANSPOSE of 1.0.0-beta1 (datatype 0, registers 2, 3, 4, 1) reads as REDUCE_PROD of 1.3 (registers 0, 2, 3, 4, True).
AMBIGUOUS = (regs((1, 1), (1, 0), (1, 1), (0, 0), (0, 0)) + A + R + tensor(0x19, bytes((0, 2, 3, 4, 1))) + RET)


def test_ambiguous_operator_table_is_refused_with_the_releases():
    with pytest.raises(ModelError, match=r"ambiguous.*\(1\.3, 1\.4-1\.5\) and \(1\.0\.0-beta1/rc1\)"):
        load(code_file(AMBIGUOUS))
    assert load(code_file(AMBIGUOUS), release="1.3").layers[0].name == "REDUCE_PROD"
    assert load(code_file(AMBIGUOUS), release="1.0.0-beta1/rc1").layers[0].name == "TRANSPOSE"


@pytest.mark.parametrize(("code", "text"), [
    (tensor(0x26, bytes((F4, 0, 1, 1, 5))) + RET, "used before it is set"),
    (ST + A + tensor(0x26, bytes((F4, 0, 1, 1, 5))) + RET, "underflows"),
    (ST + A + B + R + tensor(0x26, bytes((F4, 0, 1, 1, 5))) + RET, "leaves values"),
    (ST + A + R + tensor(0x77, bytes(5)) + RET, "not supported"), (A + RET, "RET with values"),
    (A, "values on the stack"),
    (RET + RET, "RET with values on the stack or code behind it"), (b"\x56\0\0\0\0" + RET, "branch 0x56"),
    (b"\x17\3\0", "ends inside"), (lea(4, 0) + RET, "location 4"), (b"\x33" + RET, "instruction 0x33"),
    (ldc(1) * 5000 + RET, "grows beyond"), (stshape(0, (1,) * 9) + RET, "rank 9"),
    (ST + A + ldc(3) + tensor(0x09, bytes((F4, 0, 1, 1))) + RET,
     "stack"),
    (ST + A + R + tensor(0x09, bytes((12, 0, 1, 1))) + RET, "dt = 12"),
    (regs(S, T) + stpaddings(0, ()) + A + R + ldc(0) + tensor(0x13, bytes((F4, 0, 1, 1, 7, 0))) + RET,
     "padding register 7"),
])
def test_code_that_follows_no_table_is_refused(code, text):
    with pytest.raises(ModelError, match="unknown compiler version") as error:
        load(code_file(code), release="1.8-1.9")
    assert text in str(error.value)


@pytest.mark.parametrize(("name", "number"), [
    ("CLAMP", 0x05), ("CONV2D_TRANSPOSE", 0x07), ("LOGISTIC", 0x0F), ("TAKE", 0x21),
    ("TFLITE_DETECTION_POSTPROCESS", 0x28), ("INSTANCE_NORMALIZATION", 0x2C),
])
def test_operator_that_is_not_supported_is_refused_by_its_name(name, number):
    with pytest.raises(ModelError, match=f"uses the operator {name} of nncase 1.8-1.9, which is not supported"):
        load(code_file(ST + A + R + tensor(number, bytes(8)) + RET), release=None if number > 0x26 else "1.8-1.9")


# TRANSPOSE of 1.0 reads as UNARY of its snapshot, which leaves the register of the permutation unread.
def test_table_that_reads_every_register_is_chosen():
    shape = (2, 3)
    code = regs(shape, dense(shape), (2, 1), (1, 0)) + A + R + tensor(0x1C, bytes((F4, 0, 1, 2, 3))) + RET
    model = load(code_file(code))
    assert model.operator_table == "1.0" and model.layers[0].perm == (1, 0) and model.fused_multiply_add
    assert type(load(code_file(code), release="1.0.0-snapshot").layers[0]) is ops_v5.Unary


@pytest.mark.parametrize(("name", "before", "operands", "text"), [
    ("COPY", regs(S, (12, 4)) + A + R, (F4, 0, 1, 1), "strides"),
    ("COPY", regs(S, (12, -4, 1)) + A + R, (F4, 0, 1, 1), "strides"),
    ("COPY", regs(S, (0, 4, 1)) + A + R, (F4, 0, 1, 1), "overlaps"),
    ("COPY", regs(S, (9999, 4, 1)) + A + R, (F4, 0, 1, 1), "behind"),
    ("COPY", regs((0, 3), (3, 1)) + A + R, (F4, 0, 1, 1), "shape"),
    ("COPY", regs((65536, 65536), (1, 1)) + A + R, (F4, 0, 1, 1), "shape"),
    ("COPY", ST + A + lea(DATA, 4090), (F4, 0, 1, 1), "behind the data0"),
    ("COPY", ST + lea(RDATA, 250) + R, (F4, 0, 1, 1), "behind the rdata0"),
    ("COPY", ST + A + lea(RDATA, 0), (U1, 0, 1, 1), "constants"), ("COPY", ST + A + lea(IN, 0), (U1, 0, 1, 1), "input"),
    ("COPY", regs((5,), (1,)) + A + lea(OUT, 0), (F4, 0, 1, 1), "behind"),
    ("COPY", ST + A + R, (11, 0, 1, 1), "bfloat16"),
    ("TRANSPOSE", regs(S, T, (0, 0, 1)) + A + R, (F4, 0, 1, 1, 2), "perm"),
    ("TRANSPOSE", regs(S, T, (0, -1, 1)) + A + R, (F4, 0, 1, 1, 2), "perm"),
    ("SLICE", regs((4,), (1,), (0,), (9,), (0,)) + A + R, (F4, 0, 1, 1, 2, 3, 4), "zero"),
    ("SLICE", regs((4,), (1,), (4,), (9,), (1,)) + A + R, (F4, 0, 1, 1, 2, 3, 4), "begins"),
    ("SLICE", regs((4,), (1,), (-1,), (9,), (1,)) + A + R, (F4, 0, 1, 1, 2, 3, 4), "begins"),
    ("SLICE", regs((4,), (1,), (2,), (1,), (1,)) + A + R, (F4, 0, 1, 1, 2, 3, 4), "begins"),
    ("PAD", regs((2, 3), (3, 1)) + stpaddings(0, ((0, 0, 0),)) + A + R + ldc(0), (U1, 0, 1, 1, 0, 0), "paddings"),
    ("PAD", regs((3,), (1,)) + stpaddings(0, ((-3, 0, 0),)) + A + R + ldc(0), (U1, 0, 1, 1, 0, 0), "paddings"),
    ("PAD", regs((3,), (1,)) + stpaddings(0, ((0, 3, 0),)) + A + R + ldc(0), (U1, 0, 1, 1, 0, 1), "paddings"),
    ("PAD", regs((3,), (1,)) + stpaddings(0, ((0, 3, 0),)) + A + R + ldc(256), (U1, 0, 1, 1, 0, 0), "value"),
    ("PAD", regs((3,), (1,)) + stpaddings(0, ((0, 3, 0),)) + A + R + ldc_r4(float("nan")), (U1, 0, 1, 1, 0, 0),
     "value"),
    ("DEQUANTIZE", ST + A + R + ldc_r4(float("nan")) + ldc_r4(0), (U1, F4, 0, 1, 1), "scale"),
    ("QUANTIZE", ST + A + R + ldc_r4(1) + ldc_r4(INF), (F4, U1, 0, 1, 1), "bias"),
    ("QUANTIZE", ST + A + R + ldc_r4(1) + ldc_r4(0), (F4, I4, 0, 1, 1), "datatype"),
    ("UNARY", ST + A + R, (I4, 0, 1, 1, 0), "datatype"),
    ("REDUCE", regs(S, T, (2, 4), (4, 1), (3,)) + A + R + ldc_r4(0), (F4, 0, 1, 3, 0, 4, 0), "axis"),
    ("REDUCE", regs(S, T, (2, 4), (4, 1), ()) + A + R + ldc_r4(0), (F4, 0, 1, 3, 0, 4, 0), "axes"),
])
def test_operand_that_cannot_be_is_refused(name, before, operands, text):
    number = next(f[1] for f in FUNCTIONS if f[0] == name)
    with pytest.raises(ModelError, match=text):
        load(code_file(before + tensor(number, bytes(operands)) + RET), release="1.8-1.9")


def test_strided_tensor_keeps_its_strides():
    layer = one(regs((2, 3), (8, 2), (3, 1)) + A + R + tensor(0x09, bytes((F4, 0, 1, 2))) + RET)
    assert layer.input.strides == (8, 2) and layer.input.extent == 52 and not layer.input.dense and layer.out.dense
    memory = np.arange(64, dtype=np.uint8)
    assert layer.input.view(memory).tobytes() == memory.view("<f4")[[0, 2, 4, 8, 10, 12]].tobytes()


def test_input_and_output_addresses_find_their_tensor():
    function = Function5(regs((2,), (1,)) + lea(IN, 24) + lea(OUT, 4) + tensor(0x09, bytes((F4, 0, 1, 1))) + RET,
                         [("f4", (4,)), ("f4", (4,))], [("f4", (4,))])
    copy = load(v5_file([Module5([function])]), release="1.8-1.9").layers[0]
    assert (copy.input.pool, copy.input.offset) == ("input1", 8) and (copy.out.pool, copy.out.offset) == ("output0", 4)


def test_final_ret_may_be_missing():
    assert one(ST + A + R + tensor(0x09, bytes((F4, 0, 1, 1)))).name == "COPY"


def test_merged_text_section_is_read_from_rdata():
    code = ST + A + R + tensor(0x26, bytes((F4, 0, 1, 1, 18))) + RET
    function = Function5(code, [("f4", (4,))], [("f4", (4,))])
    assert load(v5_file([Module5([function], rdata=bytes(40), merge_text=True)])).layers[0].op == "erf"


# Calls and k210 modules --------------------------------------------------------------------------

D = descriptor(ic=3, oc=4, h=6, w=8, dst=512)
WEIGHTS, NORM, ACT = tables(D)
K210_RDATA = ACT.ljust(256, b"\0") + NORM.ljust(64, b"\0") + WEIGHTS
K210_RANGES = [range5(RDATA, "u1", 320, 108), range5(RDATA, "u8", 256, 32), range5(RDATA, "u1", 0, 144)]
NOTHING = range5(DATA, "u1", 0, 0)
K210_CODE = (k210_upload(range5(IN, "u1", 0, 144), range5(KPU5, "u1", 0, 384), (1, 3, 6, 8))
             + k210_conv(K210_RANGES, NOTHING, D)
             + k210_download(range5(KPU5, "u1", 512 * 64, 384), range5(OUT, "u1", 0, 192), (1, 4, 6, 8)))
IN_SHAPE, OUT_SHAPE = (1, 3, 6, 8), (1, 4, 6, 8)


def call(function: int, module: int, sources, targets) -> bytes:
    """CALL with (address, datatype, shape register, stride register) arguments."""
    pushes = b"".join(lea(*a) + ldc(dt) + ldc(s) + ldc(t) for a, dt, s, t in (*sources, *targets))
    return pushes + tensor(0x03, struct.pack("<IH2B", function, module, len(sources), len(targets)))


def k210_file(k210_code: bytes = K210_CODE, *, main: bytes | None = None, rdata: bytes = K210_RDATA) -> bytes:
    if main is None:
        main = (regs(IN_SHAPE, dense(IN_SHAPE), OUT_SHAPE, dense(OUT_SHAPE))
                + call(0, 1, [((IN, 0), U1, 0, 1)], [((OUT, 0), U1, 2, 3)]) + RET)
    entry = Function5(main, [("u1", IN_SHAPE)], [("u1", OUT_SHAPE)])
    callee = Function5(k210_code, [("u1", IN_SHAPE)], [("u1", OUT_SHAPE)])
    return v5_file([Module5([entry]), Module5([callee], type="k210", rdata=rdata)])


def test_call_of_a_k210_function_is_expanded():
    data = k210_file()
    model = load(data)
    upload, conv, download = model.layers
    assert [type(layer) for layer in model.layers] == [KpuUpload, KpuConv, KpuDownload]
    assert [layer.name for layer in model.layers] == ["kpu_upload", "kpu_conv2d", "kpu_download"]
    assert upload.input.pool == "input0" and download.out.pool == "output0" and download.out.shape == OUT_SHAPE
    assert conv.descriptor == D and conv.main_out is None and conv.kpu_out.offset == 512 * 64
    assert data[conv.weights_offset:][:108] == WEIGHTS == conv.weights.tobytes()
    assert model.outputs[0].map_shape == (4, 6, 8) and model.size == len(data) == model_size(data)


def test_layer_that_reads_more_than_was_written_is_warned_of():
    code = (k210_upload(range5(IN, "u1", 0, 144), range5(KPU5, "u1", 64 * 64, 384), (1, 3, 6, 8))
            + K210_CODE[44:])  # the layer reads from the beginning of the AI RAM
    warnings = load(k210_file(code)).warnings
    assert len(warnings) == 1 and "miscompiled: layer 1 reads maps (1, 3, 6, 8)" in warnings[0]
    assert load(k210_file()).warnings == ()


def test_conv_with_main_memory_output():
    conv = load(k210_file(k210_conv(K210_RANGES, range5(OUT, "u1", 0, 192), D))).layers[0]
    assert conv.main_out.pool == "output0" and conv.main_out.shape == OUT_SHAPE


def test_the_range_of_a_slice_states_its_own_bytes_alone():
    def record(shape, in_strides):
        return k210_copy(range5(IN, "u1", 0, 8), range5(DATA, "u1", 0, 64), shape, in_strides, (0, 12, 4, 1))
    copy = load(k210_file(record((1, 2, 2, 2), (0, 48, 8, 1)))).layers[0]
    assert copy.input.extent == 58 and copy.input.strides == (0, 48, 8, 1)
    with pytest.raises(ModelError, match="input has 8 bytes, but .* needs 12"):
        load(k210_file(record((1, 2, 2, 3), (0, 48, 8, 1))))
    with pytest.raises(ModelError, match="ends behind"):
        load(k210_file(record((1, 2, 2, 2), (0, 144, 8, 1))))


def test_a_range_inside_an_input_is_refused_as_the_vendors_runtimes_do():
    strides = 8, 4, 2, 1
    record = k210_copy(range5(IN, "u1", 8, 8), range5(DATA, "u1", 0, 64), (1, 2, 2, 2), strides, strides)
    with pytest.raises(ModelError, match="no input or output .* nncase's own runtimes refuse .*--strict-math"):
        load(k210_file(record))
    assert load(k210_file(record), strict_math=True).layers[0].input == Tensor("input0", 8, "u1", (1, 2, 2, 2))


def test_k210_copy_is_a_strided_copy():
    record = k210_copy(range5(IN, "u1", 0, 144), range5(DATA, "u1", 0, 64), (1, 2, 3, 4), (0, 48, 8, 1), (0, 12, 4, 1))
    copy = load(k210_file(record)).layers[0]
    assert type(copy) is ops_v5.Copy and copy.name == "copy" and copy.input.strides == (0, 48, 8, 1)
    assert copy.input.pool == "input0" and copy.out.pool == "data1"


STRIDED_CALL = (regs(IN_SHAPE, (0, 100, 10, 1), OUT_SHAPE, (0, 100, 10, 1))
                + call(0, 1, [((DATA, 0), U1, 0, 1)], [((DATA, 1024), U1, 2, 3)]) + RET)


def test_call_arguments_lose_their_strides_as_in_the_vendors_runtimes():
    model = load(k210_file(main=STRIDED_CALL))
    upload, _, download = model.layers
    assert upload.input == Tensor("data0", 0, "u1", IN_SHAPE) and download.out == Tensor("data0", 1024, "u1", OUT_SHAPE)
    assert [re.search("layer 0 (reads|writes) a tensor with the strides", w)[1] for w in model.warnings] == [
        "reads", "writes"]


def test_strict_math_copies_strided_call_arguments_in_and_out():
    layers = load(k210_file(main=STRIDED_CALL), strict_math=True).layers
    assert [layer.name for layer in layers] == ["CALL", "kpu_upload", "kpu_conv2d", "kpu_download", "CALL"]
    assert layers[0].input.strides == (0, 100, 10, 1) and layers[0].out == layers[1].input
    assert layers[4].input == layers[3].out and layers[4].out.strides == (0, 100, 10, 1)


def test_stackvm_functions_can_be_called_too():
    inner = Function5(regs((4,), (1,)) + lea(IN, 0) + lea(OUT, 0) + tensor(0x26, bytes((F4, 0, 1, 1, 18))) + RET,
                      [("f4", (4,))], [("f4", (4,))])
    outer = Function5(regs((4,), (1,)) + call(1, 0, [((IN, 0), F4, 0, 1)], [((OUT, 0), F4, 0, 1)]) + RET,
                      [("f4", (4,))], [("f4", (4,))])
    layer = load(v5_file([Module5([outer, inner])])).layers[0]
    assert layer.op == "erf" and layer.input.pool == "input0" and layer.out.pool == "output0"


def test_endless_recursion_is_refused():
    loop = Function5(regs((4,), (1,)) + call(0, 0, [((IN, 0), F4, 0, 1)], [((OUT, 0), F4, 0, 1)]) + RET,
                     [("f4", (4,))], [("f4", (4,))])
    with pytest.raises(ModelError, match="nests deeper"):
        load(v5_file([Module5([loop])]))


def test_calls_that_multiply_are_refused():
    functions = [Function5(regs((4,), (1,)) + call(i + 1, 0, [((IN, 0), F4, 0, 1)], [((OUT, 0), F4, 0, 1)]) * 60 + RET,
                           [("f4", (4,))], [("f4", (4,))]) for i in range(6)]
    functions.append(Function5(regs((4,), (1,)) + A + R + tensor(0x26, bytes((F4, 0, 1, 1, 18))) + RET,
                               [("f4", (4,))], [("f4", (4,))]))
    with pytest.raises(ModelError, match="more than"):
        load(v5_file([Module5(functions)]))


@pytest.mark.parametrize(("source", "text"), [
    (call(1, 1, [((IN, 0), U1, 0, 1)], [((OUT, 0), U1, 2, 3)]), "function_id"),
    (call(0, 2, [((IN, 0), U1, 0, 1)], [((OUT, 0), U1, 2, 3)]), "module_id"),
    (call(0, 1, [], [((OUT, 0), U1, 2, 3)]), "0 inputs"),
    (call(0, 1, [((IN, 0), DT["i1"], 0, 1)], [((OUT, 0), U1, 2, 3)]), "function wants"),
    (call(0, 1, [((IN, 0), U1, 2, 3)], [((OUT, 0), U1, 2, 3)]), "function wants"),
    (call(0, 1, [((IN, 1), U1, 0, 1)], [((OUT, 0), U1, 2, 3)]), "behind"),
    (call(0, 1, [((IN, 0), U1, 0, 1)], [((RDATA, 0), U1, 2, 3)]), "behind|constants"),
    (call(0, 1, [((IN, 0), 99, 0, 1)], [((OUT, 0), U1, 2, 3)]), "datatype 99"),
])
def test_call_that_does_not_fit_its_function_is_refused(source, text):
    main = regs(IN_SHAPE, dense(IN_SHAPE), OUT_SHAPE, dense(OUT_SHAPE)) + source + RET
    with pytest.raises(ModelError, match=text):
        load(k210_file(main=main))


UP_IN, UP_OUT = range5(IN, "u1", 0, 144), range5(KPU5, "u1", 0, 384)


@pytest.mark.parametrize(("record", "text"), [
    (struct.pack("<I", 4), "illegal instruction"), (K210_CODE[:-4], "need"), (b"\0", "need"),
    (k210_upload(range5(IN, "u1", 8, 100), UP_OUT, IN_SHAPE), "start of no input"),
    (k210_upload(range5(IN, "u1", 0, 143), UP_OUT, IN_SHAPE), "needs 144"),
    (k210_upload(range5(IN, "f4", 0, 144), UP_OUT, IN_SHAPE), "datatype"),
    (k210_upload(UP_IN, range5(DATA, "u1", 0, 384), IN_SHAPE), "not in the KPU's RAM"),
    (k210_upload(UP_IN, range5(KPU5, "u1", 32, 384), IN_SHAPE), "multiple of 64"),
    (k210_upload(UP_IN, range5(KPU5, "u1", (2 << 20) - 64, 384), IN_SHAPE), "AI RAM"),
    (k210_upload(UP_IN, UP_OUT, (1, 3, 0, 8)), "shape"), (k210_upload(range5(KPU5, "u1", 0, 144), UP_OUT, IN_SHAPE),
     "location 64"),
    (k210_conv([range5(RDATA, "u1", 320, 107), *K210_RANGES[1:]], NOTHING, D), "weights"),
    (k210_conv([range5(RDATA, "u1", 324, 108), *K210_RANGES[1:]], NOTHING, D), "not inside"),
    (k210_conv([range5(DATA, "u1", 0, 108), *K210_RANGES[1:]], NOTHING, D), "not inside"),
    (k210_conv([*K210_RANGES[:2], range5(RDATA, "u1", 8, 144)], NOTHING, D), "multiple of 256"),
    (k210_conv(K210_RANGES, NOTHING, D, batches=0), "batches"),
    (k210_conv(K210_RANGES, range5(OUT, "u1", 0, 100), D), "main_mem_output"),
    (k210_copy(UP_IN, UP_OUT, (1, 2, 3, 4), (0, 48, 8, 1), (0, 12, 4, 1)), "location 64"),
    (k210_copy(UP_IN, range5(DATA, "u1", 0, 64), (1, 2, 3, 4), (0, 9999, 8, 1), (0, 12, 4, 1)), "behind"),
])
def test_k210_record_that_does_not_fit_is_refused(record, text):
    with pytest.raises(ModelError, match=text):
        load(k210_file(record))


# Container ---------------------------------------------------------------------------------------

COPY = ST + A + R + tensor(0x26, bytes((F4, 0, 1, 1, 18))) + RET


def patched(*changes: tuple[int, int]) -> bytes:
    """The small model with 32-bit words replaced."""
    data = bytearray(code_file(COPY))
    for offset, value in changes:
        struct.pack_into("<I", data, offset, value & 0xFFFFFFFF)
    return bytes(data)


# Header at 0, module at 32, its mempool at 80, function at 88, input range at 120, shape at 132, output at 140.
@pytest.mark.parametrize(("offset", "value", "text"), [
    (8, 31, "header_size"), (8, 0, "pre-release"), (20, 0, "modules"), (20, 257, "modules"), (24, 1, "entry_module"),
    (28, 1, "entry_function"), (32, 0x64726167, "type"), (44, 0x41414141, "type"), (52, 40, "header_size"),
    (56, 40, "size"), (56, 1 << 20, "size"), (60, 300, "mempools"), (64, 1, "shared_mempools"), (68, 17, "sections"),
    (72, 1025, "functions"), (84, (64 << 20) + 1, "data"), (88, 33, "header_size"), (92, 16, "size"),
    (92, 1 << 20, "size"), (104, 257, "inputs"), (108, 257, "outputs"), (104, 0, "rank|input|location"),
    (112, 1000, "entrypoint"), (116, 100000, "entrypoint"), (120, 0x0901, "location"), (120, 0x0C00, "datatype"),
    (128, 15, "bytes"), (132, 9, "rank"), (136, 0, "shape"), (136, 5, "bytes"),
])
def test_container_field_that_cannot_be_is_refused(offset, value, text):
    with pytest.raises(ModelError, match=text):
        load(patched((offset, value)))


def test_section_that_does_not_fit_is_refused():
    data = code_file(COPY)
    at = data.index(b".text")
    for field, value, text in ((16, 2, "flags"), (16, 1, "behind .rdata"), (20, 5000, "body_start"),
                               (24, 1 << 20, "needs")):
        changed = bytearray(data)
        struct.pack_into("<I", changed, at + field, value)
        with pytest.raises(ModelError, match=text):
            load(bytes(changed))
    with pytest.raises(ModelError, match="twice"):
        load(data.replace(b".text\0", b".rdata"))
    with pytest.raises(ModelError, match="into itself"):
        changed = bytearray(data)
        struct.pack_into("<I", changed, data.index(b".rdata") + 16, 1)
        load(bytes(changed))


def test_trailing_data_is_ignored():
    data = code_file(COPY)
    assert model_size(data + bytes(100)) == len(data) and load(data + bytes(100)).image == data
    assert "100 bytes behind" in load(data + bytes(100)).warnings[0]


def test_unknown_release_is_refused():
    with pytest.raises(ModelError, match="choose one of"):
        load(code_file(COPY), release="2.0")


def test_model_without_layers_is_refused():
    with pytest.raises(ModelError, match="does nothing"):
        load(code_file(RET))
