"""The bodies of kmodel v4 operators, field by field (spec/kmodel-format.md 4.2, 4.4): one table for both directions.

A record is a list of ``name:kind``. ``name`` is a field of the operator's class; kinds are

=============  ====================================================================================================
range          memory range of a tensor
shape          its four dimensions
rows, cols     first and second dimension of a matrix
height, width  third and fourth dimension; ``channels`` the second, ``depth`` the fourth (NHWC)
i, I, f        int32, uint32, float32
binary, reduce, unary, resize    number of an enumerator
clamp          two float32; ``window`` ten int32; ``pads`` eight; ``dims`` four; ``masks`` five zeros
flag           a byte and three of padding
value          scalar type and four bytes
f4, i4, u1     all elements of an array
=============  ====================================================================================================

Concatenations, stack programs and KPU layers have forms of their own.
"""

from __future__ import annotations

from . import ops

OPCODES = {
    0x00: "binary", 0x01: "concat", 0x02: "conv2d", 0x03: "dequantize", 0x04: "matmul", 0x05: "pad", 0x06: "quantize",
    0x07: "reduce", 0x08: "reduce_window2d", 0x09: "memory_copy", 0x0A: "resize_image", 0x0B: "softmax",
    0x0C: "transpose", 0x0D: "strided_slice", 0x0E: "unary", 0x0F: "quantized_conv2d", 0x10: "quantized_matmul",
    0x11: "quantized_binary", 0x12: "table_lookup1d", 0x13: "conv2d_transpose", 0x14: "nnil_unary_method",
    0x1001: "cpu_conv2d", 0x1002: "cpu_depthwise_conv2d", 0x1003: "cpu_reduce_window2d",
    0x1004: "cpu_quantized_conv2d", 0x1005: "cpu_quantized_depthwise_conv2d",
    0x2001: "kpu_upload", 0x2002: "kpu_conv2d",
}
"""Operator names by opcode (section 4.2)."""

NUMBERS = {name: number for number, name in OPCODES.items()}

POOLS = ("const", "main", "kpu")
DTYPES = ("<f4", "u1")
RESIZE_MODES = ("bilinear", "nearest")
ENUMERATIONS = {"binary": ops.BINARY_OPS, "reduce": ops.REDUCE_OPS, "unary": ops.UNARY_OPS, "resize": RESIZE_MODES}

_REQUANTIZE = "out_mul:i out_shift:i out_offset:i"
_IN_OUT = "input:range out:range"
_TWO = "a:range b:range out:range"
_CPU = f"{_IN_OUT} input:shape"

RECORDS: dict[str, str] = {
    "binary": f"{_TWO} op:binary a:shape b:shape out:shape clamp:clamp",
    "quantized_binary": f"{_TWO} op:binary a:shape b:shape out:shape a_offset:i a_mul:i a_shift:i b_offset:i b_mul:i "
                        "b_shift:i out_offset:i out_mul:i out_shift:i",
    "conv2d": f"{_IN_OUT} input:shape groups:i out:channels window:window clamp:clamp weights:f4 bias:f4",
    "quantized_conv2d": f"{_IN_OUT} input:shape groups:i out:channels window:window in_offset:i filter_offset:i "
                        f"{_REQUANTIZE} bias:i4 weights:u1",
    "conv2d_transpose": f"{_IN_OUT} input:shape out:shape groups:i window:window clamp:clamp weights:f4 bias:f4",
    "quantize": f"{_IN_OUT} zero_point:i scale:f",
    "dequantize": f"{_IN_OUT} zero_point:i scale:f",
    "matmul": f"{_TWO} a:rows a:cols b:cols clamp:clamp bias:f4",
    "quantized_matmul": f"{_TWO} a:rows a:cols b:cols a_offset:i b_offset:i {_REQUANTIZE} bias:i4",
    "memory_copy": _IN_OUT,
    "pad": f"{_IN_OUT} input:shape pads:pads value:value",
    "reduce": f"{_IN_OUT} op:reduce input:shape out:shape init:f",
    "reduce_window2d": f"{_IN_OUT} op:reduce input:shape window:window init:f clamp:clamp",
    "cpu_reduce_window2d": f"{_IN_OUT} op:reduce input:shape window:window init:f clamp:clamp",
    "resize_image": f"{_IN_OUT} input:shape out:height out:width mode:resize align_corners:flag",
    "softmax": f"{_IN_OUT} input:cols input:rows beta:f",
    "transpose": f"{_IN_OUT} input:shape perm:dims",
    "strided_slice": f"{_IN_OUT} input:shape begin:dims end:dims strides:dims :masks",
    "unary": f"{_IN_OUT} op:unary",
    "table_lookup1d": "input:range table:range out:range",
    "cpu_conv2d": f"{_CPU} out:depth window:window clamp:clamp weights:f4 bias:f4",
    "cpu_depthwise_conv2d": f"{_CPU} window:window clamp:clamp weights:f4 bias:f4",
    "cpu_quantized_conv2d": f"{_CPU} out:depth window:window in_offset:i filter_offset:i {_REQUANTIZE} weights:u1 "
                            "bias:i4",
    "cpu_quantized_depthwise_conv2d": f"{_CPU} window:window in_offset:i filter_offset:i {_REQUANTIZE} weights:u1 "
                                      "bias:i4",
    "kpu_upload": f"{_IN_OUT} input:shape",
}
