# SPDX-License-Identifier: Apache-2.0
"""Files of the command line: bytes, text and numbers in, results out."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import OpenKPUError, UsageError
from ..files import read_file, write_file

MAX_TEXT = 1 << 20


def read_text(path: Path, what: str) -> str:
    """A small text file; UsageError that begins with ``what``."""
    try:
        return read_file(path, MAX_TEXT).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{what} {path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} {path}: byte {error.start} is no UTF-8 text; save the file as UTF-8") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a result (``openkpu.files.write_file``).

    Raises
    ------
    OpenKPUError
        The disk is full, the folder is read-only ...; no partial file remains.
    """
    try:
        write_file(path, data)
    except OSError as error:
        raise OpenKPUError(f"cannot write {path}: {error.strerror or error}; free some space or choose another "
                           "place") from error


def write_array(path: Path, array: np.ndarray) -> None:
    """Save as .npy."""
    file = io.BytesIO()
    np.save(file, array)
    write_whole(path, file.getvalue())


def write_picture(path: Path, picture: Image.Image) -> None:
    """Save as PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    write_whole(path, file.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Save as indented JSON."""
    write_whole(path, json.dumps(value, indent=1).encode() + b"\n")
