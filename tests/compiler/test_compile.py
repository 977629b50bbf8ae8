# SPDX-License-Identifier: Apache-2.0
"""Whole compilations: the file's result is the program's, near the float network."""

import json
import os
import re
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from networks import Net, pictures

from openkpu.compiler import CompileError, Options, Preprocess, compile_network
from openkpu.compiler.oracle import run_program
from openkpu.devices.functional import FunctionalDevice
from openkpu.errors import InputError
from openkpu.kmodel import load
from openkpu.runtime import Session
from rtl import open_rtl

IMAGENET = Preprocess(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def small(opset: int = 13) -> tuple[Net, str]:
    net = Net((1, 3, 24, 32))
    y = net.node("Relu", net.conv("x", 3, 8, pads=[1] * 4, strides=[2, 2]))
    y = net.node("Relu", net.conv(y, 8, 8, groups=8, pads=[1] * 4))
    z = net.conv(y, 8, 16, 1)
    z = net.node("Mul", z, net.node("Sigmoid", z))
    z = net.node("Add", net.conv(z, 16, 8, 1), y)
    return net, net.conv(z, 8, 5, 1)


@pytest.mark.parametrize("version", ["v3", "v4", "v5"])
@pytest.mark.parametrize("weights", [8, 16])
def test_a_file_computes_what_the_program_says(tmp_path, version, weights):
    net, y = small()
    if (version, weights) not in (("v3", 8), ("v3", 16), ("v4", 8), ("v5", 8)):
        with pytest.raises(CompileError, match="16"):
            compile_network(net.save(tmp_path, y), pictures(net.shape),
                            Options(IMAGENET, format=version, weights=weights))
        return
    result = compile_network(net.save(tmp_path, y), pictures(net.shape),
                             Options(IMAGENET, format=version, weights=weights))
    assert min(result.sqnr) > 28
    session = Session(result.compiled.model, FunctionalDevice())
    for picture in pictures(net.shape, 2, seed=9):
        (got,) = session.run([picture])
        (want,) = run_program(result.program, [picture])
        # v3 dequantizes by code * scale + bias, so its floats are rounded elsewhere.
        np.testing.assert_allclose(np.asarray(got).ravel(), want.ravel(), rtol=0, atol=1e-6)


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    net, y = small()
    path = net.save(tmp_path, y)
    first, second = (compile_network(path, pictures(net.shape), Options(IMAGENET)).compiled.data for _ in range(2))
    assert first == second


def written_elsewhere(path, hash_seed: str, threads: str, name: str) -> bytes:
    """What the command writes in a process of its own."""
    target = path.with_name(name)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed} | dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), threads)
    subprocess.run([sys.executable, "-m", "openkpu", "compile", path, "--calibrate", path.with_name("pictures.npy"),
                    "-o", target], check=True, timeout=300, env=environment, capture_output=True)
    return target.read_bytes()


def test_neither_hashes_nor_threads_change_a_byte(tmp_path):
    net, y = small()
    path = net.save(tmp_path, y)
    np.save(tmp_path / "pictures.npy", np.concatenate(pictures(net.shape)))
    assert written_elsewhere(path, "1", "1", "a") == written_elsewhere(path, "2", "2", "b")


@pytest.mark.parametrize("release", ["1.8-1.9", "1.6-1.7.0", "1.3"])
def test_v5_files_for_older_runtimes(tmp_path, release):
    net, y = small()
    path = net.save(tmp_path, y)
    last, given = (compile_network(path, pictures(net.shape), Options(IMAGENET, format="v5", release=r)).compiled
                   for r in ("", release))
    (picture,) = pictures(net.shape, 1, seed=9)
    for a, b in zip(*(Session(c.model, FunctionalDevice()).run([picture]) for c in (last, given)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert load(given.data, release=release).layers
    with pytest.raises(CompileError, match="release"):
        compile_network(path, pictures(net.shape), Options(IMAGENET, format="v4", release=release))


@pytest.mark.rtl
@pytest.mark.parametrize("version", ["v3", "v4", "v5"])
def test_the_rtl_gives_the_same_bytes(tmp_path, version):
    """A network with moved rows, strides, depthwise layers, an addition and a curved function."""
    net = Net((1, 3, 24, 40))
    y = net.node("Relu", net.conv("x", 3, 8, pads=[1] * 4))
    y = net.node("Relu", net.conv(y, 8, 8, dilations=[3, 3], pads=[3] * 4))
    z = net.node("Relu", net.conv(y, 8, 8, groups=8, pads=[1] * 4))
    z = net.node("Sigmoid", net.node("Add", net.conv(z, 8, 8, 1), y))
    path = net.save(tmp_path, net.conv(z, 8, 5, strides=[2, 2], pads=[1] * 4))
    model = compile_network(path, pictures(net.shape), Options(IMAGENET, format=version)).compiled.model
    (picture,) = pictures(net.shape, 1, seed=9)
    (want,) = Session(model, FunctionalDevice()).run([picture])
    with closing(open_rtl()) as device:
        (got,) = Session(model, device).run([picture])
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("options", [Options(input="float32"), Options(layout="NHWC"),
                                     Options(Preprocess(mean=(127.0,), std=(128.0,), bgr=True))])
def test_inputs_of_every_kind(tmp_path, options):
    net, y = small()
    data = pictures(net.shape) if options.input == "uint8" else \
        [p.astype(np.float32) / 128 - 1 for p in pictures(net.shape)]
    result = compile_network(net.save(tmp_path, y), data, options)
    assert min(result.sqnr) > 28
    (spec,) = result.compiled.model.inputs
    assert spec.shape == ((1, 24, 32, 3) if options.layout == "NHWC" else (1, 3, 24, 32))
    assert spec.dtype == np.dtype(options.input)


def test_bad_input_gets_one_sentence(tmp_path):
    net, y = small()
    path = net.save(tmp_path, y)
    with pytest.raises(InputError, match="--calibrate"):
        compile_network(path, [])
    (tmp_path / "broken.onnx").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CompileError, match=r"broken\.onnx"):
        compile_network(tmp_path / "broken.onnx", pictures(net.shape))
    with pytest.raises(CompileError, match="--outputs"):
        compile_network(path, pictures(net.shape), Options(outputs=("nothing",)))
    other = Net((1, 3, 24, 32))
    w = np.full((4, 3, 3, 3), np.nan, np.float32)
    bad = other.node("Conv", "x", other.constant(w))
    with pytest.raises(CompileError, match="NaN"):
        compile_network(other.save(tmp_path, bad), pictures(net.shape))
    strange = Net((1, 3, 24, 32))
    with pytest.raises(CompileError, match="CumSum"):
        compile_network(strange.save(tmp_path, strange.node("CumSum", strange.conv("x", 3, 4),
                                                            strange.constant(np.array(1, np.int64)))),
                        pictures(net.shape))


def test_the_command_writes_a_file_and_tells_about_every_layer(tmp_path):
    net, y = small()
    path = net.save(tmp_path, y)
    np.save(tmp_path / "pictures.npy", np.concatenate(pictures(net.shape)))
    target, report = tmp_path / "out.kmodel", tmp_path / "report.json"
    done = subprocess.run([sys.executable, "-m", "openkpu", "compile", str(path), "--calibrate",
                           str(tmp_path / "pictures.npy"), "-o", str(target), "--report", str(report), "--scale",
                           "0.004", "--mean", "0.5", "--std", "0.25"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes()[:4] == b"LDMK"
    facts = json.loads(report.read_text())
    assert len(facts["layers"]) == facts["totals"]["kpu_layers"] + facts["totals"]["host_steps"]
    assert facts["outputs"][0]["sqnr"] > 25


def dynamic(folder) -> str:
    net = Net((1, 3, "height", "width"))
    net.save(folder, net.conv("x", 3, 4))
    return "fixed"


def damaged(folder) -> str:
    net, y = small()
    path = net.save(folder, y)
    path.write_bytes(path.read_bytes()[:2000])
    return "net.onnx"


def not_a_number(folder) -> str:
    net = Net((1, 3, 24, 32))
    net.save(folder, net.node("Conv", "x", net.constant(np.full((4, 3, 3, 3), np.nan, np.float32))))
    return "NaN"


def unknown_operator(folder) -> str:
    net = Net((1, 3, 24, 32))
    net.save(folder, net.node("CumSum", net.conv("x", 3, 4), net.constant(np.array(1, np.int64))))
    return "CumSum"


def too_large(folder) -> str:
    net = Net((1, 3, 24, 32))
    y = net.conv(net.node("Resize", net.conv("x", 3, 60), "", net.constant(np.array([1, 1, 16, 16], np.float32)),
                          mode="nearest"), 60, 4, 1)
    net.save(folder, y)
    return "smaller|narrower"


def no_pictures(folder) -> str:
    net, y = small()
    net.save(folder, y)
    return "--calibrate"


def no_such_output(folder) -> str:
    net, y = small()
    net.save(folder, y)
    return "none"


@pytest.mark.parametrize(("case", "arguments", "code"), [
    (dynamic, [], 3), (damaged, [], 3), (not_a_number, [], 3), (unknown_operator, [], 3), (too_large, [], 3),
    (no_pictures, None, 4), (no_such_output, ["--outputs", "none"], 3)])
def test_a_refusal_is_one_sentence_and_leaves_nothing_behind(tmp_path, case, arguments, code):
    named = case(tmp_path)
    np.save(tmp_path / "pictures.npy", np.concatenate(pictures((1, 3, 24, 32))))
    given = [] if arguments is None else ["--calibrate", str(tmp_path / "pictures.npy"), *arguments]
    done = subprocess.run([sys.executable, "-m", "openkpu", "compile", str(tmp_path / "net.onnx"), *given, "-o",
                           str(tmp_path / "out.kmodel")], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1
    assert re.search(named, done.stderr), done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"net.onnx", "pictures.npy"}
