# SPDX-License-Identifier: Apache-2.0
"""Pictures that the command line writes: boxes on a photograph, feature maps as tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#ffe119")
TILE_PIXELS = 64
GAP = 2


def annotate(picture: Image.Image, boxes: Sequence[tuple[float, float, float, float, int, str]]) -> Image.Image:
    """A copy of the RGB picture with boxes (left, top, right, bottom, class, text)."""
    out = picture.copy()
    draw = ImageDraw.Draw(out)
    line = max(2, round(min(out.size) / 200))
    font = ImageFont.load_default(size=max(11, min(out.size) / 28))
    for left, top, right, bottom, kind, text in boxes:
        colour = COLOURS[kind % len(COLOURS)]
        right, bottom = max(min(right, out.width - 1), left), max(min(bottom, out.height - 1), top)
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        frame = draw.textbbox((left, top), text, font=font, anchor="lb" if top > 24 else "lt")
        draw.rectangle(frame, fill=colour)
        draw.text(frame[:2], text, fill="black", font=font, anchor="lt")
    return out


def tiled(maps: np.ndarray) -> Image.Image:
    """Feature maps (..., H, W) as one grey picture, a tile per map, each value scaled from the smallest to the largest.

    uint8 maps keep their codes. Small maps are enlarged by whole factors.
    """
    maps = np.atleast_2d(maps)
    height, width = maps.shape[-2:]
    tiles = maps.reshape(-1, height, width)
    if tiles.dtype != np.uint8:
        finite = np.nan_to_num(tiles.astype(np.float64))
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        tiles = ((finite - low) * (255 / (high - low or 1))).astype(np.uint8)
    zoom = max(1, TILE_PIXELS // max(height, width))
    columns = int(np.ceil(np.sqrt(len(tiles) * height / width))) or 1
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    step_y, step_x = height * zoom + GAP, width * zoom + GAP
    sheet = np.full((rows * step_y + GAP, columns * step_x + GAP), 96, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = GAP + i // columns * step_y, GAP + i % columns * step_x
        sheet[y: y + height * zoom, x: x + width * zoom] = tile.repeat(zoom, 0).repeat(zoom, 1)
    return Image.fromarray(sheet)
