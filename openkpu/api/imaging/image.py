# SPDX-License-Identifier: Apache-2.0
"""Module ``image``: pictures with pixels and an AI plane (spec/driver-api.md section 3.2)."""

from __future__ import annotations

import io
from typing import Self

import numpy as np
from PIL import Image as PillowImage

from openkpu.api.board import paths
from openkpu.api.board.standin import refuse
from openkpu.api.imaging import affine, colour, font, pixels
from openkpu.api.imaging.drawing import Drawing, loaded_font
from openkpu.api.imaging.filters import Filters
from openkpu.api.imaging.finders import (  # noqa: F401 - constants of the device's module
    CODABAR,
    CODE39,
    CODE93,
    CODE128,
    DATABAR,
    DATABAR_EXP,
    EAN2,
    EAN5,
    EAN8,
    EAN13,
    I25,
    ISBN10,
    ISBN13,
    PDF417,
    TAG36H11,
    UPCA,
    UPCE,
    Finders,
)
from openkpu.api.imaging.picture import (  # noqa: F401 - constants of the device's module
    GRAYSCALE,
    JPEG,
    RGB565,
    open_picture,
    picture_argument,
)
from openkpu.files import write_file

UTF8 = 1
ASCII = 0
EDGE_CANNY, EDGE_SIMPLE = 0, 1


class Image(Drawing, Filters, Finders):
    """A GRAYSCALE or RGB565 picture with an optional AI plane, which is what the KPU reads.

    Parameters
    ----------
    source : path of a picture file, or bytes of one with ``from_bytes=True``; omitted: a black RGB565 canvas.
    size : (width, height) of the canvas, default 320x240.
    copy_to_fb : accepted and ignored.

    Attributes
    ----------
    pixels : uint8 (H, W) gray values, or uint16 (H, W) byte-swapped RGB565 words.
    pix_ai : uint8 (planes, H, W), or None.
    jpeg : bytes of the file after ``compress``, else None.

    Raises
    ------
    OSError
        The file is missing.
    ValueError
        The data is not a picture ("format not supported").
    """

    def save(self, path: str, roi=None, quality: int = 50) -> Self:
        """Write BMP, JPEG or PNG, chosen by the extension; returns self."""
        part = type(self).from_pixels(self.pixels[self._roi(roi)])
        mapped = str(paths.device_path(path))
        kind = {"bmp": "BMP", "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}.get(mapped.rpartition(".")[2].lower())
        if kind is None:
            raise ValueError(f"cannot save {path}: the name must end in .bmp, .jpg, .jpeg or .png")
        picture = PillowImage.fromarray(part.pixels if part._gray else part.to_rgb())
        encoded = io.BytesIO()
        picture.save(encoded, kind, **({"quality": int(quality)} if kind == "JPEG" else {}))
        write_file(mapped, encoded.getvalue())
        return self

    def compress(self, quality: int = 50) -> Self:
        """Become a JPEG file of the same picture, in place; ``to_bytes`` then gives the file."""
        self.jpeg = self._jpeg_file(quality)
        seen = np.asarray(open_picture(self.jpeg, "the compressed image"))
        self.pixels = seen.copy() if seen.ndim == 2 else pixels.rgb_to_565(seen)
        return self

    def compressed(self, quality: int = 50) -> Self:
        """As ``compress``, a new image."""
        return type(self).from_pixels(self.pixels).compress(quality)

    def compress_for_ide(self, quality: int = 50) -> Self:
        """As ``compress``; the IDE's framing is left out."""
        return self.compress(quality)

    def compressed_for_ide(self, quality: int = 50) -> Self:
        """As ``compressed``; the IDE's framing is left out."""
        return self.compressed(quality)

    def _jpeg_file(self, quality: int) -> bytes:
        file = io.BytesIO()
        picture = PillowImage.fromarray(self.pixels if self._gray else self.to_rgb())
        picture.save(file, "JPEG", quality=max(1, min(100, int(quality))))
        return file.getvalue()

    def to_bytes(self) -> bytearray:
        """Copy of the pixels as they lie in memory, or of the JPEG file."""
        if self.jpeg is not None:
            return bytearray(self.jpeg)
        return bytearray(self.pixels.astype(self.pixels.dtype.newbyteorder("<")).tobytes())


def rgb_to_lab(rgb) -> tuple[int, int, int]:
    """(L, A, B) of (R, G, B)."""
    lightness, a, b = (int(v) for v in colour.lab_from_rgb(np.array(rgb[:3])))
    return lightness, a, b


def lab_to_rgb(lab) -> tuple[int, int, int]:
    """(R, G, B) of (L, A, B)."""
    return colour.rgb_from_lab(lab)


def rgb_to_grayscale(rgb) -> int:
    """Gray value of (R, G, B)."""
    return int(pixels.gray_from_rgb(np.array(rgb[:3], np.uint8)))


def grayscale_to_rgb(gray) -> tuple[int, int, int]:
    """(R, G, B) of a gray value."""
    return (int(gray),) * 3


def HaarCascade(*args, **keywords):
    """Raises ``NotSimulatedError``."""
    refuse("image.HaarCascade", "use a KPU model, or find_blobs")


def get_affine_transform(src, dst) -> tuple[float, ...]:
    """Similarity that maps ``dst`` coordinates to ``src`` coordinates, nine floats row by row (Umeyama).

    Parameters
    ----------
    src, dst : lists of the same number (2...10) of (x, y) points.

    Raises
    ------
    OSError
        Not two such lists.
    """
    return affine.similarity(src, dst)


def warp_affine_ai(src_img: Image, dst_img: Image, T) -> None:
    """Fill the AI plane of ``dst_img`` from that of ``src_img``, looked up through ``T`` (bilinear, 8-bit fractions).

    Raises
    ------
    ValueError
        The formats differ, or one of the images has no AI plane.
    """
    for image in (src_img, dst_img):
        picture_argument(image, "warp_affine_ai")
    if src_img.format() != dst_img.format():
        raise ValueError("src_img->bpp != dst_img->bpp")
    if src_img.pix_ai is None or dst_img.pix_ai is None or len(src_img.pix_ai) != len(dst_img.pix_ai):
        raise ValueError("only support ai image affine -- call pix_to_ai() on both images first")
    if len(T) != 9:
        raise ValueError(f"T must have 9 numbers, not {len(T)}")
    dst_img.pix_ai = affine.warp(src_img.pix_ai, dst_img.pix_ai.shape, T)


def font_load(kind=UTF8, width: int = 16, height: int = 16, path=None) -> None:
    """Draw characters that are not Latin in width x height cells, with ``path`` if that is a font Pillow reads.

    The firmware's own font file or flash address is accepted; its glyphs then come from a system font, or are boxes.
    """
    loaded_font["cell"] = (int(width), int(height))
    mapped = paths.device_path(path) if isinstance(path, str) else None
    loaded_font["path"] = mapped if mapped and font.usable_font(mapped) else None


def font_free() -> None:
    """Back to the built-in 8x12 font."""
    loaded_font.update(cell=None, path=None)
