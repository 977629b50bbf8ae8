# SPDX-License-Identifier: Apache-2.0
"""Pictures in place of a camera: a file, a folder, a glob, a video, a callable or a synthetic scene."""

from __future__ import annotations

import glob
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFilter

from openkpu.api.board import paths
from openkpu.api.imaging import image
from openkpu.errors import InputError
from openkpu.files import read_file
from openkpu.pictures import MAX_FILE, decode, fitted

PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mpeg", ".webm"}
SYNTHETIC = "synthetic"


class Feed:
    """Endless or finite sequence of Pillow pictures.

    Parameters
    ----------
    source : None or "synthetic", a path, a glob pattern, or a callable ``source(frame) -> picture``.
        A callable gets the frame number from 0 and returns a Pillow picture, a (H, W) or (H, W, 3) uint8 array, an
        ``image.Image``, or None at its end.
    repeat : begin again at the end.

    Raises
    ------
    InputError
        The source does not exist, holds no picture, or needs a decoder that is not installed.
    """

    def __init__(self, source=None, *, repeat: bool = False):
        self.endless = source in (None, SYNTHETIC)
        self._repeat = repeat
        self._open = _opener(source)
        self._frames = self._open()

    def next(self) -> PillowImage.Image | None:
        """The next picture ("L" or "RGB"), or None at the end."""
        picture = next(self._frames, None)
        if picture is None and self._repeat:
            self._frames = self._open()
            picture = next(self._frames, None)
        return picture


def _opener(source) -> Callable[[], Iterator[PillowImage.Image]]:
    if source is None or source == SYNTHETIC:
        return _synthetic_scene
    if callable(source):
        return lambda: _called(source)
    text = str(paths.map_path(str(source)))
    path = Path(text)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
        if not files:
            raise InputError(f"the camera folder {source} holds no picture ({', '.join(sorted(PICTURES))})")
        return lambda: _decoded(files)
    if path.is_file():
        if path.suffix.lower() in VIDEOS:
            return lambda: _video(path)
        return lambda: _decoded([path])
    files = [Path(p) for p in sorted(glob.glob(text, recursive=True)) if Path(p).is_file()]
    if not files:
        raise InputError(f"the camera source {source} is neither a file, a folder nor a pattern that matches a file")
    return lambda: _decoded(files)


def _decoded(files: list[Path]) -> Iterator[PillowImage.Image]:
    for path in files:
        try:
            yield decode(read_file(path, MAX_FILE))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"camera picture {path} cannot be read: {reason}") from error


def _called(source) -> Iterator[PillowImage.Image]:
    frame = 0
    while (picture := source(frame)) is not None:
        yield as_picture(picture)
        frame += 1


def as_picture(value) -> PillowImage.Image:
    """Pillow picture in mode "L" or "RGB" from a picture, an ``image.Image`` or a uint8 array."""
    if isinstance(value, PillowImage.Image):
        return value if value.mode in ("L", "RGB") else value.convert("RGB")
    if isinstance(value, image.Image):
        value = value.pixels if value.format() == image.GRAYSCALE else value.to_rgb()
    array = np.asarray(value)
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] == 3):
        raise InputError(f"a camera frame must be a picture or a (H, W) or (H, W, 3) uint8 array, not "
                         f"{array.dtype} {array.shape}")
    return PillowImage.fromarray(array)


def _video(path: Path) -> Iterator[PillowImage.Image]:
    try:
        import av
    except ImportError:
        raise InputError(f"the video {path} needs a decoder: install it with `pip install av`, "
                         "or give a folder of pictures") from None
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_image().convert("RGB")
    except av.error.FFmpegError as error:
        raise InputError(f"the video {path} cannot be decoded: {error}") from error


def _synthetic_scene() -> Iterator[PillowImage.Image]:
    frame = 0
    while True:
        yield synthetic_frame(frame)
        frame += 1


def synthetic_frame(frame: int, width: int = 320, height: int = 240) -> PillowImage.Image:
    """Coloured shapes that wander over a lit table; the same frame number gives the same picture."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    light = 90 + 60 * np.sin(x / 97 + 0.3) * np.cos(y / 71) + 30 * y / height
    noise = np.random.default_rng(frame).normal(0, 4, (height, width))
    table = np.stack([light + noise, light * 0.95 + noise, light * 0.85 + noise], axis=-1)
    picture = PillowImage.fromarray(np.clip(table, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    places = random.Random(20)
    for kind in range(3):
        radius = places.randint(height // 10, height // 6)
        phase, speed = places.uniform(0, 2 * math.pi), places.uniform(0.05, 0.12)
        cx = width * (0.5 + 0.33 * math.cos(phase + speed * frame))
        cy = height * (0.5 + 0.28 * math.sin(phase * 2 + speed * frame * 1.3))
        color = [(200, 40, 40), (40, 160, 60), (50, 70, 200)][kind]
        if kind == 0:
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=color, outline=(20, 20, 20))
        else:
            draw.regular_polygon((cx, cy, radius), 3 + (kind == 2), rotation=frame * 3, fill=color,
                                 outline=(20, 20, 20))
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def fit(picture: PillowImage.Image, size: tuple[int, int], policy: str) -> PillowImage.Image:
    """Bring a picture to ``size`` (w, h): "stretch", "fit" (letter-box, black) or "crop". The exact size is kept."""
    return fitted(picture, size, policy)[0]
