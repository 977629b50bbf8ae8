# SPDX-License-Identifier: Apache-2.0
"""Random programs, written in every format, loaded and run, against their direct evaluation."""

import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, currently_in_test_context, given, note, settings
from hypothesis import strategies as st
from program_model import HOST, Random, evaluate
from test_kmodel_writers import assert_same_layer

from openkpu.compiler.backend import FORMATS, compile_program
from openkpu.compiler.errors import CompileError
from openkpu.compiler.limits import Chip
from openkpu.compiler.lower.base import lower
from openkpu.compiler.program import HostStep, KpuStep, Program
from openkpu.devices.functional import FunctionalDevice
from openkpu.hw.configs import config_named
from openkpu.kmodel.model import KpuUpload
from openkpu.runtime.session import Session
from rtl import open_rtl
from tools import nncase_campaign as campaign

ROOT = Path(__file__).resolve().parents[1]
# Shrinking such programs takes minutes and makes them hardly smaller.
SETTINGS = settings(max_examples=40, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck),
                    phases=(Phase.explicit, Phase.reuse, Phase.generate))


def run(model, inputs, device=None):
    with closing(device or FunctionalDevice()) as opened:
        return Session(model, opened).run(inputs)


def picture(program, rng):
    return rng.integers(0, 256, program[program.inputs[0]].shape, np.uint8)


def show(program):
    if not currently_in_test_context():
        return
    note("\n".join(f"{s.name}: {s.inputs} -> {s.outputs} {getattr(s, 'attributes', '')}" for s in program.steps))


def assert_same(program, x, found, version=""):
    """Exact, but for codes that a float on the boundary between two makes, and float32's own error."""
    expected = evaluate(program, {program.inputs[0]: x})
    quantizes = any(isinstance(s, HostStep) and s.op == "quantize" for s in program.steps)
    for name, got in zip(program.outputs, found, strict=True):
        got, want = np.asarray(got).ravel(), expected[name].ravel()
        assert got.dtype == want.dtype
        if got.dtype == np.uint8:
            assert np.abs(got.astype(int) - want).max() <= quantizes
        else:
            largest = float(np.abs(want[np.isfinite(want)]).max(initial=1))
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * largest, err_msg=f"{name} in {version}")


def check(program, random, versions=FORMATS, chip=None):
    """In every format: what loads is what was lowered, and it computes what the program means."""
    show(program)
    x = picture(program, random.rng)
    for version in versions:
        compiled = compile_program(program, version, chip)
        lowered = lower(FORMATS[version].lowering, program, chip or Chip()).model
        for a, b in zip(lowered.layers, compiled.model.layers, strict=True):
            assert_same_layer(a, b, moved=False)
        assert_same(program, x, run(compiled.model, [x]), version)


def floats_only(random, program):
    """The program with every output dequantized, as v3 wants them."""
    outputs = tuple(random.floats(program[name]).name for name in program.outputs)
    return replace(program, steps=tuple(random.steps), outputs=outputs)


def draws(data, **options):
    return Random(lambda low, high: data.draw(st.integers(low, high)), **options)


@SETTINGS
@given(st.data())
def test_kpu_layers_and_parts(data):
    random = draws(data, host=False)
    program = random.program(data.draw(st.integers(0, 8)))
    check(floats_only(random, program), random)


@settings(SETTINGS, max_examples=20)
@given(st.data())
def test_sixteen_bit_weights(data):
    random = draws(data, host=False, bits=16)
    program = random.program(data.draw(st.integers(0, 4)))
    check(floats_only(random, program), random, ["v3"])


@pytest.mark.parametrize("op", sorted(HOST))
@settings(SETTINGS, max_examples=10)
@given(data=st.data())
def test_host_operator(op, data):
    random = draws(data, operators=(op,), size=12)
    check(random.program(data.draw(st.integers(1, 3))), random, ["v4", "v5"])


@settings(SETTINGS, max_examples=30)
@given(st.data())
def test_v3_takes_it_or_names_the_operator(data):
    random = draws(data, size=12)
    program = floats_only(random, random.program(data.draw(st.integers(0, 4))))
    try:
        check(program, random, ["v3"])
    except CompileError as error:
        assert "v4 (--format v4)" in str(error)
        assert any(step.name in str(error) for step in program.steps) or "input" in str(error)


@settings(SETTINGS, max_examples=30)
@given(st.data())
def test_maps_without_room_are_fetched_again(data):
    random = draws(data, size=16)
    program = random.program(data.draw(st.integers(2, 8)))
    needed = max((m.offset + m.size for m in compile_program(program).maps), default=64)
    chip = Chip(airam_bytes=needed - 64)
    try:
        check(program, random, ["v4", "v5"], chip)
    except CompileError as error:
        assert "bytes of AI RAM" in str(error)


def test_spilled_map_is_uploaded_again():
    """x is read first and last; with room for two maps it leaves in between and comes back."""
    random = Random(lambda low, high: low, host=False)
    x = random.value((1, 4, 16, 16))
    c = random.conv(random.conv(random.conv(x, 8), 8), 8)
    outputs = tuple(random.floats(v).name for v in (c, random.conv(x, 8)))
    program = Program(random.values, tuple(random.steps), (x.name,), outputs)
    assert not uploads(compile_program(program))
    tight = Chip(airam_bytes=4096)
    assert uploads(compile_program(program, "v4", tight)) == 2
    check(program, random, ["v4", "v5"], tight)
    with pytest.raises(CompileError, match=r"layer \d: .* take 4,096 bytes of AI RAM .* has 4,032"):
        compile_program(program, "v4", Chip(airam_bytes=4096 - 64))


def uploads(compiled):
    return sum(isinstance(layer, KpuUpload) for layer in compiled.model.layers)


@pytest.mark.skipif(campaign.nncase_python() is None, reason=campaign.NO_NNCASE)
def test_v5_gives_the_same_in_nncase(tmp_path):
    """60 programs of all operators in nncase 1.9's own simulator."""
    programs = {}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        random = Random(lambda low, high, rng=rng: int(rng.integers(low, high + 1)), host=seed % 4 > 0, size=12)
        program = random.program(1 + seed % 6)
        x = picture(program, random.rng)
        compiled = compile_program(program, "v5")
        (tmp_path / f"{seed}.kmodel").write_bytes(compiled.data)
        np.savez(tmp_path / f"{seed}.npz", x0=x)
        programs[seed] = compiled, x
    command = [campaign.nncase_python(), ROOT / "tests" / "nncase_simulator.py", tmp_path]
    subprocess.run(command, check=True, timeout=300, cwd=tmp_path)
    assert not list(tmp_path.glob("*.refused"))
    for seed, (compiled, x) in programs.items():
        theirs = np.load(tmp_path / f"{seed}.out.npz")
        for i, ours in enumerate(run(compiled.model, [x])):
            expected = theirs[f"y{i}"].reshape(ours.shape)
            if ours.dtype == np.uint8:
                np.testing.assert_array_equal(ours, expected)
            else:
                np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.rtl
@pytest.mark.parametrize("name", ["tiny", "full"])
def test_rtl_gives_the_same(name):
    """Programs planned for the core's own memories."""
    config = config_named(name)
    chip = Chip(airam_bytes=config.airam_bytes, load_bytes=min(30 * 1024, config.weight_bytes // 2))
    for seed in range(8):
        rng = np.random.default_rng(seed)
        random = Random(lambda low, high, rng=rng: int(rng.integers(low, high + 1)), host=seed % 2 > 0, size=16,
                        bits=8)
        program = random.program(5)
        version = ["v4", "v5"][seed % 2]
        compiled = compile_program(program, version, chip)
        x = picture(program, random.rng)
        for got, want in zip(run(compiled.model, [x], open_rtl(name)), run(compiled.model, [x]), strict=True):
            np.testing.assert_array_equal(got, want)
    assert any(isinstance(s, KpuStep) for s in program.steps)


@pytest.mark.parametrize("axis", [-1, 2])
def test_v3_has_pairs_constants_and_pads(axis):
    """What its runtime lacks is built: a pad, a product and a sum behind a dequantize, a softmax of pairs."""
    random = Random(lambda low, high: high, host=True)
    x = random.value((1, 6, 8, 12))
    codes = random.add("pad", [random.conv(x, 4)], (1, 4, 9, 14), "u1", pads=((0, 0), (0, 0), (1, 0), (0, 2)), value=7)
    cut = random.add("slice", [codes], (1, 4, 4, 14), "u1", begin=(0, 0, 1, 0), end=(1, 4, 9, 14), step=(1, 1, 2, 1))
    rows = random.add("reshape", [cut], (1, 112, 2), "u1")
    real = random.add("dequantize", [rows], rows.shape)
    weight, more = (random.constant(random.rng.normal(size=n).astype("f4")) for n in (2, (112, 1)))
    scaled = random.add("binary", [real, weight], rows.shape, kind="mul")
    moved = random.add("binary", [more, scaled], rows.shape, kind="sub")
    shares = random.add("softmax", [moved], rows.shape, axis=axis)
    again = random.add("dequantize", [cut], cut.shape)
    program = Program(random.values, tuple(random.steps), (x.name,), (shares.name, again.name))
    check(program, random, ["v3", "v4", "v5"])
