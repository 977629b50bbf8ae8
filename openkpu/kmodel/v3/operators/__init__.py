# SPDX-License-Identifier: Apache-2.0
"""The operators of kmodel v3, a module per family (spec/kmodel-format.md 3.3 to 3.5).

A module holds everything about its operators: their classes, their fields in the file, the checks that make a layer of
them, and the kernels that execute them.
"""

from ...record import Operator
from . import elementwise, kpu, movement, quantization, reduction

K210_CONV = 10240

_NAMES = {
    0: "INVALID", 1: "ADD", 2: "QUANTIZED_ADD", 3: "GLOBAL_MAX_POOL2D", 4: "QUANTIZED_GLOBAL_MAX_POOL2D",
    5: "GLOBAL_AVERAGE_POOL2D", 6: "QUANTIZED_GLOBAL_AVERAGE_POOL2D", 7: "MAX_POOL2D", 8: "QUANTIZED_MAX_POOL2D",
    9: "AVERAGE_POOL2D", 10: "QUANTIZED_AVERAGE_POOL2D", 11: "QUANTIZE", 12: "DEQUANTIZE", 13: "REQUANTIZE",
    14: "L2_NORMALIZATION", 15: "SOFTMAX", 16: "CONCAT", 17: "QUANTIZED_CONCAT", 18: "FULLY_CONNECTED",
    19: "QUANTIZED_FULLY_CONNECTED", 20: "TENSORFLOW_FLATTEN", 21: "QUANTIZED_TENSORFLOW_FLATTEN",
    22: "RESIZE_NEAREST_NEIGHBOR", 23: "QUANTIZED_RESIZE_NEAREST_NEIGHBOR", 24: "CHANNELWISE_DEQUANTIZE",
    25: "LOGISTIC", K210_CONV: "K210_CONV", 10241: "K210_ADD_PADDING", 10242: "K210_REMOVE_PADDING",
    10243: "K210_UPLOAD",
}
LAYER_TYPES = {number: f"KL_{name}" for number, name in _NAMES.items()}
"""Layer names by type number (section 3.3)."""

_FAMILIES = (elementwise, quantization, reduction, movement, kpu)
OPERATORS: dict[str, Operator] = {name: found for family in _FAMILIES for name, found in family.OPERATORS.items()}
"""Every operator that has a body, by name."""
