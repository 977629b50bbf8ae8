# SPDX-License-Identifier: Apache-2.0
"""Text in 8x12 cells: Pillow's bitmap font for Latin characters, a system font for all others."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

CELL_WIDTH, CELL_HEIGHT = 8, 12

_UNICODE_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf", "Arial Unicode.ttf", "msyh.ttc", "simsun.ttc",
)


@lru_cache(maxsize=1)
def _latin_font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    load = getattr(ImageFont, "load_default_imagefont", None)  # Pillow before 10.4 has only load_default
    return load() if load else ImageFont.load_default(size=None)


@lru_cache(maxsize=4)
def _unicode_font(size: int, path: str | None):
    for candidate in ((path,) if path else ()) + _UNICODE_FONTS:
        try:
            return ImageFont.truetype(candidate, size)
        except OSError:
            continue
    return None


@lru_cache(maxsize=512)
def glyph(character: str, wide: tuple[int, int] | None = None, font_path: str | None = None) -> np.ndarray:
    """Bitmap of one character, bool (rows, columns).

    ``wide`` is the (columns, rows) cell of characters that are not Latin, as ``image.font_load`` set it. A character
    no font has is drawn as a box.
    """
    latin = ord(character) < 256
    columns, rows = (CELL_WIDTH, CELL_HEIGHT) if latin or wide is None else wide
    canvas = PillowImage.new("L", (columns, rows), 0)
    draw = ImageDraw.Draw(canvas)
    if latin:
        draw.text((1, 0), character, fill=255, font=_latin_font())
    else:
        font = _unicode_font(min(columns, rows), font_path)
        if font is None:
            draw.rectangle((1, 1, columns - 2, rows - 2), outline=255)
        else:
            draw.text((columns // 2, rows // 2), character, fill=255, font=font, anchor="mm")
    return np.asarray(canvas) > 96


def usable_font(path: str | Path) -> bool:
    """Whether Pillow can draw with the font file."""
    try:
        ImageFont.truetype(str(path), CELL_HEIGHT)
    except OSError:
        return False
    return True
