# SPDX-License-Identifier: Apache-2.0
"""Measure the demo detector on pictures that it was not trained on; prints the tables of docs/demo-model.md.

    python examples/demo/evaluate.py                                  # OpenKPU's functional back end
    python examples/demo/evaluate.py --outputs build/demo/nncase_outputs.npy    # what simulate.py wrote

Needs nothing but OpenKPU itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from draw import HEIGHT, KINDS, WIDTH, Box, scene
from PIL import Image
from score import Found, Score, score

from openkpu.devices.functional import FunctionalDevice
from openkpu.draw import annotate
from openkpu.kmodel import load
from openkpu.runtime import Session
from openkpu.yolo2 import region_layer

HERE = Path(__file__).parent
FAINTEST = 0.02
"""Detections below this probability are not looked at, not even for the average precision."""


def read_anchors(path: Path = HERE / "anchors.txt") -> list[float]:
    return [float(number) for number in path.read_text().split(",")]


def detections(output: np.ndarray, anchors: list[float], threshold: float, nms: float) -> list[Found]:
    """What the region layer finds in float32 (channels, 15, 20); boxes are cut at the picture's edge like the truth."""
    boxes = region_layer(output, anchors, threshold, nms, (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    return [Found(b.class_id, b.x, b.y, min(WIDTH, b.x + b.w), min(HEIGHT, b.y + b.h), b.probability) for b in boxes]


def functional_outputs(kmodel: Path, count: int) -> Iterator[np.ndarray]:
    session = Session(load(kmodel), FunctionalDevice())
    for index in range(count):
        pixels = np.asarray(scene("heldout", index)[0]).transpose(2, 0, 1)[None]
        yield session.run([pixels])[0][0]


def table(pictures: list[tuple[list[Found], list[Box]]], threshold: float) -> str:
    """Markdown: one row per class and one for all."""
    lines = ["| class | objects | detections | correct | precision | recall | AP |", "|" + " --- |" * 7]

    def row(name: str, s: Score, precision: float) -> str:
        return (f"| {name} | {s.objects} | {s.detections} | {s.correct} | {s.precision:.3f} | {s.recall:.3f} "
                f"| {precision:.3f} |")

    scores = [score(pictures, kind, threshold) for kind in range(len(KINDS))]
    lines += [row(kind.name, s, s.average_precision) for kind, s in zip(KINDS, scores, strict=True)]
    mean = sum(s.average_precision for s in scores) / len(scores)
    lines.append(row("**all** (mean AP)", score(pictures, None, threshold), mean))
    return "\n".join(lines)


def sheet(pictures: list[list[Found]], columns: int = 4) -> Image.Image:
    """The first held-out pictures with what was found in them, side by side."""
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * WIDTH, rows * HEIGHT))
    for index, found in enumerate(pictures):
        boxes = [(f.x0, f.y0, f.x1, f.y1, f.kind, f"{KINDS[f.kind].name} {f.probability:.2f}") for f in found]
        place = (index % columns * WIDTH, index // columns * HEIGHT)
        whole.paste(annotate(scene("heldout", index)[0], boxes), place)
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kmodel", type=Path, default=HERE / "shapes.kmodel")
    parser.add_argument("--outputs", type=Path, help="another simulator's outputs for the same pictures (.npy)")
    parser.add_argument("--count", type=int, default=500, help="how many held-out pictures")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--nms", type=float, default=0.3)
    parser.add_argument("--sheet", type=Path, help="write a picture of the first twelve results")
    options = parser.parse_args()
    outputs = np.load(options.outputs) if options.outputs else functional_outputs(options.kmodel, options.count)
    anchors = read_anchors()
    pictures = [(detections(output, anchors, FAINTEST, options.nms), scene("heldout", index)[1])
                for index, output in enumerate(outputs)]
    print(f"{len(pictures)} pictures, IoU >= 0.5, probability > {options.threshold}, NMS {options.nms}\n")
    print(table(pictures, options.threshold))
    if options.sheet:
        shown = [[f for f in found if f.probability > options.threshold] for found, _ in pictures[:12]]
        sheet(shown).save(options.sheet)


if __name__ == "__main__":
    main()
