# SPDX-License-Identifier: Apache-2.0
"""A picture with pixels and an AI plane: what the methods of ``image.Image`` share (spec/driver-api.md section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from PIL import Image as PillowImage

from openkpu.api.board import paths
from openkpu.api.board.board import current_board
from openkpu.api.board.standin import refuse
from openkpu.api.imaging import affine, pixels
from openkpu.pictures import decode

GRAYSCALE = 4
RGB565 = 2
JPEG = 5
WHITE = -1

_FORMAT_NAMES = {GRAYSCALE: "grayscale", RGB565: "rgb565", JPEG: "jpeg"}
_NOT_SIMULATED = frozenset((
    "find_features", "find_eye", "find_lbp", "find_keypoints", "find_number", "find_hog", "find_displacement",
    "find_datamatrices", "classify_object", "selective_search", "get_similarity", "linpolar", "logpolar", "cartoon",
    "remove_shadows", "chrominvar", "illuminvar", "mask_rectangle", "mask_circle", "mask_ellipse",
    "to_bitmap", "to_palette"))


class Picture:
    """Pixels, the AI plane, conversions and geometry; ``image.Image`` adds drawing, filters, finders and files.

    Attributes
    ----------
    pixels : uint8 (H, W) gray values, or uint16 (H, W) byte-swapped RGB565 words.
    pix_ai : uint8 (planes, H, W), or None.
    jpeg : bytes of the file after ``compress``, else None.
    """

    jpeg: bytes | None = None

    def __init__(self, source=None, *, size=None, from_bytes: bool = False, copy_to_fb=False):
        self.pix_ai: np.ndarray | None = None
        if source is None:
            width, height = (320, 240) if size is None else (int(size[0]), int(size[1]))
            if width < 1 or height < 1:
                raise ValueError(f"image size {width}x{height} is not positive")
            self.pixels = np.zeros((height, width), np.uint16)
            return
        if from_bytes:
            data, name = bytes(source), "the given bytes"
        elif isinstance(source, str):
            data, name = paths.read_file(source), source
        else:
            raise TypeError("Image() takes a path, size=(w, h), or bytes with from_bytes=True, not "
                            f"{type(source).__name__}")
        picture = open_picture(data, name)
        self.pixels = np.asarray(picture) if picture.mode == "L" else pixels.rgb_to_565(np.asarray(picture))
        self.pixels = self.pixels.copy()

    @classmethod
    def from_pixels(cls, values: np.ndarray) -> Self:
        """Image over a copy of gray values (uint8) or RGB565 words (uint16), shape (H, W)."""
        image = cls.__new__(cls)
        image.pix_ai = None
        image.pixels = np.array(values, order="C")
        return image

    @classmethod
    def from_rgb(cls, rgb: np.ndarray) -> Self:
        """RGB565 image from (H, W, 3) uint8."""
        return cls.from_pixels(pixels.rgb_to_565(rgb))

    def to_rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 copy of the display pixels."""
        if self._gray:
            return np.repeat(self.pixels[..., None], 3, axis=2)
        return pixels.rgb_from_565(self.pixels)

    @property
    def _gray(self) -> bool:
        return self.pixels.dtype == np.uint8

    def width(self) -> int:
        """Columns."""
        return self.pixels.shape[1]

    def height(self) -> int:
        """Rows."""
        return self.pixels.shape[0]

    def size(self) -> int:
        """Bytes of the display pixels, or of the JPEG file."""
        return self.pixels.nbytes if self.jpeg is None else len(self.jpeg)

    def format(self) -> int:
        """``sensor.GRAYSCALE``, ``sensor.RGB565``, or ``sensor.JPEG`` after ``compress``."""
        if self.jpeg is not None:
            return JPEG
        return GRAYSCALE if self._gray else RGB565

    def __repr__(self) -> str:
        return (f'{{"w":{self.width()}, "h":{self.height()}, "type"="{_FORMAT_NAMES[self.format()]}", '
                f'"size":{self.size()}}}')

    def __len__(self) -> int:
        return self.pixels.size

    def __getitem__(self, index):
        value = self.pixels.reshape(-1)[index]
        return tuple(value.tolist()) if isinstance(index, slice) else int(value)

    def __setitem__(self, index, value) -> None:
        self.pixels.reshape(-1)[index] = np.asarray(value).astype(np.int64) & (0xFF if self._gray else 0xFFFF)

    def __getattr__(self, name: str):
        if name in _NOT_SIMULATED:
            refuse(f"image.{name}", "this method of the firmware is left out")
        raise AttributeError(f"image.Image has no {name}")

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.pixels, dtype=dtype)

    def get_pixel(self, x, y=None, rgbtuple: bool | None = None):
        """Gray value, or (R, G, B); with ``rgbtuple=False`` the RGB565 word. None outside the image."""
        x, y = _position((x,) if y is None else (x, y))
        if not (0 <= x < self.width() and 0 <= y < self.height()):
            return None
        value = int(self.pixels[y, x])
        if self._gray if rgbtuple is None else not rgbtuple:
            return value
        return tuple(self.to_rgb()[y, x].tolist())

    def set_pixel(self, x, y=None, color=WHITE) -> Self:
        """Set one pixel; outside the image nothing happens."""
        if isinstance(x, Sequence):
            color = color if y is None else y
            x, y = x
        x, y = int(x), int(y)
        if 0 <= x < self.width() and 0 <= y < self.height():
            self.pixels[y, x] = self._color(color)
        return self

    def clear(self) -> Self:
        """All pixels black."""
        self.pixels[:] = 0
        return self

    # --- AI plane -------------------------------------------------------------------------------------------------

    def pix_to_ai(self) -> None:
        """Make the AI plane from the pixels: R, G, B planes of 8-bit expansions, or one gray plane."""
        if self._gray:
            self.pix_ai = self.pixels[None].copy()
        else:
            self.pix_ai = np.ascontiguousarray(np.moveaxis(pixels.rgb_from_565(self.pixels), -1, 0))

    def ai_to_pix(self) -> None:
        """Make the pixels from the AI plane; without a plane nothing happens."""
        if self.pix_ai is None:
            return
        if self._gray:
            self.pixels = self.pix_ai[0].copy()
        else:
            planes = self.pix_ai if len(self.pix_ai) == 3 else np.repeat(self.pix_ai, 3, axis=0)
            self.pixels = pixels.rgb_to_565(np.moveaxis(planes, 0, -1))

    # --- conversions ----------------------------------------------------------------------------------------------

    def to_grayscale(self, copy=False) -> Self:
        """Gray version, in place (the AI plane stays as it is) or as a copy without AI plane."""
        gray = self.pixels if self._gray else pixels.gray_from_rgb(self.to_rgb())
        return self._replace_pixels(gray, copy)

    def to_rgb565(self, copy=False) -> Self:
        """RGB565 version, in place or as a copy without AI plane."""
        return self._replace_pixels(pixels.rgb_to_565(self.to_rgb()) if self._gray else self.pixels, copy)

    def to_rainbow(self, copy=False) -> Self:
        """RGB565 image whose colours, blue to red, show the gray value."""
        gray = self.to_grayscale(copy=True).pixels
        return self._replace_pixels(pixels.rgb_to_565(pixels.rainbow(gray)), copy)

    def _replace_pixels(self, values: np.ndarray, copy) -> Self:
        if copy:
            return type(self).from_pixels(values)
        self.pixels = np.array(values, order="C")
        return self

    # --- geometry -------------------------------------------------------------------------------------------------

    def resize(self, w: int, h: int) -> Self:
        """New image of w x h without AI plane; the firmware's algorithms (section 3.2)."""
        w, h = int(w), int(h)
        if w < 1 or h < 1:
            raise ValueError(f"resize to {w}x{h}: both sides must be at least 1")
        method = pixels.resize_gray if self._gray else pixels.resize565
        return type(self).from_pixels(method(self.pixels, w, h, strict=current_board().strict))

    def cut(self, x: int, y: int, w: int, h: int) -> Self:
        """New w x h image without AI plane; parts outside this image are black."""
        x, y, w, h = (int(v) for v in (x, y, w, h))
        if w < 1 or h < 1:
            raise ValueError(f"cut of {w}x{h}: both sides must be at least 1")
        result = np.zeros((h, w), self.pixels.dtype)
        target, source = overlap((h, w), (y, x), self.pixels.shape)
        result[target] = self.pixels[source]
        return type(self).from_pixels(result)

    def copy(self, roi=None, x_scale=1.0, y_scale=1.0, copy_to_fb=False) -> Self:
        """Nearest-neighbour copy of ``roi`` (x, y, w, h), scaled, without AI plane."""
        return type(self).from_pixels(self._scaled_roi(roi, x_scale, y_scale))

    def crop(self, roi=None, x_scale=1.0, y_scale=1.0, copy_to_fb=False) -> Self:
        """As ``copy``, in place."""
        self.pixels = self._scaled_roi(roi, x_scale, y_scale)
        self.pix_ai = None
        return self

    def _scaled_roi(self, roi, x_scale, y_scale) -> np.ndarray:
        part = self.pixels[self._roi(roi)]
        width, height = int(part.shape[1] * x_scale), int(part.shape[0] * y_scale)
        if width < 1 or height < 1:
            raise ValueError(f"scaled size {width}x{height} is empty")
        return pixels.nearest(part, width, height).copy()

    def _roi(self, roi) -> tuple[slice, slice]:
        if roi is None:
            return slice(None), slice(None)
        x, y, w, h = (int(v) for v in roi)
        _, source = overlap((h, w), (y, x), self.pixels.shape)
        if source[0].start >= source[0].stop or source[1].start >= source[1].stop:
            raise ValueError(f"roi {(x, y, w, h)} lies outside the {self.width()}x{self.height()} image")
        return source

    def replace(self, other=None, hmirror=False, vflip=False, transpose=False, mask=None) -> Self:
        """Copy ``other`` (default: itself) here, mirrored, flipped or transposed. The AI plane is unchanged."""
        source = self if other is None else picture_argument(other, "replace")
        values = self._converted(source)
        if transpose:
            values = values.T
        values = values[::-1 if vflip else 1, ::-1 if hmirror else 1]
        if other is not None and values.shape != self.pixels.shape:
            raise ValueError(f"replace needs images of one size, not {values.shape[::-1]} and "
                             f"{self.pixels.shape[::-1]}")
        values = np.array(values, order="C")
        self.pixels = values if mask is None else np.where(self._mask(mask, values.shape), values, self.pixels)
        return self

    def rotation_corr(self, x_rotation=0.0, y_rotation=0.0, z_rotation=0.0, x_translation=0.0, y_translation=0.0,
                      zoom=1.0, fov=60.0) -> Self:
        """Rotate in space, in place: degrees about the x, y and z axis through the centre, seen with ``fov`` degrees.

        Positive z turns clockwise on the screen. Nearest neighbour; what comes from outside is black.
        """
        self.pixels = affine.rotate(self.pixels, (x_rotation, y_rotation, z_rotation), (x_translation, y_translation),
                                    zoom, fov)
        return self

    # --- gray values ----------------------------------------------------------------------------------------------

    def stretch(self, min=0, max=255) -> None:
        """GRAYSCALE only, in place: spread the interior's range onto min...max by an integer factor."""
        self.pixels = pixels.stretch(self._require_gray("stretch"), int(min), int(max))

    def strech_char(self, de_dark=0) -> None:
        """GRAYSCALE only, in place: a dark background becomes black; ``de_dark`` fades the corners."""
        self.pixels = pixels.stretch_character(self._require_gray("strech_char"), bool(de_dark))

    def _require_gray(self, name: str) -> np.ndarray:
        if not self._gray:
            raise ValueError(f"{name} works on GRAYSCALE images only; call to_grayscale() first")
        return self.pixels

    def invert(self) -> Self:
        """Bitwise not of every pixel."""
        self.pixels = ~self.pixels
        return self

    @staticmethod
    def _mask(mask, shape) -> np.ndarray:
        gray = picture_argument(mask, "mask").to_grayscale(copy=True).pixels
        return pixels.nearest(gray, shape[1], shape[0]) > 0

    def _converted(self, other: Picture) -> np.ndarray:
        """Pixels of ``other`` in this image's format; strict mode stores the raw values as the firmware does."""
        if other._gray == self._gray:
            return other.pixels
        if current_board().strict:
            return other.pixels.astype(self.pixels.dtype)
        return (other.to_grayscale if self._gray else other.to_rgb565)(copy=True).pixels

    def _color(self, color) -> int:
        if isinstance(color, (tuple, list)):
            rgb = np.clip(np.asarray([int(c) for c in color[:3]]), 0, 255).astype(np.uint8)
            if len(rgb) != 3:
                raise ValueError(f"colour {color!r} must be (R, G, B)")
            return int(pixels.gray_from_rgb(rgb) if self._gray else pixels.rgb_to_565(rgb))
        return int(color) & (0xFF if self._gray else 0xFFFF)


def open_picture(data: bytes, name: str) -> PillowImage.Image:
    """Decode a picture file to mode "L" or "RGB" (``openkpu.pictures.decode``).

    Raises
    ------
    ValueError
        ``format not supported``, naming the file.
    """
    try:
        return decode(data)
    except ValueError as error:
        raise ValueError(f"format not supported -- {name} is not a picture that can be decoded: {error}") from error


def picture_argument(value, function: str) -> Picture:
    if not isinstance(value, Picture):
        raise TypeError(f"{function} needs an image.Image, not {type(value).__name__}")
    return value


def _position(values) -> tuple[int, ...]:
    if len(values) == 1 and isinstance(values[0], Sequence):
        values = values[0]
    return tuple(int(v) for v in values)


def overlap(size, offset, source_size) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices (target, source) where a target of ``size`` with its origin at ``offset`` of the source meets it."""
    target, source = [], []
    for length, start, limit in zip(size, offset, source_size, strict=True):
        low, high = max(start, 0), min(start + length, limit)
        high = max(high, low)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    return (target[0], target[1]), (source[0], source[1])
