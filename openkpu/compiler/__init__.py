# SPDX-License-Identifier: Apache-2.0
"""From a trained network to a kmodel.

>>> from openkpu.compiler import Options, Preprocess, compile_network
>>> result = compile_network(Path("net.onnx"), [Path("pictures")], Options(Preprocess(scale=1 / 255)))
>>> Path("net.kmodel").write_bytes(result.compiled.data)
"""

from .compile import Options, Result, compile_network
from .errors import CompileError
from .preprocess import Preprocess

__all__ = ["CompileError", "Options", "Preprocess", "Result", "compile_network"]
