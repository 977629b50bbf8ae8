# SPDX-License-Identifier: Apache-2.0
"""Pixel arithmetic: RGB565 words, gray values, resizing (spec/driver-api.md section 3.2).

An RGB565 word is stored as scripts see it: byte-swapped, so that its two bytes in memory are high byte first.
"""

from __future__ import annotations

import numpy as np

FIVE_TO_EIGHT = np.round(np.arange(32) * 255 / 31).astype(np.uint8)
SIX_TO_EIGHT = np.round(np.arange(64) * 255 / 63).astype(np.uint8)
EIGHT_TO_FIVE = np.round(np.arange(256) * 31 / 255).astype(np.uint16)
EIGHT_TO_SIX = np.round(np.arange(256) * 63 / 255).astype(np.uint16)


def split565(words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Byte-swapped RGB565 words (any shape, uint16) -> 5-, 6- and 5-bit channels (uint16)."""
    return (words >> 3) & 31, ((words & 7) << 3) | (words >> 13), (words >> 8) & 31


def join565(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """5-, 6- and 5-bit channels -> byte-swapped RGB565 words (uint16)."""
    red, green, blue = (np.asarray(c).astype(np.uint16) for c in (red, green, blue))
    return (red << 3) | (green >> 3) | ((green & 7) << 13) | (blue << 8)


def rgb_to_565(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 -> byte-swapped RGB565 words."""
    return join565(EIGHT_TO_FIVE[rgb[..., 0]], EIGHT_TO_SIX[rgb[..., 1]], EIGHT_TO_FIVE[rgb[..., 2]])


def rgb_from_565(words: np.ndarray) -> np.ndarray:
    """Byte-swapped RGB565 words -> (..., 3) uint8."""
    red, green, blue = split565(words)
    return np.stack([FIVE_TO_EIGHT[red], SIX_TO_EIGHT[green], FIVE_TO_EIGHT[blue]], axis=-1)


def gray_from_rgb(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 -> uint8, floor(0.299 R + 0.587 G + 0.114 B) in float64 (the full-table build's rule)."""
    red, green, blue = (rgb[..., i].astype(np.float64) for i in range(3))
    return np.floor(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)


def rainbow(gray: np.ndarray) -> np.ndarray:
    """uint8 -> (..., 3) uint8: blue (cold) over green to red (hot), full saturation."""
    hue = (255 - gray.astype(np.float64)) / 255 * 4
    channels = [np.clip(np.abs((hue + shift) % 6 - 3) - 1, 0, 1) for shift in (0, 4, 2)]
    return np.round(np.stack(channels, axis=-1) * 255).astype(np.uint8)


def nearest(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Nearest-neighbour resize: out(x, y) = in(floor(x * s_x), floor(y * s_y)), scales in float32."""
    rows, columns = pixels.shape[:2]
    return pixels[np.ix_(_source_index(height, rows), _source_index(width, columns))]


def _source_index(count: int, source: int) -> np.ndarray:
    step = np.float32(source) / np.float32(count)
    index = np.floor(np.arange(count, dtype=np.float32) * step).astype(np.int64)
    return np.minimum(index, source - 1)


def _bilinear_axis(count: int, source: int, clamp: bool):
    step = np.float32(source) / np.float32(count)
    position = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
    if clamp:
        position = np.maximum(position, np.float32(0))
    low = np.maximum(np.floor(position).astype(np.int64), 0)
    upper_weight = position - low.astype(np.float32)
    lower_weight = (low + 1).astype(np.float32) - position
    return low, lower_weight, upper_weight


def _bilinear(channel: np.ndarray, width: int, height: int, clamp: bool) -> np.ndarray:
    rows, columns = channel.shape
    x1, wx1, wx2 = _bilinear_axis(width, columns, clamp)
    y1, wy1, wy2 = _bilinear_axis(height, rows, clamp)
    x2, y2 = np.minimum(x1 + 1, columns - 1), np.minimum(y1 + 1, rows - 1)
    source = channel.astype(np.float32)
    top = source[np.ix_(y1, x1)] * wx1 + source[np.ix_(y1, x2)] * wx2
    bottom = source[np.ix_(y2, x1)] * wx1 + source[np.ix_(y2, x2)] * wx2
    return np.trunc(top * wy1[:, None] + bottom * wy2[:, None])


def resize565(words: np.ndarray, width: int, height: int, *, strict: bool = False) -> np.ndarray:
    """Resize an RGB565 picture (H, W) as the firmware does: nearest unless it grows in both directions.

    ``strict`` keeps the firmware's extrapolation at the left and top edge (clamped to the channel range).
    """
    rows, columns = words.shape
    if (columns, rows) == (width, height):
        return words.copy()
    if columns >= width or rows > height:
        return nearest(words, width, height)
    channels = [np.clip(_bilinear(channel, width, height, not strict), 0, top)
                for channel, top in zip(split565(words), (31, 63, 31), strict=True)]
    result = join565(*channels)
    x1 = _bilinear_axis(width, columns, not strict)[0]
    y1 = _bilinear_axis(height, rows, not strict)[0]
    edge = (x1[None, :] + 1 >= columns) | (y1[:, None] + 1 >= rows)
    return np.where(edge, words[np.ix_(y1, x1)], result)


def resize_gray(pixels: np.ndarray, width: int, height: int, *, strict: bool = False) -> np.ndarray:
    """Resize a gray picture (H, W uint8): bilinear if a side does not shrink, else the mean of the covered box.

    ``strict`` keeps the firmware's box columns, which are stepped with the vertical scale.
    """
    rows, columns = pixels.shape
    if width >= columns or height >= rows:
        return np.clip(_bilinear(pixels, width, height, not strict), 0, 255).astype(np.uint8)
    step_y = np.float32(rows) / np.float32(height)
    step_x = step_y if strict else np.float32(columns) / np.float32(width)
    top, bottom = _box_range(height, rows, step_y)
    left, right = _box_range(width, columns, step_x)
    sums = np.zeros((rows + 1, columns + 1), np.int64)
    sums[1:, 1:] = pixels.astype(np.int64).cumsum(0).cumsum(1)
    total = (sums[np.ix_(bottom + 1, right + 1)] - sums[np.ix_(top, right + 1)]
             - sums[np.ix_(bottom + 1, left)] + sums[np.ix_(top, left)])
    area = (bottom - top + 1)[:, None] * (right - left + 1)[None, :]
    return (total // area).astype(np.uint8)


def _box_range(count: int, source: int, step: np.float32) -> tuple[np.ndarray, np.ndarray]:
    edges = np.floor(np.arange(count + 1, dtype=np.float32) * step).astype(np.int64)
    edges = np.minimum(edges, source - 1)
    return edges[:-1], edges[1:]


def stretch(pixels: np.ndarray, low: int, high: int) -> np.ndarray:
    """``Image.stretch``: scale the interior's range onto low...high by an integer factor of at most 5."""
    interior = pixels[1:-1, 1:-1]
    if interior.size == 0:
        return pixels
    minimum, maximum = int(interior.min()), int(interior.max())
    if minimum == maximum:
        return pixels
    scale = min((high - low) // (maximum - minimum), 5)
    return ((pixels.astype(np.int64) - minimum) * scale + low).astype(np.uint8)


def stretch_character(pixels: np.ndarray, remove_dark_corners: bool) -> np.ndarray:
    """``Image.strech_char``: up to the mean becomes 0, the rest is spread to 255; optionally fades the corners."""
    rows, columns = pixels.shape
    values = pixels.astype(np.int64)
    mean = int(values.sum()) // columns // rows
    maximum = int(values.max())
    if maximum != mean:
        values = np.clip(np.trunc((values - mean) * 255 / (maximum - mean)), 0, 255).astype(np.int64)
    if remove_dark_corners:
        y, x = np.mgrid[:rows, :columns]
        r2 = ((x - columns // 2) ** 2 + (y - rows // 2) ** 2).astype(np.float64)
        values = np.trunc(values / (1 + 32 * r2 * r2 / columns / columns / rows / rows)).astype(np.int64)
    return values.astype(np.uint8)
