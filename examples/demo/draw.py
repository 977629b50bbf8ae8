# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures that the demo detector learns from: six kinds of objects on cluttered backgrounds.

Every picture is a pure function of (split, index): the held-out set can be drawn again anywhere, byte for byte with the
same Pillow and numpy, and never has to be stored.

    python draw.py heldout 5 6 11 28 30 38 --out pictures     # PNG pictures and truth.json
"""

from __future__ import annotations

import argparse
import colorsys
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 320, 240
SPLITS = {"train": 1, "calibration": 2, "validation": 3, "heldout": 4}
SUPERSAMPLE = 3
"""Sprites are drawn three times too large and scaled down: Pillow's shapes are not antialiased."""

SMALLEST, LARGEST = 36, 130
"""Longer side of an object before it is squeezed and turned, in pixels."""

VISIBLE_AT_LEAST = 0.6
"""An object of which less than this part can be seen is not placed: nobody could say what it is."""


@dataclass(frozen=True)
class Box:
    """One object: class index and corners in pixels, x1 and y1 exclusive."""

    kind: int
    x0: float
    y0: float
    x1: float
    y1: float

    def as_list(self) -> list[float]:
        return [self.kind, self.x0, self.y0, self.x1, self.y1]


Colour = tuple[int, int, int, int]


class Pen:
    """Draws on a square RGBA sprite in coordinates -1..1, y downwards."""

    def __init__(self, size: int) -> None:
        self.image = Image.new("RGBA", (size, size), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)
        self._half = size / 2

    def _map(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [((x + 1) * self._half, (y + 1) * self._half) for x, y in points]

    def polygon(self, points: list[tuple[float, float]], fill: Colour) -> None:
        self._draw.polygon(self._map(points), fill=fill)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, fill: Colour) -> None:
        self._draw.ellipse([c for p in self._map([(cx - rx, cy - ry), (cx + rx, cy + ry)]) for c in p], fill=fill)

    def ring(self, cx: float, cy: float, rx: float, ry: float, width: float, colour: Colour) -> None:
        corners = [c for p in self._map([(cx - rx, cy - ry), (cx + rx, cy + ry)]) for c in p]
        self._draw.ellipse(corners, outline=colour, width=max(1, round(width * self._half)))

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        self._draw.line(self._map(points), fill=colour, width=max(1, round(width * self._half)), joint="curve")


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Opaque colour; hue wraps at 1."""
    r, g, b = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return r, g, b, 255


def shade(colour: Colour, factor: float) -> Colour:
    r, g, b = (max(0, min(255, round(c * factor))) for c in colour[:3])
    return r, g, b, 255


def any_colour(rng: np.random.Generator) -> Colour:
    return hsv(rng.random(), rng.uniform(0.1, 1.0), rng.uniform(0.3, 1.0))


def apple(pen: Pen, rng: np.random.Generator) -> None:
    hue = rng.choice([rng.uniform(-0.04, 0.03), rng.uniform(0.2, 0.32), rng.uniform(0.1, 0.15)], p=[0.6, 0.25, 0.15])
    colour = hsv(hue, rng.uniform(0.7, 1.0), rng.uniform(0.6, 0.95))
    dip, waist = rng.uniform(0.2, 0.3), rng.uniform(0.05, 0.15)
    outline = []
    for k in range(72):
        a = 2 * math.pi * k / 72
        up = max(0.0, -math.sin(a))
        down = max(0.0, math.sin(a))
        r = 0.8 * (1 - dip * up**10 - waist * down**12) * (1 + 0.04 * math.cos(2 * a))
        outline.append((r * math.cos(a), 0.15 + r * math.sin(a)))
    pen.line([(0.0, -0.42), (0.05, -0.7), (rng.uniform(0.05, 0.2), -0.95)], 0.1, hsv(0.08, 0.7, rng.uniform(0.2, 0.4)))
    pen.polygon(outline, colour)
    pen.ellipse(0, -0.42, 0.2, 0.07, shade(colour, 0.55))
    pen.line([(0.0, -0.42), (0.05, -0.7)], 0.09, hsv(0.08, 0.7, 0.3))
    if rng.random() < 0.8:
        leaf = hsv(rng.uniform(0.25, 0.38), rng.uniform(0.6, 0.9), rng.uniform(0.4, 0.75))
        pen.polygon([(0.08, -0.68), (0.3, -0.95), (0.62, -0.93), (0.5, -0.7), (0.28, -0.6)], leaf)
    pen.ellipse(-0.35, -0.15, 0.13, 0.19, shade(colour, rng.uniform(1.2, 1.7)))


def mug(pen: Pen, rng: np.random.Generator) -> None:
    colour = any_colour(rng)
    taper, rim = rng.uniform(0.0, 0.12), rng.uniform(0.12, 0.22)
    pen.ring(0.42, 0.05, 0.5, 0.45, rng.uniform(0.14, 0.2), shade(colour, 0.85))
    left, right, top, bottom = -0.85, 0.45, -0.68, 0.75
    middle, half = (left + right) / 2, (right - left) / 2
    pen.ellipse(middle, bottom, half - taper, rim * 0.8, colour)
    pen.polygon([(left, top), (right, top), (right - taper, bottom), (left + taper, bottom)], colour)
    pen.polygon([(left, top), (left + 0.3, top), (left + 0.3 + taper, bottom), (left + taper, bottom)],
                shade(colour, 0.8))
    if rng.random() < 0.5:
        y, t = rng.uniform(-0.2, 0.4), rng.uniform(0.08, 0.2)
        pen.polygon([(left + 0.05, y), (right - 0.05, y), (right - 0.06, y + t), (left + 0.06, y + t)], any_colour(rng))
    pen.ellipse(middle, top, half, rim, shade(colour, 1.15))
    pen.ellipse(middle, top, half * 0.88, rim * 0.75, shade(colour, 0.45) if rng.random() < 0.5 else (60, 35, 20, 255))


def key(pen: Pen, rng: np.random.Generator) -> None:
    metal = hsv(*[(0.13, rng.uniform(0.5, 0.8)), (0.6, 0.08), (0.07, 0.6)][rng.integers(3)], rng.uniform(0.55, 0.95))
    bow, shaft = rng.uniform(0.3, 0.4), rng.uniform(0.11, 0.16)
    pen.line([(-0.3, 0), (0.92, 0)], shaft, metal)
    pen.line([(-0.3, -shaft / 4), (0.9, -shaft / 4)], shaft / 4, shade(metal, 1.25))
    x = 0.92
    for _ in range(rng.integers(2, 4)):
        width = rng.uniform(0.1, 0.16)
        pen.polygon([(x - width, 0), (x, 0), (x, rng.uniform(0.24, 0.4)), (x - width, rng.uniform(0.24, 0.4))], metal)
        x -= width + rng.uniform(0.06, 0.1)
    if rng.random() < 0.5:
        pen.ring(-0.6, 0, bow, bow * rng.uniform(0.85, 1.15), rng.uniform(0.13, 0.19), metal)
    else:
        pen.ellipse(-0.6, 0, bow, bow, metal)
        hole = bow * rng.uniform(0.35, 0.5)
        pen.ellipse(-0.68, 0, hole, hole, (0, 0, 0, 0))
    pen.line([(-0.22, -0.14), (-0.22, 0.14)], 0.08, shade(metal, 0.75))


def star(pen: Pen, rng: np.random.Generator) -> None:
    bright = hsv(rng.uniform(0.1, 0.17), rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.0))
    colour = bright if rng.random() < 0.6 else any_colour(rng)
    inner = rng.uniform(0.38, 0.5)

    def points(radius: float) -> list[tuple[float, float]]:
        corner = [(radius if k % 2 == 0 else radius * inner, math.pi * (k / 5 - 0.5)) for k in range(10)]
        return [(r * math.cos(a), r * math.sin(a)) for r, a in corner]

    pen.polygon(points(0.97), shade(colour, rng.uniform(0.4, 0.9)))
    pen.polygon(points(rng.uniform(0.75, 0.95)), colour)


PIPS = {1: [(0, 0)], 2: [(-1, -1), (1, 1)], 3: [(-1, -1), (0, 0), (1, 1)], 4: [(-1, -1), (1, -1), (-1, 1), (1, 1)],
        5: [(-1, -1), (1, -1), (-1, 1), (1, 1), (0, 0)],
        6: [(-1, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (1, 1)]}


def die(pen: Pen, rng: np.random.Generator) -> None:
    white = rng.random() < 0.5
    colour = (240, 238, 228, 255) if white else hsv(rng.random(), rng.uniform(0.6, 1.0), rng.uniform(0.5, 0.9))
    pip = (25, 25, 30, 255) if white else (245, 245, 245, 255)
    turn, tilt = rng.uniform(0.25, 0.75) * math.pi / 2, rng.uniform(0.35, 0.7)
    a = (0.62 * math.cos(turn), 0.62 * math.sin(turn) * tilt)
    b = (-0.62 * math.sin(turn), 0.62 * math.cos(turn) * tilt)
    c = (0.0, 0.62 * math.sqrt(1 - tilt * tilt) * 1.15)
    values = rng.permutation(6)[:3] + 1
    # Centre of each visible face and the two half edges that span it: top, then the two sides that face the viewer.
    low = (a[0] + b[0], a[1] + b[1])
    faces = [((0.0, -c[1]), a, b, 1.0), ((a[0], a[1]), b, c, 0.82), ((b[0], b[1]), a, c, 0.65)]
    reach = max(abs(low[1]) + c[1], abs(a[0]) + abs(b[0]))
    scale = 0.95 / reach
    for (centre, u, v, light), value in zip(faces, values, strict=True):
        def at(s: float, t: float, centre=centre, u=u, v=v) -> tuple[float, float]:
            return (scale * (centre[0] + s * u[0] + t * v[0]), scale * (centre[1] + s * u[1] + t * v[1]))

        pen.polygon([at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)], shade(colour, light))
        for s, t in PIPS[int(value)]:
            pen.polygon([at(0.5 * s + 0.19 * math.cos(k * math.pi / 6), 0.5 * t + 0.19 * math.sin(k * math.pi / 6))
                         for k in range(12)], shade(pip, light))


def cone(pen: Pen, rng: np.random.Generator) -> None:
    orange = hsv(rng.uniform(0.02, 0.08), rng.uniform(0.85, 1.0), rng.uniform(0.8, 1.0))
    base = shade(orange, 0.8) if rng.random() < 0.6 else (45, 45, 50, 255)
    half, tip = rng.uniform(0.4, 0.55), 0.09

    def x(y: float) -> float:
        return tip + (half - tip) * (y + 0.95) / 1.6

    pen.polygon([(-0.75, 0.78), (-0.6, 0.55), (0.6, 0.55), (0.75, 0.78), (0.75, 0.92), (-0.75, 0.92)], base)
    pen.polygon([(-tip, -0.95), (tip, -0.95), (half, 0.65), (-half, 0.65)], orange)
    pen.ellipse(0, 0.65, half, 0.1, orange)
    for top, bottom in [(-0.45, -0.15), (0.12, 0.38)][: rng.integers(1, 3)]:
        pen.polygon([(-x(top), top), (x(top), top), (x(bottom), bottom), (-x(bottom), bottom)], (240, 240, 240, 255))
    pen.ellipse(0, -0.95, tip, 0.03, shade(orange, 0.5))


@dataclass(frozen=True)
class Kind:
    """A kind of object: its painter and how far it turns from upright (radians each way)."""

    name: str
    paint: Callable[[Pen, np.random.Generator], None]
    turn: float


KINDS = [
    Kind("apple", apple, 0.6),
    Kind("mug", mug, 0.4),
    Kind("key", key, math.pi),
    Kind("star", star, math.pi),
    Kind("die", die, 0.5),
    Kind("cone", cone, 0.5),
]


def sprite(kind: Kind, size: float, rng: np.random.Generator) -> Image.Image:
    """RGBA picture of one object, cropped to what is opaque; `size` is about its longer side in pixels."""
    pen = Pen(max(24, round(size * SUPERSAMPLE)))
    kind.paint(pen, rng)
    image = pen.image
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = light(image, rng)
    side = image.width
    squeeze = rng.uniform(0.85, 1.15)
    shear = rng.uniform(-0.15, 0.15)
    angle = rng.uniform(-kind.turn, kind.turn)
    forward = (np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
               @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([squeeze, 1 / squeeze]))
    extent = np.abs(forward).sum(axis=1) * side
    width, height = (math.ceil(e) + 2 for e in extent)
    back = np.linalg.inv(forward)
    offset = np.array([side / 2, side / 2]) - back @ np.array([width / 2, height / 2])
    image = image.transform((width, height), Image.Transform.AFFINE,
                            (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1]),
                            Image.Resampling.BILINEAR)
    image = image.resize((max(1, width // SUPERSAMPLE), max(1, height // SUPERSAMPLE)), Image.Resampling.BOX)
    return image.crop(image.getchannel("A").point(lambda a: 255 * (a > 100)).getbbox())


def light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brighten one side of a sprite and darken the other."""
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.0, 0.45)
    axis = np.linspace(-1, 1, image.width, dtype=np.float32)
    gain = 1 + strength * (math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None])
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= gain[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGBA")


def smooth_noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Soft colour clouds, float32 (HEIGHT, WIDTH, 3) in 0..255."""
    coarse = rng.integers(0, 256, (max(2, cells * 3 // 4), cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)


def background(rng: np.random.Generator) -> Image.Image:
    """Clouds, planks, tiles or a wall, with pieces on it that look somewhat like the objects but are none of them."""
    base = np.array(any_colour(rng)[:3], np.float32)
    mix = rng.uniform(0.0, 0.8)
    ground = base * (1 - mix) + smooth_noise(rng, int(rng.integers(2, 12))) * mix
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    style = rng.integers(5)
    if style == 0:
        slope = x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)
        ground += rng.uniform(15, 60) * np.sin(slope / rng.uniform(2, 12))[..., None]
    elif style == 1:
        side = rng.uniform(10, 60)
        ground += rng.uniform(-60, 60) * (((x // side) + (y // side)) % 2)[..., None]
    elif style == 2:
        plank = rng.uniform(18, 60)
        ground *= (1 + 0.25 * np.sin(np.floor(y / plank) * 2.4) - 0.35 * ((y % plank) < 2))[..., None]
    elif style == 3:
        horizon = rng.uniform(60, 180)
        ground = np.where((y > horizon)[..., None], ground, np.array(any_colour(rng)[:3], np.float32))
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, 22)):
        clutter(draw, rng)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 1.6)))


def clutter(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    cx, cy, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(4, 55)
    fill, style = any_colour(rng)[:3], rng.integers(7)
    if style == 0:
        ry = r * rng.uniform(0.4, 1.0)
        draw.ellipse([cx - r, cy - ry, cx + r, cy + ry], fill=fill)
    elif style == 1:
        draw.rectangle([cx - r, cy - r * 0.6, cx + r, cy + r * 0.6], fill=fill)
    elif style == 2:
        angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 6)))
        draw.polygon([(cx + r * math.cos(a), cy + r * math.sin(a)) for a in angles], fill=fill)
    elif style == 3:
        ends = [cx, cy, cx + rng.uniform(-120, 120), cy + rng.uniform(-120, 120)]
        draw.line(ends, fill=fill, width=int(rng.integers(1, 8)))
    elif style == 4:
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], outline=fill, width=int(rng.integers(1, 8)))
    elif style == 5:
        draw.rectangle([cx - r, cy - r, cx + r, cy + r], outline=fill, width=int(rng.integers(1, 6)))
    else:
        for k in range(int(rng.integers(2, 7))):
            d = 0.5 + r / 12
            draw.ellipse([cx + 4 * k * d, cy, cx + 4 * k * d + 2 * d, cy + 2 * d], fill=fill)


def paste(scene: Image.Image, image: Image.Image, x: int, y: int, rng: np.random.Generator) -> None:
    if rng.random() < 0.6:
        shadow = image.getchannel("A").point(lambda a: a * 2 // 5)
        shift = int(rng.integers(1, 5))
        scene.paste((0, 0, 0), (x + shift, y + shift), shadow.filter(ImageFilter.GaussianBlur(1.5)))
    scene.paste(image, (x, y), image)


def occluder(size: int, rng: np.random.Generator) -> Image.Image:
    """A stick or a blob that hides a part of an object."""
    image = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        draw.line([rng.uniform(0, size), 0, rng.uniform(0, size), size], fill=any_colour(rng), width=max(2, size // 8))
    else:
        r = size * rng.uniform(0.12, 0.25)
        draw.ellipse([size / 2 - r, size / 2 - r, size / 2 + r, size / 2 + r], fill=any_colour(rng))
    return image


def scene(split: str, index: int) -> tuple[Image.Image, list[Box]]:
    """Picture `index` of a split: an RGB image of 320x240 and the boxes of its objects.

    A box is the extent of the whole object, cut at the picture's edge; what other things hide still counts.
    """
    rng = np.random.default_rng([SPLITS[split], index])
    image = background(rng)
    boxes: list[Box] = []
    taken = Image.new("L", image.size, 0)
    for _ in range(rng.integers(0, 6)):
        kind = int(rng.integers(len(KINDS)))
        item = sprite(KINDS[kind], SMALLEST * (LARGEST / SMALLEST) ** rng.random(), rng)
        x = int(rng.integers(-item.width // 4, WIDTH - 3 * item.width // 4))
        y = int(rng.integers(-item.height // 4, HEIGHT - 3 * item.height // 4))
        # Painted from front to back: each new object goes behind the earlier ones, so `taken` tells what is hidden.
        alpha = Image.new("L", image.size, 0)
        alpha.paste(item.getchannel("A"), (x, y))
        seen = ImageChops.subtract(alpha, taken)
        whole = np.asarray(item.getchannel("A"), np.float64).sum()
        if np.asarray(seen, np.float64).sum() < VISIBLE_AT_LEAST * whole:
            continue
        front, front_mask = image.copy(), taken
        paste(image, item, x, y, rng)
        image.paste(front, (0, 0), front_mask)
        taken = ImageChops.lighter(taken, alpha)
        boxes.append(Box(kind, max(0, x), max(0, y), min(WIDTH, x + item.width), min(HEIGHT, y + item.height)))
        if rng.random() < 0.15:
            cover = occluder(max(12, min(item.size)), rng)
            image.paste(cover, (x + (item.width - cover.width) // 2, y + (item.height - cover.height) // 2), cover)
    return camera(image, rng), boxes


def camera(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Exposure, colour cast, uneven light, blur and noise of a cheap camera."""
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.1)))
    pixels = np.asarray(image).astype(np.float32)
    across = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :, None] * rng.uniform(-0.25, 0.25)
    down = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None, None] * rng.uniform(-0.25, 0.25)
    pixels *= (rng.uniform(0.65, 1.25) * rng.uniform(0.88, 1.12, 3).astype(np.float32)) * (1 + across + down)
    pixels += rng.uniform(-15, 25)
    pixels += rng.normal(0, rng.uniform(0, 9), pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw pictures of a split, with their boxes in truth.json.")
    parser.add_argument("split", choices=sorted(SPLITS))
    parser.add_argument("index", type=int, nargs="+", help="numbers of the pictures")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    truth = {}
    for index in options.index:
        image, boxes = scene(options.split, index)
        name = f"{options.split}_{index:03d}.png"
        image.save(options.out / name, optimize=True)
        truth[name] = [{"label": KINDS[b.kind].name, "box": [int(v) for v in b.as_list()[1:]]} for b in boxes]
    (options.out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


if __name__ == "__main__":
    main()
