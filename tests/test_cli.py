# SPDX-License-Identifier: Apache-2.0
"""The command line: files it writes, tables it prints, exit codes of every kind of mistake."""

import io
import json
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openkpu.cli.main import SUMMARIES, cli, run_cli
from openkpu.devices.backends import open_device
from openkpu.errors import DeviceError, InputError, UsageError
from openkpu.inputs import prepare_inputs
from openkpu.kmodel import load

SMALL = Path(__file__).parent / "data" / "nncase_small"
MNIST = SMALL / "139_mini_mnist.kmodel"
RESIDUAL = SMALL / "131_resblock2.kmodel"


@pytest.fixture
def digit(tmp_path):
    """An input of the small MNIST network and what nncase's simulator gives for it."""
    data = np.load(SMALL / "139_mini_mnist.npz")
    np.save(tmp_path / "x.npy", data["x0"])
    return tmp_path / "x.npy", data["y0_0"]


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (40, 64, 3), np.uint8)).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def message(capsys) -> str:
    """The one sentence on standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("openkpu: "), lines
    return lines[0]


def test_run_writes_outputs_and_the_report(digit, tmp_path, capsys):
    source, expected = digit
    out, report = tmp_path / "res", tmp_path / "r.json"
    assert run_cli(["run", str(MNIST), str(source), "--out", str(out), "--json", str(report)]) == 0
    np.testing.assert_allclose(np.load(out / "out_0.npy"), expected, atol=2e-5 * np.abs(expected).max())
    facts = json.loads(report.read_text())
    assert list(facts) == ["model", "backend", "outputs", "layers", "totals"]
    assert facts["backend"] == "functional" and facts["model"] == str(MNIST)
    assert facts["outputs"] == [{"index": 0, "dtype": "float32", "shape": [1, 10], "file": str(out / "out_0.npy")}]
    for layer in facts["layers"]:
        assert list(layer) == ["index", "name", "where", "in_shape", "out_shape", "macs", "crc32", "seconds", "cycles"]
        assert layer["where"] in ("kpu", "host") and layer["cycles"] is None
        assert (layer["crc32"] is None) == (layer["where"] == "host")
    assert facts["totals"]["cycles"] is None
    assert facts["totals"]["macs"] == sum(layer["macs"] for layer in facts["layers"]) > 0
    assert "top 5" in capsys.readouterr().out


def test_top_classes_carry_their_labels(digit, tmp_path, capsys):
    source, expected = digit
    (tmp_path / "l.txt").write_text("\n".join(f"digit-{i}" for i in range(10)))
    assert run_cli(["run", str(MNIST), str(source), "--out", str(tmp_path), "--labels", str(tmp_path / "l.txt")]) == 0
    printed = capsys.readouterr().out
    assert f"digit-{expected.argmax()}" in printed


def test_dump_gives_the_map_whose_crc_the_report_has(picture, tmp_path, capsys):
    report = tmp_path / "r.json"
    assert run_cli(["run", str(RESIDUAL), str(picture), "--out", str(tmp_path), "--json", str(report)]) == 0
    kpu = [layer for layer in json.loads(report.read_text())["layers"] if layer["where"] == "kpu"]
    for layer in (kpu[0], kpu[-1]):
        index = layer["index"]
        assert run_cli(["dump", str(RESIDUAL), str(picture), "--layer", str(index), "--out", str(tmp_path)]) == 0
        array = np.load(tmp_path / f"layer_{index}.npy")
        assert array.dtype == np.uint8 and list(array.shape) == layer["out_shape"]
        assert zlib.crc32(array.tobytes()) == layer["crc32"]
        assert Image.open(tmp_path / f"layer_{index}.png").size > (1, 1)


def test_every_layer_can_be_dumped(picture, tmp_path):
    for index in range(len(load(RESIDUAL).layers)):
        assert run_cli(["dump", str(RESIDUAL), str(picture), "--layer", str(index), "--out", str(tmp_path)]) == 0
        assert (tmp_path / f"layer_{index}.npy").exists()


def test_info_describes_the_model(capsys):
    assert run_cli(["info", str(RESIDUAL), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["format"] == "kmodel v5"
    assert facts["inputs"][0]["dtype"] == "uint8" and facts["inputs"][0]["shape"] == [1, 3, 28, 28]
    assert facts["totals"]["macs"] == sum(layer["macs"] for layer in facts["layers"])
    assert facts["memory"]["fits"] and facts["memory"]["airam_fits"]
    assert run_cli(["info", str(RESIDUAL)]) == 0
    assert "AI RAM" in capsys.readouterr().out


def test_what_the_loader_warns_of_is_said_by_every_command(tmp_path, capsys):
    case = RESIDUAL.parent.parent / "nncase_cases" / "r00110"
    with np.load(case.with_suffix(".npz")) as arrays:
        np.save(tmp_path / "x.npy", arrays["x0"])
        expected = arrays["y0"]
    run = ["run", str(case.with_suffix(".kmodel")), str(tmp_path / "x.npy"), "--out", str(tmp_path)]
    assert run_cli(run) == 0
    assert "warning" in (said := capsys.readouterr().err) and "miscompiled: layer 1 reads" in said
    np.testing.assert_array_equal(np.load(tmp_path / "out_0.npy"), expected)
    assert run_cli([*run, "--strict-math"]) == 0 and "miscompiled" not in capsys.readouterr().err
    assert np.abs(np.load(tmp_path / "out_0.npy") - expected).max() > 0.1
    assert run_cli(["info", str(case.with_suffix(".kmodel"))]) == 0
    assert "miscompiled" in capsys.readouterr().err


def test_model_inside_a_package_needs_an_address_only_when_there_are_several(tmp_path, capsys):
    package = tmp_path / "two.kfpkg"
    entries = [{"address": 0x300000, "bin": "a.kmodel", "sha256Prefix": False},
               {"address": 0x500000, "bin": "b.kmodel", "sha256Prefix": False}]
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("flash-list.json", json.dumps({"version": "0.1.0", "files": entries}))
        archive.writestr("a.kmodel", MNIST.read_bytes())
        archive.writestr("b.kmodel", RESIDUAL.read_bytes())
    assert run_cli(["info", str(package), "--address", "0x500000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"][0]["shape"] == [1, 3, 28, 28]
    assert run_cli(["info", str(package)]) == 3
    assert "0x300000" in message(capsys)


@pytest.mark.parametrize("arguments, code", [
    ([], 2), (["--frobnicate"], 2), (["run", str(MNIST)], 2), (["info"], 2),
    (["info", "/does/not/exist.kmodel"], 3), (["info", __file__], 3),
    (["run", str(MNIST), "/does/not/exist.png"], 4), (["run", str(MNIST), "/does/not/exist.npy"], 4),
    (["run", str(MNIST), __file__], 4), (["run", str(MNIST), str(SMALL / "index.json"), "--fit", "wide"], 2),
    (["run", str(MNIST), "x.png", "y.png"], 4), (["run", str(MNIST), "x.png", "--backend", "abacus"], 2),
    (["run", str(MNIST), "x.png", "--yolo2", "1,2,3"], 2), (["run", str(MNIST), "x.png", "--yolo2", "1,2"], 4),
    (["run", str(MNIST), "x.png", "--yolo2", "1,nan"], 2), (["run", str(MNIST), "x.png", "--yolo2", "/none"], 2),
    (["run", str(MNIST), "x.png", "--labels", "/none"], 2), (["dump", str(MNIST), "x.png", "--layer", "99"], 2),
    (["dump", str(MNIST), "x.png", "--layer", "-1"], 2), (["info", str(MNIST), "--address", "nowhere"], 3),
])
def test_mistakes_end_in_the_documented_exit_code(arguments, code, capsys):
    assert run_cli(arguments) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("array", [np.zeros((1, 1, 28, 27), np.uint8), np.zeros((1, 1, 28, 28), np.float32)])
def test_wrong_array_is_refused_with_the_wanted_shape_and_type(array, tmp_path, capsys):
    np.save(tmp_path / "x.npy", array)
    assert run_cli(["run", str(MNIST), str(tmp_path / "x.npy"), "--out", str(tmp_path)]) == 4
    text = message(capsys)
    assert "28, 28]" in text or "uint8" in text


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04" + bytes(40), np.arange(9).tobytes(),
                                     b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, "
                                     b"'shape': (99999999999999,), }   \n"])
def test_damaged_array_is_refused(content, tmp_path, capsys):
    (tmp_path / "x.npy").write_bytes(content)
    assert run_cli(["run", str(MNIST), str(tmp_path / "x.npy"), "--out", str(tmp_path)]) == 4
    assert "x.npy" in message(capsys)


def test_debug_prints_the_trace(capsys):
    assert run_cli(["info", "/does/not/exist.kmodel", "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_device_failure_gives_exit_code_5(digit, tmp_path, capsys, monkeypatch):
    def hang(self, max_cycles):
        raise DeviceError("no interrupt")

    device = open_device("functional")
    monkeypatch.setattr(type(device), "wait_interrupt", hang)
    assert run_cli(["run", str(MNIST), str(digit[0]), "--out", str(tmp_path)]) == 5
    assert "layer" in message(capsys)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_ends_in_a_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "openkpu", "info", str(MNIST)], stdout=full, text=True,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5 and done.stderr.startswith("openkpu: cannot write") and "Traceback" not in done.stderr


def test_closed_pipe_ends_without_a_word():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "openkpu", "info", str(MNIST)], stdout=write, text=True,
                          stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_no_partial_file_remains_when_writing_fails(digit, tmp_path, capsys, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    assert run_cli(["run", str(MNIST), str(digit[0]), "--out", str(tmp_path / "o")]) == 5
    assert "No space left" in message(capsys)
    assert list((tmp_path / "o").iterdir()) == []


def test_unknown_back_end_is_named():
    with pytest.raises(UsageError, match="abacus.*functional"):
        open_device("abacus")


def test_demo_detector_finds_what_was_drawn(tmp_path, capsys):
    demo = Path(__file__).resolve().parents[1] / "examples" / "demo"
    (first, truth), *_ = json.loads((demo / "pictures" / "truth.json").read_text()).items()
    assert run_cli(["run", str(demo / "shapes.kmodel"), str(demo / "pictures" / first), "--out", str(tmp_path),
                    "--yolo2", str(demo / "anchors.txt"), "--labels", str(demo / "labels.txt")]) == 0
    printed = capsys.readouterr().out.partition(" boxes, in picture pixels")[2]
    found = [t["label"] in printed for t in truth]
    assert sum(found) >= len(found) / 2
    assert Image.open(tmp_path / "annotated.png").size == (320, 240)


@pytest.mark.parametrize("fit, corner, centre", [("stretch", 255, 255), ("fit", 0, 255), ("crop", 255, 255)])
def test_pictures_are_fitted_as_asked(tmp_path, fit, corner, centre):
    Image.new("RGB", (56, 14), "white").save(tmp_path / "wide.png")
    model = load(RESIDUAL)
    (prepared,) = prepare_inputs(model, (tmp_path / "wide.png",), fit)
    assert prepared.array.shape == (1, 3, 28, 28) and prepared.array.dtype == np.uint8
    assert (prepared.array[0, :, 0, 0] == corner).all() and (prepared.array[0, :, 14, 14] == centre).all()
    assert prepared.to_picture(14, 14) == pytest.approx((28, 7), abs=1)


def test_planes_are_red_green_blue(tmp_path):
    Image.new("RGB", (28, 28), (10, 20, 30)).save(tmp_path / "c.png")
    (prepared,) = prepare_inputs(load(RESIDUAL), (tmp_path / "c.png",), "stretch")
    assert prepared.array[0, :, 5, 5].tolist() == [10, 20, 30]


def test_truncated_picture_is_refused(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[:700])
    with pytest.raises(InputError, match="cut.jpg"):
        prepare_inputs(load(RESIDUAL), (tmp_path / "cut.jpg",), "stretch")


def test_help_imports_no_command_and_says_what_the_commands_say():
    done = subprocess.run([sys.executable, "-c", "import sys, openkpu.cli.main as m; m.run_cli(['--help'])\n"
                           "print([n for n in ('numpy', 'rich', 'PIL', 'openkpu.kmodel') if n in sys.modules])"],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    context = cli.make_context("openkpu", ["--help"], resilient_parsing=True)
    for name, summary in SUMMARIES.items():
        command = cli.get_command(context, name)
        assert command is not None and command.get_short_help_str(200) == summary
        assert any("--debug" in option.opts for option in command.params)
    assert cli.get_command(context, "nothing") is None
