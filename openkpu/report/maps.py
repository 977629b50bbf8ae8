# SPDX-License-Identifier: Apache-2.0
"""Every layer's output as a small picture."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from ..draw import tiled
from ..kmodel import Layer
from ..runtime import LayerResult

CHANNELS = 64
WIDTH = 560  # pixels of a sheet of tiles at most


class MapKeeper:
    """Hook that keeps a picture of every layer's first output, and what values it holds.

    Attributes
    ----------
    maps : layer -> {"picture": data URI or "", "shown", "channels", "low", "high"}.
    """

    def __init__(self) -> None:
        self.maps: dict[int, dict[str, object]] = {}

    def layer_started(self, layer: Layer) -> None:
        pass

    def layer_done(self, result: LayerResult, output: np.ndarray) -> None:
        if result.index not in self.maps:  # of a batch the first
            self.maps[result.index] = summary(output)


def summary(output: np.ndarray) -> dict[str, object]:
    """A feature map as a picture of its first channels."""
    maps = planes(output) if output.size else np.zeros((0, 1, 1))
    shown = maps[:CHANNELS]
    finite = output[np.isfinite(output)] if output.dtype.kind == "f" else output
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return {"picture": picture(shown) if shown.size else "", "shown": len(shown), "channels": len(maps), "low": low,
            "high": high}


def planes(output: np.ndarray) -> np.ndarray:
    """The maps (count, H, W) of the first element of a batch; a vector is one map of one line."""
    squeezed = output[0] if output.ndim == 4 else output
    flat = squeezed if squeezed.ndim > 1 else np.atleast_2d(squeezed)
    return flat.reshape(-1, *flat.shape[-2:])


def picture(maps: np.ndarray) -> str:
    """Tiles as a data URI."""
    sheet = tiled(maps.astype(np.float64))  # brightness from the smallest value to the largest
    if sheet.width > WIDTH:
        sheet = sheet.resize((WIDTH, max(1, round(sheet.height * WIDTH / sheet.width))), Image.Resampling.BOX)
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
