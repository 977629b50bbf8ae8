# SPDX-License-Identifier: Apache-2.0
"""Whole compilations: the file's result is the program's, near the float network."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from networks import Net, pictures

from openkpu.compiler import CompileError, Options, Preprocess, compile_network
from openkpu.compiler.oracle import run_program
from openkpu.devices.functional import FunctionalDevice
from openkpu.errors import InputError
from openkpu.runtime import Session

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


@pytest.mark.parametrize(("arguments", "code"), [([], 4), (["--outputs", "none"], 3)])
def test_a_refusal_leaves_nothing_behind(tmp_path, arguments, code):
    net, y = small()
    path = net.save(tmp_path, y)
    np.save(tmp_path / "pictures.npy", np.concatenate(pictures(net.shape)))
    given = ["--calibrate", str(tmp_path / "pictures.npy")] if arguments else []
    done = subprocess.run([sys.executable, "-m", "openkpu", "compile", str(path), *given, *arguments, "-o",
                           str(tmp_path / "out.kmodel")], capture_output=True, text=True, timeout=300)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"net.onnx", "pictures.npy"}
