# SPDX-License-Identifier: Apache-2.0
"""Turns pictures and .npy files into model inputs."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import InputError
from .files import read_file
from .kmodel.model import Model, TensorSpec
from .pictures import MAX_FILE, decode, fitted

MAX_ARRAY = 256 << 20

@dataclass(frozen=True)
class Prepared:
    """A model input made from a file.

    Attributes
    ----------
    array : what the model gets, with its dtype and shape.
    picture : the picture behind it (RGB), or None if the array is no picture.
    scale, shift : picture pixel = (network pixel + shift) * scale, each (x, y).
    """

    array: np.ndarray
    picture: Image.Image | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """Network-input pixel to picture pixel."""
        return (x + self.shift[0]) * self.scale[0], (y + self.shift[1]) * self.scale[1]


def prepare_inputs(model: Model, paths: tuple[Path, ...], fit: str) -> list[Prepared]:
    """One prepared input per model input; InputError naming the file and what is wrong with it."""
    if len(paths) != len(model.inputs):
        raise InputError(f"{model.source} takes {len(model.inputs)} inputs, but {len(paths)} files were given")
    return [_prepare(spec, path, fit) for spec, path in zip(model.inputs, paths, strict=True)]


def _prepare(spec: TensorSpec, path: Path, fit: str) -> Prepared:
    array = _is_array(path.name)
    try:
        data = read_file(path, MAX_ARRAY if array else MAX_FILE)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}){'' if array else '; check the path'}") \
            from error
    return prepare_bytes(spec, str(path), data, fit)


def prepare_bytes(spec: TensorSpec, name: str, data: bytes, fit: str) -> Prepared:
    """A prepared input of a file's bytes; InputError that begins with the file's name."""
    if _is_array(name):
        array = _load_array(name, data)
        return Prepared(array, _as_picture(array))
    return _load_picture(spec, name, data, fit)


def _is_array(name: str) -> bool:
    return name.lower().endswith(".npy")


def _load_array(name: str, data: bytes) -> np.ndarray:
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # numpy evaluates the header as Python; a damaged one fails in many ways
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InputError(f"{name}: not a readable .npy file ({reason})") from error


def _as_picture(array: np.ndarray) -> Image.Image | None:
    """The first 1- or 3-channel uint8 map of an (N, C, H, W) array as RGB."""
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] not in (1, 3) or not array.size:
        return None
    return Image.fromarray(np.broadcast_to(array[0], (3, *array.shape[2:])).transpose(1, 2, 0).copy())


def _load_picture(spec: TensorSpec, name: str, data: bytes, fit: str) -> Prepared:
    shape = spec.shape[-3:]
    if len(spec.shape) < 3 or shape[0] not in (1, 3):
        raise InputError(f"{name}: the model takes an array of shape {list(spec.shape)}, not a picture; "
                         "give a .npy file")
    try:
        picture = decode(data).convert("RGB")
    except ValueError as error:
        raise InputError(f"{name}: {error}; give another picture, or a .npy file") from error
    channels, height, width = shape
    small, scale, shift = fitted(picture, (width, height), fit)
    if channels == 1:
        planes = np.asarray(small.convert("L"))[None]
    else:
        planes = np.asarray(small).transpose(2, 0, 1)
    return Prepared(planes.astype(spec.dtype).reshape(spec.shape), picture, scale, shift)
