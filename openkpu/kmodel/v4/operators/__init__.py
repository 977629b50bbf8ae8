# SPDX-License-Identifier: Apache-2.0
"""The operators of kmodel v4, a module per family (spec/kmodel-format.md 4.2 to 4.5).

A module holds everything about its operators: their classes, their fields in the file, the checks that make a layer of
them, and the kernels that execute them.
"""

from ...record import Operator
from . import convolution, elementwise, kpu, movement, quantization, reduction

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

_FAMILIES = (elementwise, convolution, quantization, reduction, movement, kpu)
OPERATORS: dict[str, Operator] = {name: found for family in _FAMILIES for name, found in family.OPERATORS.items()}
"""Every operator by name."""
