# SPDX-License-Identifier: Apache-2.0
"""openkpu eval: figures that do not depend on where the work is done, and files that no interruption damages."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openkpu.cli.main import run_cli
from openkpu.errors import InputError
from openkpu.evaluate import extra
from openkpu.evaluate.dataset import Dataset, Sample, Truth, open_dataset
from openkpu.evaluate.frame import cuts
from openkpu.evaluate.metrics import boxes, measure, share
from openkpu.kmodel import load
from rtl import open_rtl

ROOT = Path(__file__).resolve().parents[1]
MNIST = Path(__file__).parent / "data" / "nncase_small" / "139_mini_mnist.kmodel"
DEMO = ROOT / "examples" / "demo"
BOXES = ["--yolo2", str(DEMO / "anchors.txt"), "--labels", str(DEMO / "labels.txt")]
NOT_FOR_NUMBERS = ("seconds",)


def digits(folder: Path, count: int, classes: int = 2) -> Path:
    """A folder per class with random pictures."""
    rng = np.random.default_rng(5)
    for i in range(count):
        (folder / f"{i % classes}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(folder / f"{i % classes}" / f"{i:04}.png")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    return sorted(({k: v for k, v in row.items() if k not in NOT_FOR_NUMBERS} for row in found),
                  key=lambda row: row["picture"])


def message(capsys) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("openkpu: "), lines
    return lines[0]


@contextmanager
def cluster():
    """The address of a Dask scheduler with two worker processes that know nothing of this one."""
    pytest.importorskip("distributed", reason="a cluster needs: pip install 'openkpu[eval]'")
    started = []

    def start(*command):
        process = subprocess.Popen([sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        return process

    try:
        scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = next(word for line in scheduler.stderr for word in line.split() if word.startswith("tcp://"))
        for _ in range(2):
            start("dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")
        yield address
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stderr.close()


def test_one_job_several_and_a_cluster_give_the_same_numbers(tmp_path):
    data = digits(tmp_path / "d", 24)
    figures = []
    with cluster() as address:
        for name, where in (("one", ["--jobs", "1"]), ("two", ["--jobs", "2"]), ("far", ["--cluster", address])):
            assert run_cli(["eval", str(MNIST), str(data), *where, "--results", str(tmp_path / f"{name}.csv"),
                            "--json", str(tmp_path / f"{name}.json")]) == 0
            figures.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert figures[0] == figures[1] == figures[2]
    assert rows(tmp_path / "one.csv") == rows(tmp_path / "two.csv") == rows(tmp_path / "far.csv")
    assert len(rows(tmp_path / "one.csv")) == 24


def test_demo_detector_finds_what_the_pictures_hold(tmp_path, capsys):
    pytest.importorskip("pycocotools", reason="boxes are judged by: pip install 'openkpu[eval]'")
    out = tmp_path / "f.json"
    assert run_cli(["eval", str(DEMO / "shapes.kmodel"), str(DEMO / "annotations.json"), *BOXES, "--jobs", "1",
                    "--limit", "3", "--results", str(tmp_path / "r.csv"), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())["figures"]
    assert figures["map50"] > 0.9 and 0.5 < figures["map"] < figures["map50"]
    assert "map50" in capsys.readouterr().out


def kill_and_resume(tmp_path, kills: int) -> None:
    data = digits(tmp_path / "d", 15 * kills)
    results = tmp_path / "r.csv"
    command = [sys.executable, "-m", "openkpu", "eval", str(MNIST), str(data), "--jobs", "1", "--results", str(results)]
    rng = random.Random(8)
    seen: set[str] = set()
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        wanted = len(seen) + rng.randrange(1, 15)
        end = time.monotonic() + 60
        while not results.exists() or results.read_bytes().count(b"\n") <= wanted:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.002)
        time.sleep(rng.random() * 0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kept = [line.split(b",")[1].decode() for line in results.read_bytes().split(b"\n")[1:-1]]
        assert len(kept) == len(set(kept)) and seen <= set(kept)
        seen = set(kept)
    assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=120).returncode == 0
    whole = tmp_path / "whole.csv"
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(whole)]) == 0
    assert rows(results) == rows(whole) and len(rows(whole)) == 15 * kills


def test_no_kill_loses_or_repeats_a_picture(tmp_path):
    kill_and_resume(tmp_path, 3)


@pytest.mark.slow
def test_twenty_kills_lose_and_repeat_no_picture(tmp_path):
    kill_and_resume(tmp_path, 20)


def test_a_row_that_was_cut_short_is_done_again(tmp_path):
    data, results = digits(tmp_path / "d", 4), tmp_path / "r.csv"
    command = ["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(results)]
    assert run_cli(command) == 0
    whole = rows(results)
    for size in (3, 60, results.stat().st_size - 5):
        results.write_bytes(results.read_bytes()[:size])
        assert run_cli(command) == 0
        assert rows(results) == whole


def test_poisoned_pictures_are_reported_and_skipped(tmp_path, capsys):
    data = digits(tmp_path / "d", 6)
    (data / "0" / "cut.png").write_bytes((data / "0" / "0000.png").read_bytes()[:200])
    (data / "1" / "text.jpg").write_text("no picture\n")
    (data / "1" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    np.save(data / "1" / "shape.npy", np.zeros((1, 1, 5, 5), np.float32))
    results = tmp_path / "r.csv"
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(results)]) == 0
    told = capsys.readouterr()
    bad = {row["picture"]: row["error"] for row in rows(results) if row["status"] == "error"}
    assert set(bad) == {"0/cut.png", "1/text.jpg", "1/shape.npy"}
    assert all(f"skipped: {name}: " in told.err for name in bad)
    assert "6 pictures, 3 skipped" in told.out
    (data / "1" / "text.jpg").write_bytes((data / "0" / "0000.png").read_bytes())
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(results), "--retry"]) == 0
    assert {row["picture"] for row in rows(results) if row["status"] == "error"} == {"0/cut.png", "1/shape.npy"}


def test_a_dataset_without_any_usable_picture_is_bad_input(tmp_path, capsys):
    (tmp_path / "d" / "0").mkdir(parents=True)
    (tmp_path / "d" / "0" / "a.png").write_text("no")
    assert run_cli(["eval", str(MNIST), str(tmp_path / "d"), "--jobs", "1", "--results", str(tmp_path / "r.csv")]) == 4
    assert "none of the 1 pictures could be used" in message(capsys)


DEADLY = """
import os, pathlib
HERE = pathlib.Path({folder!r})

def decode(outputs, size):
    picture = (HERE / f"{{outputs[0].ravel()[0]:.6f}}").read_text()
    if picture == "always":
        os.kill(os.getpid(), 9)
    if picture == "once" and not (HERE / "died").exists():
        (HERE / "died").touch()
        os.kill(os.getpid(), 9)
    return [(0, 0, 5, 5, 0, 0.5)]
"""


def test_workers_that_die_cost_no_other_picture(tmp_path):
    pytest.importorskip("distributed", reason="several jobs need: pip install 'openkpu[eval]'")
    from openkpu.devices.backends import open_device
    from openkpu.runtime import Session

    data = digits(tmp_path / "d", 10, classes=1) / "0"
    notes = tmp_path / "n"
    notes.mkdir()
    session = Session(load(MNIST), open_device("functional"))
    for i, path in enumerate(sorted(data.glob("*.png"))):
        path.with_suffix(".txt").write_text("0 0.5 0.5 0.5 0.5\n")
        pixels = np.asarray(Image.open(path))[None, None].astype(session.model.inputs[0].dtype)
        first = session.run([pixels.reshape(session.model.inputs[0].shape)])[0].ravel()[0]
        (notes / f"{first:.6f}").write_text({3: "always", 7: "once"}.get(i, "never"))
    (tmp_path / "deadly.py").write_text(DEADLY.format(folder=str(notes)))
    results = tmp_path / "r.csv"
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "2", "--results", str(results), "--metric", "map",
                    "--decode", str(tmp_path / "deadly.py")]) == 0
    states = {row["picture"]: row for row in rows(results)}
    assert (notes / "died").exists()
    assert len(states) == 10 and [n for n, r in states.items() if r["status"] != "ok"] == ["0003.png"]
    assert "died" in states["0003.png"]["error"]


def test_layers_of_a_picture_on_the_rtl_run_apart(tmp_path):
    open_rtl("tiny").close()
    data = digits(tmp_path / "d", 1, classes=1)
    command = ["eval", str(MNIST), str(data), "--jobs", "1"]
    assert run_cli([*command, "--results", str(tmp_path / "whole.csv")]) == 0
    assert run_cli([*command, "--results", str(tmp_path / "apart.csv"), "--backend", "rtl", "--config", "tiny",
                    "--pieces", "3"]) == 0
    whole, apart = rows(tmp_path / "whole.csv")[0], rows(tmp_path / "apart.csv")[0]
    assert int(apart.pop("cycles")) > 0 and whole.pop("cycles") == ""
    assert whole == apart


def test_pieces_hold_all_layers_and_about_the_same_work():
    model = load(DEMO / "shapes.kmodel")
    begins = cuts(model, 4)
    assert begins[0] == 0 and len(begins) == 4
    work = [sum(layer.descriptor.macs for layer in model.kpu_layers if a <= layer.index < b)
            for a, b in zip(begins, [*begins[1:], len(model.layers)], strict=True)]
    assert sum(work) == sum(layer.descriptor.macs for layer in model.kpu_layers)
    assert max(work) < 2 * sum(work) / 4
    assert cuts(model, 200) == sorted(set(cuts(model, 200)))


@pytest.mark.parametrize("text, reason", [
    ("important,data\n1,2\n", "holds no results"), ("", None)])
def test_files_of_others_are_not_touched(tmp_path, capsys, text, reason):
    results = tmp_path / "r.csv"
    results.write_text(text)
    data = digits(tmp_path / "d", 2)
    code = run_cli(["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(results), "--restart"])
    if reason:
        assert code == 2 and reason in message(capsys) and results.read_text() == text
    else:
        assert code == 0 and len(rows(results)) == 2


def test_results_of_another_job_are_refused_and_kept(tmp_path, capsys):
    data, results = digits(tmp_path / "d", 2), tmp_path / "r.csv"
    command = ["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(results)]
    assert run_cli(command) == 0
    kept = results.read_bytes()
    capsys.readouterr()
    assert run_cli([*command, "--fit", "crop"]) == 2
    assert "another model or other options" in message(capsys) and results.read_bytes() == kept
    assert run_cli([*command, "--fit", "crop", "--restart"]) == 0


def test_a_pipe_is_no_place_for_results(tmp_path, capsys):
    os.mkfifo(tmp_path / "p")
    data = digits(tmp_path / "d", 1)
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(tmp_path / "p")]) == 2
    assert "no regular file" in message(capsys)


@pytest.mark.parametrize("arguments, reason", [
    (["--metric", "map"], "--yolo2"), (["--metric", "sqnr"], "--reference"),
    (["--metric", "map", "--yolo2", "1,1"], "true boxes"),
    (["--decode", "nowhere.py", "--metric", "top1"], "cannot be read")])
def test_what_is_missing_is_said_before_anything_runs(tmp_path, capsys, arguments, reason):
    data = digits(tmp_path / "d", 1)
    assert run_cli(["eval", str(MNIST), str(data), *arguments, "--results", str(tmp_path / "r.csv")]) == 2
    assert reason in message(capsys) and not (tmp_path / "r.csv").exists()


def test_a_missing_library_is_one_sentence_with_the_command(tmp_path, capsys, monkeypatch):
    def absent(name):
        raise ImportError(name=name)

    monkeypatch.setattr(extra, "import_module", absent)
    data = digits(tmp_path / "d", 8)
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "2", "--results", str(tmp_path / "r.csv")]) == 2
    assert "pip install 'openkpu[eval]'" in message(capsys)


def test_parquet_has_the_rows_of_the_csv(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs: pip install 'openkpu[eval]'")
    data = digits(tmp_path / "d", 3)
    assert run_cli(["eval", str(MNIST), str(data), "--jobs", "1", "--results", str(tmp_path / "r.csv"), "--parquet",
                    str(tmp_path / "r.parquet")]) == 0
    found = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert [(r["picture"], r["crc32"]) for r in found] == [(r["picture"], r["crc32"]) for r in rows(tmp_path / "r.csv")]


def test_float_network_is_judged_beside_the_model(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the reference needs: pip install 'openkpu[compile,eval]'")
    rng = np.random.default_rng(2)
    weights = {"w": rng.normal(size=(3, 3, 3, 3)).astype(np.float32) / 5, "b": np.zeros(3, np.float32)}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4),
         onnx.helper.make_node("Relu", ["c"], ["r"]),
         onnx.helper.make_node("GlobalAveragePool", ["r"], ["y"])], "net",
        [onnx.helper.make_tensor_value_info("x", 1, [1, 3, 16, 16])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 3, 1, 1])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()])
    network = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), network)
    for i in range(4):
        (tmp_path / "d" / f"c{i % 3}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / "d" / f"c{i % 3}" / f"{i}.png")
    scale = ["--scale", str(1 / 255)]
    assert run_cli(["compile", str(network), "--calibrate", str(tmp_path / "d" / "c0"), *scale]) == 0
    out = tmp_path / "f.json"
    assert run_cli(["eval", str(tmp_path / "net.kmodel"), str(tmp_path / "d"), "--metric", "top1", "--metric", "sqnr",
                    "--reference", str(network), *scale, "--jobs", "1", "--results", str(tmp_path / "r.csv"), "--json",
                    str(out)]) == 0
    figures = json.loads(out.read_text())["figures"]
    assert figures["sqnr"][0] > 25 and figures["top1"] == figures["reference"]["top1"]
    assert run_cli(["eval", str(tmp_path / "net.kmodel"), str(tmp_path / "d"), "--metric", "sqnr", "--reference",
                    str(network), "--scale", "1", "--jobs", "1", "--results", str(tmp_path / "s.csv"), "--json",
                    str(out)]) == 0
    assert json.loads(out.read_text())["figures"]["sqnr"][0] < 5  # the network sees pictures 255 times as bright


def test_yolo_text_is_read_and_judged(tmp_path):
    pytest.importorskip("pycocotools", reason="boxes are judged by: pip install 'openkpu[eval]'")
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (100, 50)).save(tmp_path / "images" / "a.png")
    Image.new("RGB", (100, 50)).save(tmp_path / "images" / "empty.png")
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.2 0.4\n\n0 0.1 0.2 0.2 0.4\n")
    found = open_dataset(tmp_path, ["cat", "dog"])
    assert found.kind == "yolo" and [s.name for s in found.samples] == ["images/a.png", "images/empty.png"]
    row = {"status": "ok", "width": "100", "height": "50"}
    right = [[40, 15, 60, 35, 1, 0.9], [0, 0, 20, 20, 0, 0.8]]
    wrong = [[0, 0, 10, 10, 1, 0.95]]

    def judged(first, second):
        named = {"images/a.png": {**row, "boxes": json.dumps(first), "reference_boxes": ""},
                 "images/empty.png": {**row, "boxes": json.dumps(second), "reference_boxes": ""}}
        return measure(found, named, ["map"])

    assert judged(right, [])["map"] == pytest.approx(1)
    assert judged([], [])["map"] == 0
    assert judged(right, wrong)["classes"] == {"cat": pytest.approx(1), "dog": pytest.approx(0.5)}
    assert judged(right[:1], [])["classes"] == {"cat": 0, "dog": pytest.approx(1)}


def test_coco_crowds_count_neither_way():
    pytest.importorskip("pycocotools", reason="boxes are judged by: pip install 'openkpu[eval]'")
    truths = (Truth((0, 0, 10, 10), 0), Truth((50, 50, 40, 40), 0, crowd=True))
    sample = Sample("a", Path("a"), truths=truths)
    row = {"width": "100", "height": "100", "boxes": json.dumps([[0, 0, 10, 10, 0, 0.5], [60, 60, 70, 70, 0, 0.9]])}
    assert boxes(Dataset("coco", (sample,), ("thing",)), [(sample, row)], "boxes")["map"] == pytest.approx(1)


@pytest.mark.parametrize("text, reason", [
    ("1 0.5 0.5 0.2", "line 1"), ("0 0.5 0.5 0.2 0.4\na b c d e\n", "line 2"), ("0 0.5 0.5 1.2 0.4", "from 0 to 1"),
    ("-1 0.5 0.5 0.2 0.4", "line 1")])
def test_damaged_yolo_labels_are_named(tmp_path, text, reason):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=reason):
        open_dataset(tmp_path)


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"images": 3, "annotations": [], "categories": []}',
                                      '{"images": [], "annotations": [{"image_id": 1}], "categories": []}'])
def test_damaged_coco_files_are_named(tmp_path, document):
    (tmp_path / "c.json").write_text(document)
    with pytest.raises(InputError, match="c.json"):
        open_dataset(tmp_path / "c.json")


def test_classes_are_matched_by_name(tmp_path):
    data = digits(tmp_path / "d", 4)
    found = open_dataset(data, ["9", "1", "0"])
    assert {s.name[0]: s.label for s in found.samples} == {"0": 2, "1": 1}
    with pytest.raises(InputError, match="'0' is not among"):
        open_dataset(data, ["1"])
    pairs = [(s, {"best": json.dumps([1, 2])}) for s in found.samples]
    assert share(pairs, "best", 1) == 0.5 and share(pairs, "best", 2) == 1
