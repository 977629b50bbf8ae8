# SPDX-License-Identifier: Apache-2.0
"""The network as its own framework's runtime computes it, in floats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import CompileError
from .importers import extra_missing


def reference(path: Path, inputs: Sequence[str], outputs: Sequence[str],
              feeds: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    """The outputs for every feed: onnxruntime for ONNX, LiteRT for TFLite."""
    data = path.read_bytes()
    if data[4:8] == b"TFL3":
        from .importers.tflite_file import run_tflite
        return run_tflite(data, str(path), outputs, feeds)
    return _onnx(data, str(path), inputs, outputs, feeds)


def _onnx(data: bytes, source: str, inputs: Sequence[str], outputs: Sequence[str],
          feeds: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise extra_missing(error.name or "onnxruntime") from error
    model = onnx.load_model_from_string(data)
    known = {o.name for o in model.graph.output}
    for name in outputs:
        if name not in known:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [session.run(list(outputs), dict(zip(inputs, feed, strict=True))) for feed in feeds]
    except Exception as error:
        raise CompileError(f"{source}: onnxruntime cannot run the network ({str(error).strip().splitlines()[0]}); "
                           "export it again") from error
