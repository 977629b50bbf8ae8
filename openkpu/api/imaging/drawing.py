# SPDX-License-Identifier: Apache-2.0
"""Image methods that draw: shapes, text, other images (spec/driver-api.md section 3.2)."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from openkpu.api.imaging import font, pixels
from openkpu.api.imaging.picture import WHITE, Picture, overlap, picture_argument

loaded_font: dict = {"cell": None, "path": None}
"""What ``image.font_load`` chose: the cell (columns, rows) of characters that are not Latin, and a font file."""


class Drawing(Picture):
    """Mixed into ``Image``. Everything is clipped to the picture; every method returns it."""

    def draw_rectangle(self, *args, **keywords) -> Self:
        """``draw_rectangle(x, y, w, h, color=white, thickness=1, fill=False)``; the outline is x...x+w-1, y...y+h-1."""
        x, y, w, h, color, thickness, fill = _arguments(
            args, keywords, ("x", "y", "w", "h"), {"color": WHITE, "thickness": 1, "fill": False})
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

    def draw_line(self, *args, **keywords) -> Self:
        """``draw_line(x0, y0, x1, y1, color=white, thickness=1)``, both ends included."""
        x0, y0, x1, y1, color, thickness = _arguments(
            args, keywords, ("x0", "y0", "x1", "y1"), {"color": WHITE, "thickness": 1})
        return self._stroke(color, lambda draw: draw.line((x0, y0, x1, y1), fill=1, width=int(thickness)))

    def draw_circle(self, *args, **keywords) -> Self:
        """``draw_circle(x, y, radius, color=white, thickness=1, fill=False)``."""
        x, y, r, color, thickness, fill = _arguments(
            args, keywords, ("x", "y", "radius"), {"color": WHITE, "thickness": 1, "fill": False})
        if r < 0:
            return self
        return self._stroke(color, lambda draw: draw.ellipse((x - r, y - r, x + r, y + r), outline=1,
                                                             fill=1 if fill else None, width=int(thickness)))

    def draw_cross(self, *args, **keywords) -> Self:
        """``draw_cross(x, y, color=white, size=5, thickness=1)``: two strokes of 2*size+1 pixels."""
        x, y, color, size, thickness = _arguments(
            args, keywords, ("x", "y"), {"color": WHITE, "size": 5, "thickness": 1})
        self.draw_line(x - size, y, x + size, y, color, thickness)
        return self.draw_line(x, y - size, x, y + size, color, thickness)

    def draw_arrow(self, *args, **keywords) -> Self:
        """``draw_arrow(x0, y0, x1, y1, color=white, thickness=1)``: a line with a head of 10 pixels at the end."""
        x0, y0, x1, y1, color, thickness = _arguments(
            args, keywords, ("x0", "y0", "x1", "y1"), {"color": WHITE, "thickness": 1})
        self.draw_line(x0, y0, x1, y1, color, thickness)
        angle = math.atan2(y1 - y0, x1 - x0)
        for side in (math.pi * 5 / 6, -math.pi * 5 / 6):
            self.draw_line(x1, y1, round(x1 + 10 * math.cos(angle + side)), round(y1 + 10 * math.sin(angle + side)),
                           color, thickness)
        return self

    def draw_string(self, *args, **keywords) -> Self:
        """``draw_string(x, y, text, color=white, scale=1.0, x_spacing=0, y_spacing=2, mono_space=False)``.

        8x12 cells; a newline starts a new line at x.
        """
        x, y, text, color, scale, x_spacing, y_spacing, mono_space = _arguments(
            args, keywords, ("x", "y"), {"text": "", "color": WHITE, "scale": 1.0, "x_spacing": 0, "y_spacing": 2,
                                         "mono_space": False})
        value = self._color(color)
        left, line_height = x, font.CELL_HEIGHT
        for character in str(text):
            if character in "\r\n":
                if character == "\n":
                    left, y = x, y + int(line_height * scale) + int(y_spacing)
                    line_height = font.CELL_HEIGHT
                continue
            bitmap = font.glyph(character, loaded_font["cell"], loaded_font["path"])
            line_height = max(line_height, bitmap.shape[0])
            if not mono_space:
                bitmap = _trimmed(bitmap)
            height, width = (max(1, int(side * scale)) for side in bitmap.shape)
            self._stamp(pixels.nearest(bitmap, width, height), left, y, value)
            left += width + int(x_spacing)
        return self

    def draw_image(self, other, *args, **keywords) -> Self:
        """``draw_image(other, x, y, x_scale=1.0, y_scale=1.0, alpha=256, mask=None)``: nearest neighbour, clipped."""
        other = picture_argument(other, "draw_image")
        x, y, x_scale, y_scale, alpha, mask = _arguments(
            args, {"x": 0, "y": 0, **keywords} if not args else keywords, ("x", "y"),
            {"x_scale": 1.0, "y_scale": 1.0, "alpha": 256, "mask": None})
        width, height = int(other.width() * x_scale), int(other.height() * y_scale)
        if width < 1 or height < 1:
            return self
        values = pixels.nearest(self._converted(other), width, height)
        target, source = overlap(self.pixels.shape, (-y, -x), (height, width))
        values, below = values[source], self.pixels[target]
        if alpha < 256:
            values = self._blend(values, below, max(0, int(alpha)))
        if mask is not None:
            values = np.where(self._mask(mask, (height, width))[source], values, below)
        self.pixels[target] = values
        return self

    def _blend(self, over: np.ndarray, under: np.ndarray, alpha: int) -> np.ndarray:
        def mix(a, b):
            return (a.astype(np.int64) * alpha + b.astype(np.int64) * (256 - alpha)) >> 8

        if self._gray:
            return mix(over, under).astype(np.uint8)
        return pixels.join565(*(mix(a, b) for a, b in zip(pixels.split565(over), pixels.split565(under), strict=True)))

    def _fill(self, left: int, top: int, right: int, bottom: int, value: int) -> None:
        self.pixels[max(top, 0):max(bottom, 0), max(left, 0):max(right, 0)] = value

    def _stroke(self, color, draw_on) -> Self:
        canvas = PillowImage.new("1", (self.width(), self.height()))
        draw_on(ImageDraw.Draw(canvas))
        self.pixels[np.asarray(canvas)] = self._color(color)
        return self

    def _stamp(self, bitmap: np.ndarray, x: int, y: int, value: int) -> None:
        target, source = overlap(self.pixels.shape, (-y, -x), bitmap.shape)
        self.pixels[target][bitmap[source]] = value

    def draw_ellipse(self, *args, **keywords) -> Self:
        """``draw_ellipse(cx, cy, rx, ry, rotation=0, color=white, thickness=1, fill=False)``; rotation in degrees."""
        x, y, rx, ry, rotation, color, thickness, fill = _arguments(
            args, keywords, ("cx", "cy", "rx", "ry"), {"rotation": 0, "color": WHITE, "thickness": 1, "fill": False})
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

    def draw_keypoints(self, keypoints, color=WHITE, size=10, thickness=1, fill=False, **other) -> Self:
        """A circle and a line in its direction (degrees) for each (x, y[, direction])."""
        for x, y, *direction in keypoints:
            self.draw_circle(int(x), int(y), max(1, int(size) // 2), color, thickness, fill)
            if direction:
                turn = math.radians(direction[0])
                self.draw_line(int(x), int(y), int(x + size * math.cos(turn)), int(y + size * math.sin(turn)), color,
                               thickness)
        return self

    def draw_font(self, x, y, w, h, data, scale=1, color=WHITE, **other) -> Self:
        """A dot-matrix character: ``h`` rows of ``w`` bits, the highest bit of a byte on the left."""
        rows = np.frombuffer(bytes(data), np.uint8)[:(int(w) + 7) // 8 * int(h)].reshape(int(h), -1)
        bitmap = np.unpackbits(rows, axis=1)[:, :int(w)].astype(bool)
        self._stamp(pixels.nearest(bitmap, int(w * scale), int(h * scale)), int(x), int(y), self._color(color))
        return self


def _arguments(args: tuple, keywords: dict, position: tuple[str, ...], options: dict) -> list:
    """Position numbers, one tuple/list or separate, then options by place or name; unknown keywords are ignored."""
    if args and isinstance(args[0], (tuple, list)):
        args = (*args[0], *args[1:])
    names = (*position, *options)
    if len(args) > len(names):
        raise TypeError(f"too many arguments: at most {', '.join(names)}")
    values = {**options, **{name: keywords[name] for name in names if name in keywords},
              **dict(zip(names, args, strict=False))}
    missing = [name for name in position if name not in values]
    if missing:
        raise TypeError(f"missing {', '.join(missing)}: the call needs {', '.join(position)}")
    return [int(values[name]) for name in position] + [values[name] for name in options]


def _trimmed(bitmap: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(bitmap.any(axis=0))
    if not len(used):
        return bitmap[:, :max(1, bitmap.shape[1] // 2)]
    return np.pad(bitmap[:, used[0]:used[-1] + 1], ((0, 0), (0, 1)))
