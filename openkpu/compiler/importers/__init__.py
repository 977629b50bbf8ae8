# SPDX-License-Identifier: Apache-2.0
"""Readers of network files: ONNX and TFLite."""

from __future__ import annotations

from pathlib import Path

from ..errors import CompileError
from ..graph import Graph


def import_network(path: Path) -> Graph:
    """The float network of a file; CompileError if it is damaged or unsupported."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CompileError(f"cannot read {path}: {error.strerror}; give the path of an ONNX or TFLite file") from error
    if data[4:8] == b"TFL3":
        from .tflite_file import import_tflite
        return import_tflite(data, str(path))
    from .onnx_file import import_onnx
    return import_onnx(data, str(path))


def extra_missing(package: str) -> CompileError:
    """What to say where the extra is not installed."""
    return CompileError(f"compiling needs the package '{package}'; install it with: pip install 'openkpu[compile]'")
