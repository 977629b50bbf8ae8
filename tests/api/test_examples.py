# SPDX-License-Identifier: Apache-2.0
"""The examples run on the demo detector and give sensible results."""

import importlib.util
import re

import numpy as np
import pytest
from PIL import Image as PillowImage

from openkpu.api.board.board import Board, use_board
from openkpu.api.canmv.plates import HEADS
from openkpu.cli.main import run_cli
from openkpu.kmodel import load

from .conftest import DEMO, REPO

EXAMPLES = REPO / "examples"
PICTURES = DEMO / "pictures"


@pytest.fixture
def example(tmp_path, capsys):
    """Function that runs an example; gives (stdout, summary, frames)."""
    def run(name, *options):
        capsys.readouterr()
        code = run_cli(["script", str(EXAMPLES / name), "--lcd", str(tmp_path / "lcd"), *map(str, options)])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        frames = [np.asarray(PillowImage.open(p)) for p in sorted((tmp_path / "lcd").glob("*.png"))]
        return captured.out, captured.err, frames

    yield run
    use_board(Board())


def test_the_v3_demo_model_holds_the_same_layers(demo_v3, demo_v5):
    v3, v5 = load(demo_v3).kpu_layers, load(demo_v5).kpu_layers
    assert len(v3) == len(v5)
    for a, b in zip(v3, v5, strict=True):
        assert a.descriptor == b.descriptor
        for table in ("weights", "batch_norm", "activation"):
            assert np.array_equal(getattr(a, table), getattr(b, table))


def test_face_find(example):
    out, err, frames = example("face_find.py", "--camera", PICTURES, "--frames", 2)
    assert len(frames) == 2 and int(re.search(r"detections: +(\d+)", err)[1]) >= 2
    assert any((frame == (0, 255, 0)).all(axis=2).any() for frame in frames) and "classid" in out


def test_feature_maps(example):
    _, _, frames = example("feature_maps.py", "--camera", PICTURES / "heldout_006.png", "--frames", 3)
    assert len({frame.tobytes() for frame in frames}) == 3 and all(np.ptp(f[:200]) > 100 for f in frames)


def test_twenty_classes(example):
    out, err, frames = example("twenty_classes.py", "--camera", PICTURES, "--frames", 2)
    labels = (DEMO / "labels.txt").read_text().split()
    assert len(frames) == 2 and any(label in out for label in labels) and "inferences:       3" in err


def test_classifier(example):
    out, _, frames = example("classifier.py", "--camera", PICTURES, "--frames", 1)
    best = re.findall(r"(\w+) +(0\.\d+|1\.0+)   ", out)
    assert len(best) == 3 and float(best[0][1]) >= float(best[1][1]) >= float(best[2][1]) and len(frames) == 1


def test_self_learning(example):
    out, _, _ = example("self_learning.py", "--camera", PICTURES, "--frames", 9, "--key", 0, "--key", 1, "--key", 2)
    assert out.splitlines()[-3:] == ["class 1 distance 0.0", "class 2 distance 0.0", "class 3 distance 0.0"]


def test_face_recognition(example):
    out, _, _ = example("face_recognition.py", "--camera", PICTURES / "heldout_005.png", "--frames", 2)
    lines = [line for line in out.splitlines() if line.startswith("no. ")]
    new = len(lines) // 2
    assert lines[:new] == [f"no. {i + 1} is new" for i in range(new)]
    assert lines[new:] == [f"no. {i + 1}: 100.0" for i in range(new)] and new >= 2


def test_licence_plate(example, tmp_path):
    spec = importlib.util.spec_from_file_location("fit_plates", DEMO / "fit_plates.py")
    fit_plates = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit_plates)
    rng = np.random.default_rng(3)
    features = rng.standard_normal((40, 16500)).astype(np.float32)
    indices = np.stack([rng.integers(0, n, 40) for n in HEADS], axis=1)
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "lp_weight.bin").write_bytes(fit_plates.fit(features, indices))
    fit_plates.draw_plate(rng)[0].save(tmp_path / "card" / "plate.png")
    out, _, frames = example("licence_plate.py", "--camera", tmp_path / "card" / "plate.png", "--sd", tmp_path / "card",
                             "--fs", EXAMPLES)
    assert re.search(r"^[A-Z]{2} [A-Z0-9]-[A-Z0-9]{5}$", out, re.M) and len(frames) == 1


def test_plate_weights_reproduce_what_they_were_fitted_on():
    from openkpu.api.canmv.plates import Plates

    spec = importlib.util.spec_from_file_location("fit_plates", DEMO / "fit_plates.py")
    fit_plates = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit_plates)
    rng = np.random.default_rng(4)
    features = rng.standard_normal((30, 7 * 200)).astype(np.float32)
    indices = np.stack([rng.integers(0, n, 30) for n in HEADS], axis=1)
    reader = Plates(fit_plates.fit(features, indices))
    read = [[int(np.argmax(t)) for t in reader.recognise(row)] for row in features]
    assert np.array_equal(read, indices)
