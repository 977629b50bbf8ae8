"""The bodies of kmodel v3 layers, field by field (spec/kmodel-format.md 3.3, 3.4): one table for both directions.

Every body begins with the flags; the rest is a list of ``name:kind``. ``name`` is a field of the layer's class; kinds
are ``address`` (u32 offset in the main memory), ``row`` (64-byte row of the AI RAM), ``count`` (elements), ``d0``,
``d1``, ... (a dimension, u32), ``I`` u32, ``i`` i32, ``f`` float32, ``zero`` a u32 that nobody reads, ``f4`` and ``u1``
all elements of an array. Concatenations, channelwise dequantize and KPU layers have forms of their own.
"""

from __future__ import annotations

K210_CONV = 10240
KLF_MAIN_MEM_OUT = 1

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

NUMBERS = {name: number for number, name in LAYER_TYPES.items()}

_IN_OUT = "input:address out:address"
_POOL = (f"{_IN_OUT} input:d2 input:d1 input:d0 out:d2 out:d1 out:d0 kernel_w:I kernel_h:I stride_w:I stride_h:I "
         "pad_w:I pad_h:I")
_RESIZE = f"{_IN_OUT} input:d2 input:d1 input:d0 out:d2 out:d1 :zero"
_TWO = "a:address b:address out:address out:count"

RECORDS: dict[str, str] = {
    "ADD": _TWO,
    "QUANTIZED_ADD": f"{_TWO} a_offset:i a_mul:i a_shift:i b_offset:i b_mul:i b_shift:i o_offset:i o_mul:i o_shift:i",
    "GLOBAL_AVERAGE_POOL2D": f"{_IN_OUT} input:d1 input:d0",
    "QUANTIZED_MAX_POOL2D": _POOL,
    "AVERAGE_POOL2D": f"{_POOL} act:I",
    "QUANTIZE": f"{_IN_OUT} input:count scale:f bias:f",
    "DEQUANTIZE": f"{_IN_OUT} input:count scale:f bias:f",
    "REQUANTIZE": f"{_IN_OUT} input:count table:u1",
    "L2_NORMALIZATION": f"{_IN_OUT} input:count",
    "SOFTMAX": f"{_IN_OUT} input:count",
    "LOGISTIC": f"{_IN_OUT} input:count",
    "FULLY_CONNECTED": f"{_IN_OUT} input:count out:count act:I weights:f4 bias:f4",
    "TENSORFLOW_FLATTEN": f"{_IN_OUT} input:d2 input:d1 input:d0",
    "RESIZE_NEAREST_NEIGHBOR": _RESIZE,
    "QUANTIZED_RESIZE_NEAREST_NEIGHBOR": _RESIZE,
    "K210_ADD_PADDING": "input:address out:row input:count",
    "K210_REMOVE_PADDING": f"{_IN_OUT} out:count",
    "K210_UPLOAD": "input:address out:row input:d3 input:d2 input:d1",
}
