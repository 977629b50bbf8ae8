# SPDX-License-Identifier: Apache-2.0
"""Small TFLite files for the compiler's tests, in floats or with integers and scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int8": 9}
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 2, "DEQUANTIZE": 3}
"""Of the operators that are newer than 1 in the form that is written here."""
OPTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "ADD": "AddOptions",
           "MUL": "MulOptions", "MAX_POOL_2D": "Pool2DOptions", "AVERAGE_POOL_2D": "Pool2DOptions",
           "CONCATENATION": "ConcatenationOptions", "SOFTMAX": "SoftmaxOptions", "LEAKY_RELU": "LeakyReluOptions",
           "FULLY_CONNECTED": "FullyConnectedOptions", "RESHAPE": "ReshapeOptions", "MEAN": "ReducerOptions",
           "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions", "STRIDED_SLICE": "StridedSliceOptions",
           "PAD": "PadOptions", "TRANSPOSE": "TransposeOptions", "DEQUANTIZE": "DequantizeOptions",
           "SPLIT": "SplitOptions", "RESIZE_BILINEAR": "ResizeBilinearOptions"}


class File:
    """Collects tensors and operators; every method gives the number of a tensor."""

    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1024)
        self.buffers = [self._record("Buffer")]
        self.tensors: list[int] = []
        self.codes: list[str] = []
        self.operators: list[int] = []
        self.inputs: list[int] = []

    def _record(self, kind: str, **fields: Any) -> int:
        getattr(tflite, f"{kind}Start")(self.b)
        for name, value in fields.items():
            if value is not None:
                getattr(tflite, f"{kind}Add{name}")(self.b, value)
        return getattr(tflite, f"{kind}End")(self.b)

    def _offsets(self, kind: str, field: str, values: Sequence[int]) -> int:
        getattr(tflite, f"{kind}Start{field}Vector")(self.b, len(values))
        for value in reversed(values):
            self.b.PrependUOffsetTRelative(value)
        return self.b.EndVector()

    def tensor(self, shape: Sequence[int], dtype: str = "float32", data: np.ndarray | None = None,
               scale: float | Sequence[float] | None = None, zero: int = 0, axis: int = 0) -> int:
        """A tensor in TFLite's order; with ``data`` a constant."""
        found = None
        if data is not None:
            whole = self.b.CreateNumpyVector(np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8))
            self.buffers.append(self._record("Buffer", Data=whole))
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            found = self._record("QuantizationParameters", Scale=self.b.CreateNumpyVector(scales), ZeroPoint=self.
                                 b.CreateNumpyVector(np.full(len(scales), zero, np.int64)), QuantizedDimension=axis)
        name = self.b.CreateString(f"t{len(self.tensors)}")
        sizes = self.b.CreateNumpyVector(np.asarray(shape, np.int32))
        self.tensors.append(self._record("Tensor", Shape=sizes, Type=TYPES[dtype], Name=name, Quantization=found,
                                         Buffer=len(self.buffers) - 1 if data is not None else 0))
        return len(self.tensors) - 1

    def input(self, shape: Sequence[int], dtype: str = "float32", **quantization: Any) -> int:
        self.inputs.append(self.tensor(shape, dtype, **quantization))
        return self.inputs[-1]

    def op(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> int:
        """An operator; the first output."""
        if kind not in self.codes:
            self.codes.append(kind)
        made = self._record(OPTIONS[kind], **options) if kind in OPTIONS else None
        number = getattr(tflite.BuiltinOptions, OPTIONS[kind]) if kind in OPTIONS else None
        ins, outs = (self.b.CreateNumpyVector(np.asarray(v, np.int32)) for v in (inputs, outputs))
        self.operators.append(self._record("Operator", OpcodeIndex=self.codes.index(kind), Inputs=ins, Outputs=outs,
                                           BuiltinOptionsType=number, BuiltinOptions=made))
        return outputs[0]

    def bytes(self, *outputs: int) -> bytes:
        b = self.b
        ins, outs = (b.CreateNumpyVector(np.asarray(v, np.int32)) for v in (self.inputs, outputs))
        sub = self._record("SubGraph", Tensors=self._offsets("SubGraph", "Tensors", self.tensors), Inputs=ins,
                           Outputs=outs, Operators=self._offsets("SubGraph", "Operators", self.operators))
        numbers = [getattr(tflite.BuiltinOperator, kind) for kind in self.codes]
        codes = [self._record("OperatorCode", BuiltinCode=n, DeprecatedBuiltinCode=min(n, 127),
                              Version=VERSIONS.get(kind, 1)) for kind, n in zip(self.codes, numbers, strict=True)]
        model = self._record("Model", Version=3, OperatorCodes=self._offsets("Model", "OperatorCodes", codes),
                             Subgraphs=self._offsets("Model", "Subgraphs", [sub]),
                             Buffers=self._offsets("Model", "Buffers", self.buffers))
        b.Finish(model, b"TFL3")
        return bytes(b.Output())
