# SPDX-License-Identifier: Apache-2.0
"""Put the annotated pictures of ``make demo`` side by side.

Usage: python sheet.py FOLDER SHEET; FOLDER/*/annotated.png become one picture of three columns.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

COLUMNS = 3


def main(folder: str, sheet: str) -> None:
    """Write the sheet."""
    pictures = [Image.open(path).convert("RGB") for path in sorted(Path(folder).glob("*/annotated.png"))]
    width, height = pictures[0].size
    whole = Image.new("RGB", (COLUMNS * width, -(-len(pictures) // COLUMNS) * height))
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number % COLUMNS * width, number // COLUMNS * height))
    whole.save(sheet)


if __name__ == "__main__":
    main(*sys.argv[1:])
