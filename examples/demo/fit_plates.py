# SPDX-License-Identifier: Apache-2.0
"""Teach the demo network to read licence plates: draws plates and fits the seven heads of ``lp_recog``.

    python examples/demo/fit_plates.py out/plates

writes ``lp_weight.bin`` (the layout of spec/driver-api.md section 2.2.7) and a few plates it was not fitted on. The
network stays as it is: every head is a linear readout, by ridge regression, of its seventh of the network's output.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from openkpu.api.canmv.plates import HEADS, Plates
from openkpu.api.imaging.image import Image as DeviceImage
from openkpu.devices.backends import open_device
from openkpu.kmodel import load
from openkpu.runtime import Session

PROVINCES = ("AH", "SH", "TJ", "CQ", "HE", "SX", "NM", "LN", "JL", "HL", "JS", "ZJ", "BJ", "FJ", "JX", "SD", "HA", "HB",
             "HN", "GD", "GX", "HI", "SC", "GZ", "YN", "XZ", "SN", "GS", "QH", "NX", "XJ")
CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
WIDTH, HEIGHT = 320, 240
FITTED, HELD_OUT, PICTURES = 400, 60, 4
REGULARISATION = 0.02


def text_of(indices) -> list[str]:
    """The seven places of a plate: province, letter, five letters or digits."""
    return [PROVINCES[indices[0]], *(CHARACTERS[i] for i in indices[1:])]


def draw_plate(rng: np.random.Generator) -> tuple[Image.Image, list[int]]:
    """A plate that fills the picture, and the index of each of its characters."""
    indices = [int(rng.integers(n)) for n in HEADS]
    blue = tuple(int(v) for v in rng.normal((20, 50, 150), 4).clip(0, 255))
    picture = Image.new("RGB", (WIDTH, HEIGHT), blue)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((4, 8, WIDTH - 5, HEIGHT - 9), outline=(230, 230, 230), width=3)
    for place, text in enumerate(text_of(indices)):
        cell = Image.new("L", (60, 80), 0)
        font = ImageFont.load_default(size=34 if place == 0 else 58)
        ImageDraw.Draw(cell).text((30, 40), text, fill=255, font=font, anchor="mm")
        cell = cell.resize((60, 190), Image.Resampling.BILINEAR)
        x, y = (round(v + rng.normal(0, 0.4)) for v in (4 + place * 44.5 - 6, 25))
        picture.paste((235, 235, 235), (x, y), cell)
    noise = rng.normal(0, 3, (HEIGHT, WIDTH, 1))
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8)), float)
    return Image.fromarray(np.clip(blurred + noise, 0, 255).astype(np.uint8)), indices


def outputs(session: Session, pictures: list[Image.Image]) -> np.ndarray:
    """Output 0 of the network for each picture, float32 (pictures, numbers)."""
    rows = []
    for picture in pictures:
        image = DeviceImage.from_rgb(np.asarray(picture))
        image.pix_to_ai()
        rows.append(session.run([image.pix_ai[None]])[0].reshape(-1))
    return np.stack(rows)


def fit(features: np.ndarray, indices: np.ndarray) -> bytes:
    """Weights of the seven heads: for each W (n, L), then b (n), float32."""
    length = features.shape[1] // len(HEADS)
    parts = []
    for head, classes in enumerate(HEADS):
        x = features[:, head * length:(head + 1) * length].astype(np.float64)
        target = np.eye(classes)[indices[:, head]]
        mean_x, mean_y = x.mean(axis=0), target.mean(axis=0)
        x -= mean_x
        gram = x @ x.T
        gram.flat[::len(x) + 1] += REGULARISATION * np.trace(gram) / len(x)
        weights = (x.T @ np.linalg.solve(gram, target - mean_y)).T
        parts += [weights.astype("<f4").tobytes(), (mean_y - weights @ mean_x).astype("<f4").tobytes()]
    return b"".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    plates = [draw_plate(rng) for _ in range(FITTED + HELD_OUT)]
    device = open_device("functional")
    session = Session(load(Path(__file__).with_name("shapes_v3.kmodel")), device)
    features = outputs(session, [picture for picture, _ in plates])
    device.close()
    indices = np.array([found for _, found in plates])
    weights = fit(features[:FITTED], indices[:FITTED])
    (folder / "lp_weight.bin").write_bytes(weights)
    reader = Plates(weights)
    read = np.array([[int(np.argmax(t)) for t in reader.recognise(row)] for row in features[FITTED:]])
    right = read == indices[FITTED:]
    print(f"held-out plates: {right.mean():.1%} of the characters, {right.all(axis=1).mean():.0%} of the plates right")
    for number, (picture, found) in enumerate(plates[FITTED:FITTED + PICTURES]):
        picture.save(folder / f"plate_{number}.png")
        print(f"plate_{number}.png:", " ".join(text_of(found)))


if __name__ == "__main__":
    main()
