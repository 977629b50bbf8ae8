"""Files of the command line: models in, results out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, IO

import numpy as np
from PIL import Image

from ..errors import OpenKPUError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file completely or not at all; its folder is made if needed.

    Raises
    ------
    OpenKPUError
        The disk is full, the folder is read-only ...; no partial file remains.
    """
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            name = file.name
            write(file)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise OpenKPUError(f"cannot write {path}: {error.strerror or error}; free some space or choose another "
                           "folder") from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_array(path: Path, array: np.ndarray) -> None:
    """Save as .npy."""
    write_whole(path, lambda file: np.save(file, array))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Save as PNG."""
    write_whole(path, lambda file: picture.save(file, "PNG"))


def write_json(path: Path, value: Any) -> None:
    """Save as indented JSON."""
    write_whole(path, lambda file: file.write(json.dumps(value, indent=1).encode() + b"\n"))
