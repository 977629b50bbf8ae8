"""Module ``image``: pictures with pixels and an AI plane (spec/driver-api.md section 3.2)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from openkpu.api.board import paths
from openkpu.api.board.board import current_board
from openkpu.api.board.standin import refuse
from openkpu.api.imaging import affine, colour, font, pixels
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
from openkpu.files import write_file
from openkpu.pictures import decode

GRAYSCALE = 4
RGB565 = 2
JPEG = 5
UTF8 = 1
ASCII = 0
EDGE_CANNY, EDGE_SIMPLE = 0, 1

_FORMAT_NAMES = {GRAYSCALE: "grayscale", RGB565: "rgb565", JPEG: "jpeg"}
_NOT_SIMULATED = frozenset((
    "find_features", "find_eye", "find_lbp", "find_keypoints", "find_number", "find_hog", "find_displacement",
    "find_datamatrices", "classify_object", "selective_search", "get_similarity", "linpolar", "logpolar", "cartoon",
    "remove_shadows", "chrominvar", "illuminvar", "mask_rectangle", "mask_circle", "mask_ellipse",
    "to_bitmap", "to_palette"))
_WHITE = -1
_loaded_font: dict = {"cell": None, "path": None}


class Image(Filters, Finders):
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
    def from_pixels(cls, values: np.ndarray) -> Image:
        """Image over a copy of gray values (uint8) or RGB565 words (uint16), shape (H, W)."""
        image = cls.__new__(cls)
        image.pix_ai = None
        image.pixels = np.array(values, order="C")
        return image

    @classmethod
    def from_rgb(cls, rgb: np.ndarray) -> Image:
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

    def set_pixel(self, x, y=None, color=_WHITE) -> Image:
        """Set one pixel; outside the image nothing happens."""
        if isinstance(x, Sequence):
            color = color if y is None else y
            x, y = x
        x, y = int(x), int(y)
        if 0 <= x < self.width() and 0 <= y < self.height():
            self.pixels[y, x] = self._color(color)
        return self

    def clear(self) -> Image:
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

    def to_grayscale(self, copy=False) -> Image:
        """Gray version, in place (the AI plane stays as it is) or as a copy without AI plane."""
        gray = self.pixels if self._gray else pixels.gray_from_rgb(self.to_rgb())
        return self._replace_pixels(gray, copy)

    def to_rgb565(self, copy=False) -> Image:
        """RGB565 version, in place or as a copy without AI plane."""
        return self._replace_pixels(pixels.rgb_to_565(self.to_rgb()) if self._gray else self.pixels, copy)

    def to_rainbow(self, copy=False) -> Image:
        """RGB565 image whose colours, blue to red, show the gray value."""
        gray = self.to_grayscale(copy=True).pixels
        return self._replace_pixels(pixels.rgb_to_565(pixels.rainbow(gray)), copy)

    def _replace_pixels(self, values: np.ndarray, copy) -> Image:
        if copy:
            return Image.from_pixels(values)
        self.pixels = np.array(values, order="C")
        return self

    # --- geometry -------------------------------------------------------------------------------------------------

    def resize(self, w: int, h: int) -> Image:
        """New image of w x h without AI plane; the firmware's algorithms (section 3.2)."""
        w, h = int(w), int(h)
        if w < 1 or h < 1:
            raise ValueError(f"resize to {w}x{h}: both sides must be at least 1")
        method = pixels.resize_gray if self._gray else pixels.resize565
        return Image.from_pixels(method(self.pixels, w, h, strict=current_board().strict))

    def cut(self, x: int, y: int, w: int, h: int) -> Image:
        """New w x h image without AI plane; parts outside this image are black."""
        x, y, w, h = (int(v) for v in (x, y, w, h))
        if w < 1 or h < 1:
            raise ValueError(f"cut of {w}x{h}: both sides must be at least 1")
        result = np.zeros((h, w), self.pixels.dtype)
        target, source = _overlap((h, w), (y, x), self.pixels.shape)
        result[target] = self.pixels[source]
        return Image.from_pixels(result)

    def copy(self, roi=None, x_scale=1.0, y_scale=1.0, copy_to_fb=False) -> Image:
        """Nearest-neighbour copy of ``roi`` (x, y, w, h), scaled, without AI plane."""
        return Image.from_pixels(self._scaled_roi(roi, x_scale, y_scale))

    def crop(self, roi=None, x_scale=1.0, y_scale=1.0, copy_to_fb=False) -> Image:
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
        _, source = _overlap((h, w), (y, x), self.pixels.shape)
        if source[0].start >= source[0].stop or source[1].start >= source[1].stop:
            raise ValueError(f"roi {(x, y, w, h)} lies outside the {self.width()}x{self.height()} image")
        return source

    def replace(self, other=None, hmirror=False, vflip=False, transpose=False, mask=None) -> Image:
        """Copy ``other`` (default: itself) here, mirrored, flipped or transposed. The AI plane is unchanged."""
        source = self if other is None else _image_argument(other, "replace")
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
                      zoom=1.0, fov=60.0) -> Image:
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

    def invert(self) -> Image:
        """Bitwise not of every pixel."""
        self.pixels = ~self.pixels
        return self

    # --- drawing --------------------------------------------------------------------------------------------------

    def draw_rectangle(self, *args, **keywords) -> Image:
        """``draw_rectangle(x, y, w, h, color=white, thickness=1, fill=False)``; the outline is x...x+w-1, y...y+h-1."""
        x, y, w, h, color, thickness, fill = _arguments(
            args, keywords, ("x", "y", "w", "h"), {"color": _WHITE, "thickness": 1, "fill": False})
        value = self._color(color)
        if w < 1 or h < 1:
            return self
        if fill:
            self._fill(x, y, x + w, y + h, value)
            return self
        outer, inner = int(thickness) // 2, (int(thickness) + 1) // 2
        if thickness < 1:
            return self
        left, top, right, bottom = x - outer, y - outer, x + w + outer, y + h + outer
        band = outer + inner
        self._fill(left, top, right, top + band, value)
        self._fill(left, bottom - band, right, bottom, value)
        self._fill(left, top, left + band, bottom, value)
        self._fill(right - band, top, right, bottom, value)
        return self

    def draw_line(self, *args, **keywords) -> Image:
        """``draw_line(x0, y0, x1, y1, color=white, thickness=1)``, both ends included."""
        x0, y0, x1, y1, color, thickness = _arguments(
            args, keywords, ("x0", "y0", "x1", "y1"), {"color": _WHITE, "thickness": 1})
        return self._stroke(color, lambda draw: draw.line((x0, y0, x1, y1), fill=1, width=int(thickness)))

    def draw_circle(self, *args, **keywords) -> Image:
        """``draw_circle(x, y, radius, color=white, thickness=1, fill=False)``."""
        x, y, r, color, thickness, fill = _arguments(
            args, keywords, ("x", "y", "radius"), {"color": _WHITE, "thickness": 1, "fill": False})
        if r < 0:
            return self
        return self._stroke(color, lambda draw: draw.ellipse((x - r, y - r, x + r, y + r), outline=1,
                                                             fill=1 if fill else None, width=int(thickness)))

    def draw_cross(self, *args, **keywords) -> Image:
        """``draw_cross(x, y, color=white, size=5, thickness=1)``: two strokes of 2*size+1 pixels."""
        x, y, color, size, thickness = _arguments(
            args, keywords, ("x", "y"), {"color": _WHITE, "size": 5, "thickness": 1})
        self.draw_line(x - size, y, x + size, y, color, thickness)
        return self.draw_line(x, y - size, x, y + size, color, thickness)

    def draw_arrow(self, *args, **keywords) -> Image:
        """``draw_arrow(x0, y0, x1, y1, color=white, thickness=1)``: a line with a head of 10 pixels at the end."""
        x0, y0, x1, y1, color, thickness = _arguments(
            args, keywords, ("x0", "y0", "x1", "y1"), {"color": _WHITE, "thickness": 1})
        self.draw_line(x0, y0, x1, y1, color, thickness)
        angle = math.atan2(y1 - y0, x1 - x0)
        for side in (math.pi * 5 / 6, -math.pi * 5 / 6):
            self.draw_line(x1, y1, round(x1 + 10 * math.cos(angle + side)), round(y1 + 10 * math.sin(angle + side)),
                           color, thickness)
        return self

    def draw_string(self, *args, **keywords) -> Image:
        """``draw_string(x, y, text, color=white, scale=1.0, x_spacing=0, y_spacing=2, mono_space=False)``.

        8x12 cells; a newline starts a new line at x.
        """
        x, y, text, color, scale, x_spacing, y_spacing, mono_space = _arguments(
            args, keywords, ("x", "y"), {"text": "", "color": _WHITE, "scale": 1.0, "x_spacing": 0, "y_spacing": 2,
                                         "mono_space": False})
        value = self._color(color)
        left, line_height = x, font.CELL_HEIGHT
        for character in str(text):
            if character in "\r\n":
                if character == "\n":
                    left, y = x, y + int(line_height * scale) + int(y_spacing)
                    line_height = font.CELL_HEIGHT
                continue
            bitmap = font.glyph(character, _loaded_font["cell"], _loaded_font["path"])
            line_height = max(line_height, bitmap.shape[0])
            if not mono_space:
                bitmap = _trimmed(bitmap)
            height, width = (max(1, int(side * scale)) for side in bitmap.shape)
            self._stamp(pixels.nearest(bitmap, width, height), left, y, value)
            left += width + int(x_spacing)
        return self

    def draw_image(self, other, *args, **keywords) -> Image:
        """``draw_image(other, x, y, x_scale=1.0, y_scale=1.0, alpha=256, mask=None)``: nearest neighbour, clipped."""
        other = _image_argument(other, "draw_image")
        x, y, x_scale, y_scale, alpha, mask = _arguments(
            args, {"x": 0, "y": 0, **keywords} if not args else keywords, ("x", "y"),
            {"x_scale": 1.0, "y_scale": 1.0, "alpha": 256, "mask": None})
        width, height = int(other.width() * x_scale), int(other.height() * y_scale)
        if width < 1 or height < 1:
            return self
        values = pixels.nearest(self._converted(other), width, height)
        target, source = _overlap(self.pixels.shape, (-y, -x), (height, width))
        values, below = values[source], self.pixels[target]
        if alpha < 256:
            values = self._blend(values, below, max(0, int(alpha)))
        if mask is not None:
            values = np.where(self._mask(mask, (height, width))[source], values, below)
        self.pixels[target] = values
        return self

    @staticmethod
    def _mask(mask, shape) -> np.ndarray:
        gray = _image_argument(mask, "mask").to_grayscale(copy=True).pixels
        return pixels.nearest(gray, shape[1], shape[0]) > 0

    def _blend(self, over: np.ndarray, under: np.ndarray, alpha: int) -> np.ndarray:
        def mix(a, b):
            return (a.astype(np.int64) * alpha + b.astype(np.int64) * (256 - alpha)) >> 8

        if self._gray:
            return mix(over, under).astype(np.uint8)
        return pixels.join565(*(mix(a, b) for a, b in zip(pixels.split565(over), pixels.split565(under), strict=True)))

    def _converted(self, other: Image) -> np.ndarray:
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

    def _fill(self, left: int, top: int, right: int, bottom: int, value: int) -> None:
        self.pixels[max(top, 0):max(bottom, 0), max(left, 0):max(right, 0)] = value

    def _stroke(self, color, draw_on) -> Image:
        canvas = PillowImage.new("1", (self.width(), self.height()))
        draw_on(ImageDraw.Draw(canvas))
        self.pixels[np.asarray(canvas)] = self._color(color)
        return self

    def _stamp(self, bitmap: np.ndarray, x: int, y: int, value: int) -> None:
        target, source = _overlap(self.pixels.shape, (-y, -x), bitmap.shape)
        self.pixels[target][bitmap[source]] = value

    def draw_ellipse(self, *args, **keywords) -> Image:
        """``draw_ellipse(cx, cy, rx, ry, rotation=0, color=white, thickness=1, fill=False)``; rotation in degrees."""
        x, y, rx, ry, rotation, color, thickness, fill = _arguments(
            args, keywords, ("cx", "cy", "rx", "ry"), {"rotation": 0, "color": _WHITE, "thickness": 1, "fill": False})
        if min(rx, ry) < 1:
            return self
        rows, columns = np.mgrid[:self.height(), :self.width()]
        turn = math.radians(rotation)
        along = (columns - x) * math.cos(turn) + (rows - y) * math.sin(turn)
        across = (rows - y) * math.cos(turn) - (columns - x) * math.sin(turn)

        def inside(grow: float) -> np.ndarray:
            return (along / max(rx + grow, 0.5)) ** 2 + (across / max(ry + grow, 0.5)) ** 2 <= 1

        half = max(1, int(thickness)) / 2
        self.pixels[inside(half) if fill else inside(half) & ~inside(-half)] = self._color(color)
        return self

    def draw_keypoints(self, keypoints, color=_WHITE, size=10, thickness=1, fill=False, **other) -> Image:
        """A circle and a line in its direction (degrees) for each (x, y[, direction])."""
        for x, y, *direction in keypoints:
            self.draw_circle(int(x), int(y), max(1, int(size) // 2), color, thickness, fill)
            if direction:
                turn = math.radians(direction[0])
                self.draw_line(int(x), int(y), int(x + size * math.cos(turn)), int(y + size * math.sin(turn)), color,
                               thickness)
        return self

    def draw_font(self, x, y, w, h, data, scale=1, color=_WHITE, **other) -> Image:
        """A dot-matrix character: ``h`` rows of ``w`` bits, the highest bit of a byte on the left."""
        rows = np.frombuffer(bytes(data), np.uint8)[:(int(w) + 7) // 8 * int(h)].reshape(int(h), -1)
        bitmap = np.unpackbits(rows, axis=1)[:, :int(w)].astype(bool)
        self._stamp(pixels.nearest(bitmap, int(w * scale), int(h * scale)), int(x), int(y), self._color(color))
        return self

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str, roi=None, quality: int = 50) -> Image:
        """Write BMP, JPEG or PNG, chosen by the extension; returns self."""
        part = Image.from_pixels(self.pixels[self._roi(roi)])
        mapped = str(paths.device_path(path))
        kind = {"bmp": "BMP", "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}.get(mapped.rpartition(".")[2].lower())
        if kind is None:
            raise ValueError(f"cannot save {path}: the name must end in .bmp, .jpg, .jpeg or .png")
        picture = PillowImage.fromarray(part.pixels if part._gray else part.to_rgb())
        encoded = io.BytesIO()
        picture.save(encoded, kind, **({"quality": int(quality)} if kind == "JPEG" else {}))
        write_file(mapped, encoded.getvalue())
        return self

    def compress(self, quality: int = 50) -> Image:
        """Become a JPEG file of the same picture, in place; ``to_bytes`` then gives the file."""
        self.jpeg = self._jpeg_file(quality)
        seen = np.asarray(open_picture(self.jpeg, "the compressed image"))
        self.pixels = seen.copy() if seen.ndim == 2 else pixels.rgb_to_565(seen)
        return self

    def compressed(self, quality: int = 50) -> Image:
        """As ``compress``, a new image."""
        return Image.from_pixels(self.pixels).compress(quality)

    def compress_for_ide(self, quality: int = 50) -> Image:
        """As ``compress``; the IDE's framing is left out."""
        return self.compress(quality)

    def compressed_for_ide(self, quality: int = 50) -> Image:
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
    return tuple(int(v) for v in colour.lab_from_rgb(np.array(rgb[:3])))


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
    src_img, dst_img = _image_argument(src_img, "warp_affine_ai"), _image_argument(dst_img, "warp_affine_ai")
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
    _loaded_font["cell"] = (int(width), int(height))
    mapped = paths.device_path(path) if isinstance(path, str) else None
    _loaded_font["path"] = mapped if mapped and font.usable_font(mapped) else None


def font_free() -> None:
    """Back to the built-in 8x12 font."""
    _loaded_font.update(cell=None, path=None)


def _image_argument(value, function: str) -> Image:
    if not isinstance(value, Image):
        raise TypeError(f"{function} needs an image.Image, not {type(value).__name__}")
    return value


def _position(values) -> tuple[int, ...]:
    if len(values) == 1 and isinstance(values[0], Sequence):
        values = values[0]
    return tuple(int(v) for v in values)


def _arguments(args: tuple, keywords: dict, position: tuple[str, ...], options: dict) -> list:
    """Position numbers, one tuple/list or separate, then options by place or name; unknown keywords are ignored."""
    args = list(args)
    if args and isinstance(args[0], (tuple, list)):
        args[0:1] = list(args[0])
    names = (*position, *options)
    if len(args) > len(names):
        raise TypeError(f"too many arguments: at most {', '.join(names)}")
    values = {**options, **{name: keywords[name] for name in names if name in keywords},
              **dict(zip(names, args, strict=False))}
    missing = [name for name in position if name not in values]
    if missing:
        raise TypeError(f"missing {', '.join(missing)}: the call needs {', '.join(position)}")
    return [int(values[name]) for name in position] + [values[name] for name in options]


def _overlap(size, offset, source_size) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices (target, source) where a target of ``size`` with its origin at ``offset`` of the source meets it."""
    target, source = [], []
    for length, start, limit in zip(size, offset, source_size, strict=True):
        low, high = max(start, 0), min(start + length, limit)
        high = max(high, low)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    return (target[0], target[1]), (source[0], source[1])


def _trimmed(bitmap: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(bitmap.any(axis=0))
    if not len(used):
        return bitmap[:, :max(1, bitmap.shape[1] // 2)]
    return np.pad(bitmap[:, used[0]:used[-1] + 1], ((0, 0), (0, 1)))
