# SPDX-License-Identifier: Apache-2.0
"""Picture files as 8-bit pictures, and pictures at another size; both bounded."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_FILE = 128 << 20
MAX_PIXELS = 64 << 20
_BITS_PER_SAMPLE = 258  # TIFF
NOT_RUN = {"EPS"}  # a program that Ghostscript would have to run


def decode(data: bytes) -> Image.Image:
    """The first picture of a file, in mode "L" or "RGB", turned as its EXIF data says.

    Of more than 8 bits per value the upper 8 are taken. What is transparent shows a white background.

    Raises
    ------
    ValueError
        It is none that Pillow reads, is damaged, has more than ``MAX_PIXELS`` pixels, or values that are no
        brightness (32-bit integers, floating point); the text is a clause.
    """
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is checked here, or harmless
            with Image.open(io.BytesIO(data), formats=[name for name in Image.OPEN if name not in NOT_RUN]) as picture:
                _check_size(picture)
                picture.load()
                _check_size(picture)
                bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (8,))[0] if hasattr(picture, "tag_v2") else 16
                return _opaque(ImageOps.exif_transpose(picture), bits)
    except UnidentifiedImageError as error:
        raise ValueError("it is not a picture that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ValueError(_TOO_LARGE) from error
    except _RefusedError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # whatever a decoder makes of a damaged file
        raise ValueError(f"it is damaged ({type(error).__name__}: {str(error)[:200]})") from error


class _RefusedError(Exception):
    pass


_TOO_LARGE = f"it has more than {MAX_PIXELS >> 20} M pixels"


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise _RefusedError(_TOO_LARGE)


def _opaque(picture: Image.Image, bits: int) -> Image.Image:
    """The picture on white; ``bits`` per value, if there are more than 8."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return _eight_bits(picture, bits)
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    if picture.mode == "LAB":
        raise _RefusedError("its colours are CIE L*a*b*; convert it to RGB first")
    return picture.convert("L" if grey else "RGB")


def _eight_bits(picture: Image.Image, bits: int) -> Image.Image:
    """A grey picture of 9 to 16 bits."""
    if picture.mode == "F" or bits > 16:
        what = "floating-point" if picture.mode == "F" else f"{bits}-bit"
        raise _RefusedError(f"its {what} values are no brightness; pictures have 8 or 16 bits")
    values = np.asarray(picture).astype(np.int32)
    if values.min() < 0 or values.max() >> bits:
        raise _RefusedError(f"its values {values.min()} to {values.max()} are no brightness of {bits} bits")
    grey = (values >> (bits - 8)).astype(np.uint8)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey)


def fitted(picture: Image.Image, size: tuple[int, int], policy: str) \
        -> tuple[Image.Image, tuple[float, float], tuple[float, float]]:
    """A picture at another size (width, height), and the way back.

    Parameters
    ----------
    policy : "stretch", "fit" (black borders) or "crop" (what sticks out is cut off before scaling). Bilinear.

    Returns
    -------
    picture, scale, shift : pixel of the original = (pixel of the result + shift) * scale, each (x, y). A picture that
        has the size is returned as it is.
    """
    (width, height), (w, h) = size, picture.size
    bilinear = Image.Resampling.BILINEAR
    if (w, h) == size:
        return picture, (1.0, 1.0), (0.0, 0.0)
    if policy == "stretch":
        return picture.resize(size, bilinear), (w / width, h / height), (0.0, 0.0)
    if policy == "crop":
        ratio = min(w / width, h / height)
        wide, high = min(width * ratio, w), min(height * ratio, h)
        left, top = (w - wide) / 2, (h - high) / 2
        result = picture.resize(size, bilinear, box=(left, top, left + wide, top + high))
        return result, (ratio, ratio), (left / ratio, top / ratio)
    ratio = min(width / w, height / h)
    inner = max(round(w * ratio), 1), max(round(h * ratio), 1)
    corner = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = Image.new(picture.mode, size)
    canvas.paste(picture.resize(inner, bilinear), corner)
    return canvas, (w / inner[0], h / inner[1]), (-float(corner[0]), -float(corner[1]))
