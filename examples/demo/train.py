# SPDX-License-Identifier: Apache-2.0
"""Train the demo detector on drawn pictures and write shapes.onnx, anchors.txt and labels.txt.

    python train.py --work build/demo      # about half an hour on one core; needs requirements-train.txt
    python train.py --work build/demo --start shapes.onnx --epochs 3 --rate 0.001     # go on from a trained network

The loss is YOLOv2's: each object is learnt by one anchor of the grid cell that holds its centre; the other anchors
learn to say "nothing", except those that already overlap the object well.
"""

from __future__ import annotations

import argparse
import math
import time
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import onnx
import torch
from draw import HEIGHT, KINDS, WIDTH, scene
from network import ANCHORS, CLASSES, GRID_HEIGHT, GRID_WIDTH, STRIDE, Detector, export_onnx
from torch.nn import functional

HERE = Path(__file__).parent
MOST_BOXES = 8
IGNORE_ABOVE = 0.6


def draw_one(task: tuple[str, int]) -> tuple[np.ndarray, np.ndarray]:
    image, boxes = scene(*task)
    rows = np.full((MOST_BOXES, 5), -1, np.float32)
    for row, box in zip(rows, boxes, strict=False):
        row[:] = box.as_list()
    return np.asarray(image).transpose(2, 0, 1), rows


def pictures(split: str, count: int, work: Path, processes: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, 3, 240, 320) and boxes float32 (count, MOST_BOXES, 5), class -1 where there is none; cached."""
    pixel_file, box_file = work / f"{split}_{count}_pixels.npy", work / f"{split}_{count}_boxes.npy"
    if not box_file.exists():
        pixels = np.lib.format.open_memmap(pixel_file, "w+", np.uint8, (count, 3, HEIGHT, WIDTH))
        boxes = np.empty((count, MOST_BOXES, 5), np.float32)
        with Pool(processes) as pool:
            tasks = [(split, index) for index in range(count)]
            for index, (pixels[index], boxes[index]) in enumerate(pool.imap(draw_one, tasks, chunksize=32)):
                if index % 1000 == 999:
                    print(f"{split}: {index + 1} of {count} pictures drawn", flush=True)
        pixels.flush()
        np.save(box_file, boxes)
    return np.load(pixel_file, mmap_mode="r"), np.load(box_file)


def choose_anchors(boxes: np.ndarray) -> np.ndarray:
    """k-means of box sizes with 1 - IoU as the distance; float32 (ANCHORS, 2) in grid cells, smallest first."""
    seen = boxes[boxes[..., 0] >= 0]
    sizes = (seen[:, 3:5] - seen[:, 1:3]) / STRIDE
    order = np.argsort(sizes.prod(axis=1))
    anchors = sizes[order[np.linspace(0, len(order) - 1, ANCHORS + 2).astype(int)[1:-1]]]
    for _ in range(100):
        nearest = size_iou(sizes, anchors).argmax(axis=1)
        anchors = np.stack([np.median(sizes[nearest == k], axis=0) for k in range(ANCHORS)])
    return anchors[np.argsort(anchors.prod(axis=1))].astype(np.float32)


def size_iou(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """IoU of boxes laid on one centre, (n, ANCHORS)."""
    common = np.minimum(sizes[:, None], anchors[None]).prod(axis=2)
    return common / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - common)


def corners_iou(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU of boxes (..., x0 y0 x1 y1), broadcast."""
    common = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - common
    iou = common / (union + 1e-6)
    return iou, iou - (hull - union) / (hull + 1e-6)


def loss(raw: torch.Tensor, boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """raw (N, ANCHORS * (5 + CLASSES), GH, GW), boxes (N, MOST_BOXES, 5) in pixels -> mean loss per picture."""
    count = raw.shape[0]
    raw = raw.view(count, ANCHORS, 5 + CLASSES, GRID_HEIGHT, GRID_WIDTH).permute(0, 1, 3, 4, 2)
    column = torch.arange(GRID_WIDTH, dtype=torch.float32)
    row = torch.arange(GRID_HEIGHT, dtype=torch.float32)[:, None]
    centre = torch.stack([raw[..., 0].sigmoid() + column, raw[..., 1].sigmoid() + row], -1)
    half = raw[..., 2:4].clamp(-6, 6).exp() * anchors[:, None, None] / 2
    found = torch.cat([centre - half, centre + half], -1)

    picture, slot = torch.nonzero(boxes[..., 0] >= 0, as_tuple=True)
    kind, truth = boxes[picture, slot, 0].long(), boxes[picture, slot, 1:] / STRIDE
    size, middle = truth[:, 2:] - truth[:, :2], (truth[:, 2:] + truth[:, :2]) / 2
    x, y = middle[:, 0].long().clamp(0, GRID_WIDTH - 1), middle[:, 1].long().clamp(0, GRID_HEIGHT - 1)
    anchor = torch.from_numpy(size_iou(size.numpy(), anchors.numpy()).argmax(axis=1))

    with torch.no_grad():
        quiet = torch.ones(raw.shape[:4])
        for n, box in zip(picture.tolist(), truth, strict=True):
            quiet[n][corners_iou(found[n], box)[0] > IGNORE_ABOVE] = 0
        quiet[picture, anchor, y, x] = 0
    mine, mine_found = raw[picture, anchor, y, x], found[picture, anchor, y, x]
    overlap = 1 - corners_iou(mine_found, truth)[1]
    place = (((mine_found[:, 2:] + mine_found[:, :2]) / 2 - middle) ** 2).sum(1)
    scale = (mine[:, 2:4] - torch.log(size / anchors[anchor])).square().sum(1)
    present = functional.binary_cross_entropy_with_logits(mine[:, 4], torch.ones_like(mine[:, 4]), reduction="sum")
    absent = (functional.softplus(raw[..., 4]) * quiet).sum()
    named = functional.cross_entropy(mine[:, 5:], kind, reduction="sum", label_smoothing=0.02)
    return (2 * overlap.sum() + place.sum() + 0.5 * scale.sum() + 2 * present + absent + named) / count


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first twentieth, then half a cosine down to 1/100 of the peak."""
    warm = steps / 20
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))


def augment(pixels: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror half of the batch and change its brightness and contrast; the drawing has done the rest.

    uint8 (N, 3, H, W) in 0..255 -> float32 in about 0..1; the boxes are mirrored with their pictures.
    """
    mirrored = torch.rand(len(pixels)) < 0.5
    pixels[mirrored] = pixels[mirrored].flip(3)
    boxes = boxes.clone()
    boxes[mirrored] = boxes[mirrored][..., [0, 3, 2, 1, 4]] * torch.tensor([1, -1, 1, -1, 1.0]) + torch.tensor(
        [0, WIDTH, 0, WIDTH, 0.0])
    boxes[..., 0] = torch.where(boxes[..., 2] < boxes[..., 4], boxes[..., 0], -1)
    gain, offset = 0.8 + 0.4 * torch.rand(len(pixels), 1, 1, 1), 0.1 * (torch.rand(len(pixels), 1, 1, 1) - 0.5)
    floats = pixels.to(torch.float32, memory_format=torch.channels_last)
    return floats.mul_(gain / 255).add_(offset).clamp_(0, 1), boxes


@torch.no_grad()
def start_from(model: Detector, path: Path, pixels: torch.Tensor) -> None:
    """Weights of an exported network; batch norms get the statistics of uint8 (N, 3, H, W) pixels."""
    graph = onnx.load(path).graph
    constants = {c.name: torch.from_numpy(onnx.numpy_helper.to_array(c).copy()) for c in graph.initializer}
    layers = [[constants[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    layers[0][0] *= 255
    maps = pixels.float() / 255
    model.eval()
    for block, (weight, bias) in zip(model.blocks, layers, strict=True):
        block.conv.weight.copy_(weight)
        if block.norm is None:
            block.conv.bias.copy_(bias)
            continue
        sums = block.conv(maps)
        if block.layer.pool:
            sums = functional.max_pool2d(sums, 2)
        norm, variance, mean = block.norm, *torch.var_mean(sums, (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)
        maps = block(maps)
    model.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/demo"), help="folder for drawn pictures, checkpoints")
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--resume", action="store_true", help="go on after the last finished epoch of --work")
    parser.add_argument("--start", type=Path, help="an exported network to begin with")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)

    pixels, boxes = pictures("train", options.pictures, options.work, processes=2)
    anchors = choose_anchors(boxes)
    (HERE / "anchors.txt").write_text(",".join(f"{v:.4f}" for v in anchors.ravel()) + "\n")
    (HERE / "labels.txt").write_text("".join(f"{kind.name}\n" for kind in KINDS))
    print("anchors", anchors.round(2).tolist(), flush=True)

    model = Detector().to(memory_format=torch.channels_last)
    with torch.no_grad():
        model.blocks[-1].conv.bias.view(ANCHORS, -1)[:, 4] = -4.0
    if options.start:
        start_from(model, options.start, torch.from_numpy(pixels[:32]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-3)
    per_epoch = options.pictures // options.batch
    done, checkpoint = 0, options.work / "checkpoint.pt"
    if options.resume:
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["epochs"]
    steps, step, start = options.epochs * per_epoch, done * per_epoch, time.monotonic()
    anchor_tensor = torch.from_numpy(anchors)
    for epoch in range(done, options.epochs):
        total = 0.0
        order = np.random.default_rng([epoch]).permutation(options.pictures)
        for first in range(0, per_epoch * options.batch, options.batch):
            chosen = np.sort(order[first:first + options.batch])
            batch, truth = augment(torch.from_numpy(pixels[chosen]), torch.from_numpy(boxes[chosen]))
            optimizer.param_groups[0]["lr"] = learning_rate(step, steps, options.rate)
            optimizer.zero_grad()
            value = loss(model(batch), truth, anchor_tensor)
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 20.0)
            optimizer.step()
            for block in model.blocks:
                block.keep_gain_positive()
            total, step = total + value.item(), step + 1
        print(f"epoch {epoch + 1}: loss {total / per_epoch:.3f}, {(time.monotonic() - start) / 60:.1f} min", flush=True)
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epoch + 1}, checkpoint)
        export_onnx(model.eval(), options.work / "shapes.onnx")
        model.train()


if __name__ == "__main__":
    main()
