"""Random programs, written in every format, loaded and run, against their direct evaluation."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from program_model import HOST, Random, evaluate

from openkpu.compiler.backend import compile_program
from openkpu.devices.functional import FunctionalDevice
from openkpu.runtime.session import Session

# Shrinking such programs takes minutes and makes them hardly smaller.
SETTINGS = settings(max_examples=60, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck),
                    phases=(Phase.explicit, Phase.reuse, Phase.generate))


def run(compiled, inputs):
    device = FunctionalDevice()
    try:
        return Session(compiled.model, device).run(inputs)
    finally:
        device.close()


def assert_same(program, inputs, found):
    """Codes may be off by one where a float lies on a boundary; layers behind such a code are not compared."""
    expected = evaluate(program, inputs)
    for name, got in zip(program.outputs, found, strict=True):
        want = expected[name].ravel()
        got = np.asarray(got).ravel()
        assert got.dtype == want.dtype
        if got.dtype == np.uint8:
            assert np.abs(got.astype(int) - want).max() <= (1 if any(s.op == "quantize" for s in host(program)) else 0)
        else:
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * max(1.0, float(np.abs(want[np.isfinite(
                want)]).max(initial=0))), err_msg=name)


def host(program):
    return [s for s in program.steps if hasattr(s, "op")]


FORMATS = ("v4", "v5")


def check(program, random, versions=FORMATS):
    x = random.rng.integers(0, 256, program[program.inputs[0]].shape, np.uint8)
    for version in versions:
        assert_same(program, {program.inputs[0]: x}, run(compile_program(program, version), [x]))


@SETTINGS
@given(st.data())
def test_kpu_layers_and_parts(data):
    random = Random(lambda low, high: data.draw(st.integers(low, high)), host=False)
    check(random.program(data.draw(st.integers(0, 8))), random)


@pytest.mark.parametrize("op", sorted(HOST))
@settings(SETTINGS, max_examples=12)
@given(data=st.data())
def test_host_operator(op, data):
    random = Random(lambda low, high: data.draw(st.integers(low, high)), operators=(op,), size=12)
    program = random.program(data.draw(st.integers(1, 3)))
    note("\n".join(f"{s.name}: {s.inputs} -> {s.outputs} {getattr(s, 'attributes', '')}" for s in program.steps))
    check(program, random)
