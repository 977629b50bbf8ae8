# SPDX-License-Identifier: Apache-2.0
"""Image methods that change pixels: thresholds, morphology, smoothing, arithmetic, lens and perspective.

OpenCV does the work where it has the operation; a filter's ``size`` means a square of ``2 * size + 1`` pixels. Colour
images are filtered in 8 bits per channel and rounded back to RGB565.
"""

from __future__ import annotations

import math

import numpy as np

from openkpu.api.imaging import colour, pixels
from openkpu.api.imaging.opencv import opencv
from openkpu.api.imaging.picture import Picture


class Filters(Picture):
    """Mixed into ``Image``, whose ``pixels`` are uint8 gray values or uint16 RGB565 words."""

    def _channels(self) -> np.ndarray:
        return self.pixels if self.pixels.dtype == np.uint8 else pixels.rgb_from_565(self.pixels)

    def _put(self, values: np.ndarray, mask=None, copy: bool = False):
        values = values if values.ndim == 2 and self.pixels.dtype == values.dtype else (
            pixels.rgb_to_565(values) if values.ndim == 3 else values)
        if mask is not None:
            values = np.where(self._mask(mask, values.shape), values, self.pixels)
        return self._replace_pixels(values, copy)

    def _binary_put(self, inside: np.ndarray, mask=None, copy: bool = False):
        """White where ``inside``, black elsewhere, in this image's format."""
        white = np.array(0xFF if self.pixels.dtype == np.uint8 else 0xFFFF, self.pixels.dtype)
        return self._put(np.where(inside, white, np.array(0, self.pixels.dtype)), mask, copy)

    # --- thresholds and morphology --------------------------------------------------------------------------------

    def binary(self, thresholds, invert=False, zero=False, mask=None, to_bitmap=False, copy=False):
        """White where a threshold (gray, or LAB for colour) holds, black elsewhere; ``zero``: only blacken those."""
        inside = colour.any_within(self.pixels, thresholds, bool(invert))
        if zero:
            return self._put(np.where(inside, np.array(0, self.pixels.dtype), self.pixels), mask, bool(copy))
        return self._binary_put(inside, mask, bool(copy))

    def _morphology(self, name: str, size: int, threshold: int, erode: bool):
        cv = opencv(name)
        side = 2 * int(size) + 1
        on = (self.pixels != 0).astype(np.uint8)
        around = cv.boxFilter(on, cv.CV_32S, (side, side), normalize=False, borderType=cv.BORDER_REPLICATE)
        return (on != 0) & (around - 1 >= threshold) if erode else (on != 0) | (around > threshold)

    def erode(self, size=1, threshold=None, mask=None):
        """Blacken a pixel unless ``threshold`` (default: all) of its neighbours are set."""
        needed = (2 * int(size) + 1) ** 2 - 1 if threshold is None else int(threshold)
        return self._binary_put(self._morphology("erode", size, needed, True), mask)

    def dilate(self, size=1, threshold=0, mask=None):
        """Whiten a pixel if more than ``threshold`` of its neighbours are set."""
        return self._binary_put(self._morphology("dilate", size, int(threshold or 0), False), mask)

    def open(self, size=1, threshold=0, mask=None):
        """``erode``, then ``dilate``."""
        return self.erode(size, mask=mask).dilate(size, mask=mask)

    def close(self, size=1, threshold=0, mask=None):
        """``dilate``, then ``erode``."""
        return self.dilate(size, mask=mask).erode(size, mask=mask)

    def top_hat(self, size=1, threshold=0, mask=None):
        """Difference to the opened image."""
        return self.difference(self.copy().open(size), mask=mask)

    def black_hat(self, size=1, threshold=0, mask=None):
        """Difference to the closed image."""
        return self.difference(self.copy().close(size), mask=mask)

    # --- smoothing and edges --------------------------------------------------------------------------------------

    def _adaptive(self, filtered: np.ndarray, threshold, offset, invert, mask):
        if not threshold:
            return self._put(filtered, mask)
        before = self._channels().astype(np.int32)
        after = filtered.astype(np.int32)
        if before.ndim == 3:
            before, after = pixels.gray_from_rgb(before.astype(np.uint8)), pixels.gray_from_rgb(filtered)
        inside = before.astype(np.int32) > after.astype(np.int32) - int(offset)
        return self._binary_put(~inside if invert else inside, mask)

    def gaussian(self, size=1, unsharp=False, mul=None, add=0, threshold=False, offset=0, invert=False, mask=None):
        """Smooth with binomial weights; ``unsharp`` sharpens, ``threshold`` compares each pixel with the result."""
        cv = opencv("gaussian")
        side = 2 * int(size) + 1
        weights = np.array([math.comb(side - 1, i) for i in range(side)], np.float64)
        weights /= weights.sum()
        source = self._channels()
        smooth = cv.sepFilter2D(source, cv.CV_64F, weights, weights, borderType=cv.BORDER_REPLICATE)
        if unsharp:
            smooth = 2.0 * source - smooth
        smooth = smooth * (1 if mul is None else mul) + add
        return self._adaptive(_bytes(smooth), threshold, offset, invert, mask)

    blur = gaussian_blur = gaussian

    def mean(self, size=1, threshold=False, offset=0, invert=False, mask=None):
        """Box mean."""
        side = 2 * int(size) + 1
        filtered = opencv("mean").blur(self._channels(), (side, side))
        return self._adaptive(filtered, threshold, offset, invert, mask)

    def median(self, size=1, percentile=0.5, threshold=False, offset=0, invert=False, mask=None):
        """The value of the square below which the share ``percentile`` lies."""
        values = np.ascontiguousarray(self._channels())
        if percentile == 0.5:
            filtered = opencv("median").medianBlur(values, 2 * int(size) + 1)
        else:
            squares = _squares(values, int(size))
            rank = min(squares.shape[-1] - 1, max(0, int(percentile * squares.shape[-1])))
            filtered = np.partition(squares, rank, axis=-1)[..., rank]
        return self._adaptive(filtered, threshold, offset, invert, mask)

    def mode(self, size=1, threshold=False, offset=0, invert=False, mask=None):
        """The most frequent value of the square."""
        squares = _squares(self._channels(), int(size))
        best, most = squares[..., 0].copy(), np.zeros(squares.shape[:-1], np.int32)
        for i in range(squares.shape[-1]):
            count = (squares == squares[..., i:i + 1]).sum(axis=-1, dtype=np.int32)
            best = np.where(count > most, squares[..., i], best)
            most = np.maximum(most, count)
        return self._adaptive(best, threshold, offset, invert, mask)

    def midpoint(self, size=1, bias=0.5, threshold=False, offset=0, invert=False, mask=None):
        """Between the least (bias 0) and the largest (1) value of the square."""
        squares = _squares(self._channels(), int(size))
        filtered = squares.min(axis=-1) * (1 - float(bias)) + squares.max(axis=-1) * float(bias)
        return self._adaptive(_bytes(filtered), threshold, offset, invert, mask)

    def bilateral(self, size=1, color_sigma=0.1, space_sigma=1, threshold=False, offset=0, invert=False, mask=None):
        """Smooth within edges."""
        filtered = opencv("bilateral").bilateralFilter(np.ascontiguousarray(self._channels()), 2 * int(size) + 1,
                                                       255 * float(color_sigma), float(space_sigma) * (int(size) + 1))
        return self._adaptive(filtered, threshold, offset, invert, mask)

    def morph(self, size, kernel, mul=None, add=0, threshold=False, offset=0, invert=False, mask=None):
        """Convolve with ``(2 * size + 1)^2`` weights."""
        cv = opencv("morph")
        side = 2 * int(size) + 1
        if len(kernel) != side * side:
            raise ValueError(f"morph: a size of {size} needs {side * side} weights, not {len(kernel)}")
        weights = np.array(kernel, np.float64).reshape(side, side)
        scale = 1 / abs(weights.sum()) if mul is None and weights.sum() else mul or 1
        filtered = cv.filter2D(self._channels(), cv.CV_64F, weights * scale, borderType=cv.BORDER_REPLICATE) + add
        return self._adaptive(_bytes(filtered), threshold, offset, invert, mask)

    def laplacian(self, size=1, sharpen=False, mul=None, add=0, threshold=False, offset=0, invert=False, mask=None):
        """Second differences; ``sharpen`` adds them to the image."""
        side = 2 * int(size) + 1
        kernel = -np.ones((side, side))
        kernel[side // 2, side // 2] = side * side - 1 + bool(sharpen)
        return self.morph(size, kernel.ravel().tolist(), 1 if mul is None else mul, add, threshold, offset, invert,
                          mask)

    def find_edges(self, edge_type=0, threshold=(100, 200), **other):
        """White edges of a gray image (Canny), in place."""
        low, high = int(threshold[0]), int(threshold[1])
        return self._put(opencv("find_edges").Canny(self._require_gray("find_edges"), low, high))

    def histeq(self, adaptive=False, clip_limit=-1, mask=None):
        """Spread the gray values evenly."""
        cv = opencv("histeq")
        gray = self._require_gray("histeq")
        if adaptive:
            return self._put(cv.createCLAHE(max(1.0, float(clip_limit)), (8, 8)).apply(gray), mask)
        return self._put(cv.equalizeHist(gray), mask)

    def gamma_corr(self, gamma=1.0, contrast=1.0, brightness=0.0):
        """Gamma, contrast and brightness on values 0...1."""
        values = (self._channels() / 255.0) ** (1 / float(gamma)) * float(contrast) + float(brightness)
        return self._put(_bytes(values * 255))

    gamma = gamma_corr

    # --- smaller images -------------------------------------------------------------------------------------------

    def mean_pool(self, x_div, y_div):
        """Means of blocks of ``x_div`` x ``y_div`` pixels, in place."""
        self.pixels = self.mean_pooled(x_div, y_div).pixels
        self.pix_ai = None
        return self

    def mean_pooled(self, x_div, y_div):
        """Means of blocks of ``x_div`` x ``y_div`` pixels, as a new image."""
        return self._pooled(x_div, y_div, lambda blocks: blocks.sum(axis=(1, 3)) // (blocks.shape[1] * blocks.shape[3]))

    def midpoint_pool(self, x_div, y_div, bias=0.5):
        """Between least (bias 0) and largest (1) value of blocks, in place."""
        self.pixels = self.midpoint_pooled(x_div, y_div, bias).pixels
        self.pix_ai = None
        return self

    def midpoint_pooled(self, x_div, y_div, bias=0.5):
        """Between least (bias 0) and largest (1) value of blocks, as a new image."""
        return self._pooled(x_div, y_div, lambda blocks: blocks.min(axis=(1, 3)) * (1 - bias)
                            + blocks.max(axis=(1, 3)) * bias)

    def _pooled(self, x_div, y_div, reduce):
        x_div, y_div = int(x_div), int(y_div)
        values = self._channels().astype(np.int64)
        if x_div < 1 or y_div < 1 or x_div > values.shape[1] or y_div > values.shape[0]:
            raise ValueError(f"pooling by {x_div}x{y_div} does not suit an image of {values.shape[1]}x"
                             f"{values.shape[0]}")
        rows, columns = values.shape[0] // y_div, values.shape[1] // x_div
        blocks = values[:rows * y_div, :columns * x_div].reshape(rows, y_div, columns, x_div, *values.shape[2:])
        return self._put(_bytes(np.asarray(reduce(blocks))), copy=True)

    # --- two images -----------------------------------------------------------------------------------------------

    def _other(self, other) -> np.ndarray:
        """8-bit channels of an image, a colour or a file, as large as this image."""
        own = self._channels()
        if isinstance(other, str):
            other = type(self)(other)
        if not hasattr(other, "pixels"):
            word = np.full((1, 1), self._color(other), self.pixels.dtype)
            values = word if own.ndim == 2 else pixels.rgb_from_565(word)
            return np.broadcast_to(values, own.shape)
        values = self._converted(other)
        if values.shape != self.pixels.shape:
            raise ValueError(f"the images have {other.width()}x{other.height()} and {self.width()}x{self.height()} "
                             "pixels; both must be of one size")
        return values if own.ndim == 2 else pixels.rgb_from_565(values)

    def _combine(self, other, operation, mask):
        own, more = self._channels().astype(np.int64), self._other(other).astype(np.int64)
        return self._put(_bytes(operation(own, more)), mask)

    def add(self, other, mask=None):
        """Sum, at most 255."""
        return self._combine(other, np.add, mask)

    def sub(self, other, reverse=False, mask=None):
        """Difference, at least 0."""
        return self._combine(other, (lambda a, b: b - a) if reverse else np.subtract, mask)

    def mul(self, other, invert=False, mask=None):
        """Product of values 0...1."""
        return self._combine(other, lambda a, b: a * b // 255, mask)

    def min(self, other, mask=None):
        """The smaller value."""
        return self._combine(other, np.minimum, mask)

    def max(self, other, mask=None):
        """The larger value."""
        return self._combine(other, np.maximum, mask)

    def difference(self, other, mask=None):
        """Absolute difference."""
        return self._combine(other, lambda a, b: np.abs(a - b), mask)

    def blend(self, other, alpha=128, mask=None):
        """Mix, ``alpha`` 0...256 of the other image."""
        return self._combine(other, lambda a, b: (a * (256 - int(alpha)) + b * int(alpha)) >> 8, mask)

    def _bitwise(self, other, operation, mask):
        values = self._converted(other) if hasattr(other, "pixels") else np.array(self._color(other), self.pixels.dtype)
        return self._put(operation(self.pixels, values).astype(self.pixels.dtype), mask)

    def b_and(self, other, mask=None):
        """Bitwise and."""
        return self._bitwise(other, np.bitwise_and, mask)

    def b_or(self, other, mask=None):
        """Bitwise or."""
        return self._bitwise(other, np.bitwise_or, mask)

    def b_xor(self, other, mask=None):
        """Bitwise exclusive or."""
        return self._bitwise(other, np.bitwise_xor, mask)

    def b_nand(self, other, mask=None):
        """Bitwise not and."""
        return self._bitwise(other, lambda a, b: ~(a & b), mask)

    def b_nor(self, other, mask=None):
        """Bitwise not or."""
        return self._bitwise(other, lambda a, b: ~(a | b), mask)

    def b_xnor(self, other, mask=None):
        """Bitwise not exclusive or."""
        return self._bitwise(other, lambda a, b: ~(a ^ b), mask)

    # --- lens -----------------------------------------------------------------------------------------------------

    def lens_corr(self, strength=1.8, zoom=1.0, x_corr=0.0, y_corr=0.0):
        """Undo a fisheye lens, in place: nearest pixel along the radius, arc tangent by ``strength``."""
        height, width = self.pixels.shape
        y, x = np.mgrid[:height, :width].astype(np.float64)
        x, y = x - width / 2, y - height / 2
        radius = np.hypot(x, y) * strength / math.hypot(width, height)
        scale = np.where(radius == 0, 1.0, np.arctan(radius) / np.where(radius == 0, 1, radius)) / zoom
        rows = np.floor(height / 2 + y * scale).astype(int)
        columns = np.floor(width / 2 + x * scale).astype(int)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        values = self.pixels[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        return self._put(np.where(inside, values, np.array(0, self.pixels.dtype)))

    def flood_fill(self, x, y=None, seed_threshold=0.05, floating_threshold=0.05, color=-1, invert=False,
                   clear_background=False, mask=None):
        """Fill from a pixel over neighbours that differ from it by less than the thresholds (0...1 of the range)."""
        if isinstance(x, (tuple, list)):
            x, y = x
        cv = opencv("flood_fill")
        source = np.ascontiguousarray(self._channels())
        area = np.zeros((source.shape[0] + 2, source.shape[1] + 2), np.uint8)
        reach = (255 * max(float(seed_threshold), float(floating_threshold)),) * 3
        cv.floodFill(source, area, (int(x), int(y)), 0, reach, reach,
                     4 | (255 << 8) | cv.FLOODFILL_MASK_ONLY | cv.FLOODFILL_FIXED_RANGE)
        filled = area[1:-1, 1:-1] != 0
        if invert:
            filled = ~filled
        rest = np.array(0, self.pixels.dtype) if clear_background else self.pixels
        return self._put(np.where(filled, np.array(self._color(color), self.pixels.dtype), rest), mask)


def _squares(values: np.ndarray, size: int) -> np.ndarray:
    """The pixels of the square round each pixel, per channel, along a last axis; edges are repeated."""
    side = 2 * size + 1
    wide = np.pad(values, [(size, size)] * 2 + [(0, 0)] * (values.ndim - 2), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(0, 1))
    return windows.reshape(*values.shape, side * side)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5) if values.dtype.kind == "f" else values, 0, 255).astype(np.uint8)
