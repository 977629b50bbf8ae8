# SPDX-License-Identifier: Apache-2.0
"""Calibration data: pictures or arrays, as the kmodel will get them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp", ".gif", ".tif", ".tiff")


def load_pictures(paths: Sequence[Path], shape: tuple[int, ...], most: int | None = None) -> list[np.ndarray]:
    """uint8 (or float32 from .npy) arrays of ``shape`` (1, C, H, W) from files and folders, in sorted order.

    Raises
    ------
    InputError : there is none, or one cannot be read or has another shape.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(f for f in path.iterdir() if f.suffix.lower() in (*SUFFIXES, ".npy"))
        else:
            files.append(path)
    arrays: list[np.ndarray] = []
    for file in files:
        arrays += _array(file, shape) if file.suffix.lower() == ".npy" else [_picture(file, shape)]
    if not arrays:
        where = ", ".join(map(str, paths)) or "nothing"
        raise InputError(f"{where} holds no calibration picture; give typical pictures with --calibrate")
    return arrays[:most]


def _picture(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise InputError(f"{path}: the network takes an array of shape {list(shape)}, not a picture; give a .npy file")
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB" if shape[1] == 3 else "L")
            picture = picture.resize((shape[3], shape[2]), Image.Resampling.BILINEAR)
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a picture that Pillow can read, nor a .npy file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot read the picture ({getattr(error, 'strerror', None) or error})") from error
    pixels = np.asarray(picture)
    return (pixels.transpose(2, 0, 1) if shape[1] == 3 else pixels[None])[None].copy()


def _array(path: Path, shape: tuple[int, ...]) -> list[np.ndarray]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy file ({str(error).splitlines()[0]})") from error
    if array.shape[1:] == shape[1:] and array.dtype in (np.uint8, np.float32, np.float64) and len(array):
        return [a[None] if array.dtype == np.uint8 else a[None].astype(np.float32) for a in array]
    raise InputError(f"{path}: holds {array.dtype} {array.shape}; the network takes uint8 or float32 of the shape "
                     f"(count, {', '.join(map(str, shape[1:]))})")
