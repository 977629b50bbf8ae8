# SPDX-License-Identifier: Apache-2.0
"""The committed demo detector finds the objects in the committed pictures (functional back end)."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openkpu.devices.functional import FunctionalDevice
from openkpu.kmodel import KpuConv, load
from openkpu.runtime import Session

DEMO = Path(__file__).parent.parent / "examples" / "demo"
THRESHOLD, NMS = 0.5, 0.3
LEAST_PRECISION, LEAST_RECALL = 0.95, 0.8


@pytest.fixture(scope="module")
def model():
    return load(DEMO / "shapes.kmodel")


def test_every_convolution_runs_on_the_kpu(model):
    host = [layer.name for layer in model.layers if not isinstance(layer, KpuConv)]
    assert len(model.kpu_layers) >= 10
    assert {name.lower() for name in host} <= {"kpu_upload", "kpu_download", "dequantize", "binary"}, host


def test_is_what_the_compiler_makes_of_the_committed_network(tmp_path):
    pytest.importorskip("onnxruntime")
    subprocess.run([sys.executable, DEMO / "compile.py", "--folder", tmp_path], check=True, timeout=600)
    for name in ("shapes.kmodel", "shapes_v3.kmodel"):
        assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), f"run: python {DEMO / 'compile.py'}"


def test_takes_raw_pixels_and_gives_a_float_map(model):
    (image,), (head,) = model.inputs, model.outputs
    labels = (DEMO / "labels.txt").read_text().split()
    anchors = (DEMO / "anchors.txt").read_text().split(",")
    assert (np.dtype(image.tensor.dtype), tuple(image.tensor.shape)) == (np.uint8, (1, 3, 240, 320))
    channels = len(anchors) // 2 * (5 + len(labels))
    assert (np.dtype(head.tensor.dtype), tuple(head.tensor.shape)) == (np.float32, (1, channels, 15, 20))


def test_finds_the_objects_in_the_pictures(model, monkeypatch):
    monkeypatch.syspath_prepend(DEMO)
    evaluate, score = importlib.import_module("evaluate"), importlib.import_module("score")
    labels = (DEMO / "labels.txt").read_text().split()
    session = Session(model, FunctionalDevice())
    results, missed = [], []
    for name, objects in json.loads((DEMO / "pictures" / "truth.json").read_text()).items():
        pixels = np.asarray(Image.open(DEMO / "pictures" / name).convert("RGB")).transpose(2, 0, 1)[None]
        truth = [score.Box(labels.index(item["label"]), *item["box"]) for item in objects]
        output = session.run([pixels])[0][0]
        found = evaluate.detections(output, evaluate.read_anchors(), THRESHOLD, NMS)
        missed += [(name, t) for t in truth if not any(f.kind == t.kind and score.iou(f, t) >= 0.5 for f in found)]
        results.append((found, truth))
    total = score.score(results, None, THRESHOLD)
    assert len(results) >= 4 and total.objects >= 20
    assert total.precision >= LEAST_PRECISION, total
    assert total.recall >= LEAST_RECALL, f"missed: {missed}"
