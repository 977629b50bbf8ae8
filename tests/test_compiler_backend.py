# SPDX-License-Identifier: Apache-2.0
"""The compiler's planner, its limits, and what it says when something does not fit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_model import Random
from test_compiler_programs import check

from openkpu.compiler.backend import compile_program
from openkpu.compiler.errors import CompileError
from openkpu.compiler.limits import MAX_LOADS, Chip, can_place, fits_map, map_bytes, suits_chip
from openkpu.compiler.lower import dims
from openkpu.compiler.planner import Buffer, lower_bound, plan
from openkpu.compiler.program import HostStep, Program, Value
from openkpu.hw.check import descriptor_errors
from openkpu.hw.configs import config_named
from openkpu.kmodel.model import KpuConv

FULL = config_named("full")

buffers = st.lists(st.tuples(st.integers(1, 500), st.integers(0, 20), st.integers(0, 9)), max_size=25).map(
    lambda items: [Buffer(f"b{i}", size, first, first + length) for i, (size, first, length) in enumerate(items)])


@settings(max_examples=200, deadline=None)
@given(buffers, st.sampled_from([1, 8, 64]))
def test_buffers_that_live_together_do_not_overlap(found, alignment):
    result = plan(found, alignment)
    assert result.peak >= lower_bound(found, alignment)[0]
    for i, a in enumerate(found):
        start = result.offsets[a.name]
        assert start % alignment == 0 and start + a.size <= result.peak
        for b in found[:i]:
            other = result.offsets[b.name]
            assert not a.meets(b) or start + a.size <= other or other + b.size <= start


def test_chain_takes_two_buffers():
    chain = [Buffer(f"b{i}", 100, i, i + 1) for i in range(10)]
    assert plan(chain, 1).peak == lower_bound(chain, 1)[0] == 200


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.randoms())
def test_transposition_in_four_dimensions_is_the_same(shape, random):
    perm = list(range(len(shape)))
    random.shuffle(perm)
    x = np.arange(np.prod(shape))
    found = dims.transpose(tuple(shape), perm)
    if found is not None:
        np.testing.assert_array_equal(x.reshape(shape).transpose(perm).ravel(),
                                      x.reshape(found[0]).transpose(found[1]).ravel())
    assert found is not None or len([n for n in shape if n > 1]) > 4


def test_limits_of_maps():
    assert map_bytes(5, 7, 7) == 2 * 7 * 64 and map_bytes(3, 240, 320) == 3 * 240 * 320
    assert can_place(16, 4) and not can_place(16, 6) and can_place(32, 6) and can_place(33, 7)
    assert fits_map(1024, 4, 4) and not fits_map(1025, 4, 4) and not fits_map(9, 512, 512)
    assert suits_chip(4, 512) and not suits_chip(3, 16) and not suits_chip(16, 513)


def one_layer(in_channels, out_channels, side=4, seed=0, **options):
    random = Random(lambda low, high: seed, host=False, **options)
    x = random.value((1, in_channels, side, side))
    y = random.conv(x, out_channels)
    return random, Program(random.values, (*random.steps, ), (x.name,), (y.name,))


@pytest.mark.parametrize("channels, layers", [(192, 1), (196, 2), (500, 3)])
def test_layer_with_too_many_loads_becomes_several(channels, layers):
    """1024 channels of 3x3 weights take 9216 bytes, so that 64 loads of 3 hold 192 output channels."""
    random = Random(lambda low, high: high, host=False)
    x = random.value((1, 1024, 4, 4))
    y = random.conv(x, channels)
    program = Program(random.values, tuple(random.steps), (x.name,), (y.name,))
    assert program.steps[0].kernel == 3
    found = [layer for layer in compile_program(program).model.layers if isinstance(layer, KpuConv)]
    assert len(found) == layers and max(layer.descriptor.load_time for layer in found) <= MAX_LOADS
    for layer in found:
        assert not descriptor_errors(layer.descriptor, FULL, True)
    check(program, random, ["v4", "v5"])


def test_small_weight_buffer_splits_the_loads():
    random, program = one_layer(16, 64)
    chip = Chip(load_bytes=16 * program.steps[0].kernel ** 2 * 2)
    (layer,) = compile_program(program, "v4", chip).model.layers
    assert layer.descriptor.load_time == 32 and layer.descriptor.para_size == chip.load_bytes
    with pytest.raises(CompileError, match=r"layer 0: the weights of one output channel .* exceed the KPU's weight"):
        compile_program(program, "v4", Chip(load_bytes=8))


def test_refusals_name_the_step_and_the_way_out():
    random, program = one_layer(4, 4, bits=16)
    for version in ("v4", "v5"):
        with pytest.raises(CompileError, match=r"layer 0: .* no 16-bit weights, only v3 has; .*--format v3"):
            compile_program(program, version)
    with pytest.raises(CompileError, match="holds codes, and kmodel v3 gives float32"):
        compile_program(program, "v3")
    with pytest.raises(CompileError, match="there is no format 'v6'; choose one of v3, v4, v5"):
        compile_program(program, "v6")
    with pytest.raises(CompileError, match=r"exceed the chip's 100 bytes of RAM; make the network narrower"):
        compile_program(one_layer(4, 4)[1], "v4", Chip(main_bytes=100))


def changed(program, **fields):
    return replace(program, steps=(replace(program.steps[0], **fields), *program.steps[1:]))


FAULTS = {
    "written twice": (r"layer 0 writes 'v1' a second time", lambda p: replace(p, steps=p.steps * 2)),
    "unknown value": (r"uses the value 'nothing', which does not exist", lambda p: changed(p, input="nothing")),
    "unwritten": (r"layer 0 reads 'v1' before any step has written it",
                  lambda p: changed(replace(p, values=p.values | {"z": replace(p["v1"], name="z")}), input="v1",
                                    output="z")),
    "output": (r"the output 'x' is never written", lambda p: replace(p, outputs=("x",))),
    "field": (r"layer 0: arg_x = 9000000\.\.9000000 is not within -8388608\.\.8388607",
              lambda p: changed(p, arg_x=9_000_000)),
    "batch norm": (r"layer 0: bn_shift = 16\.\.16 is not within 0\.\.15",
                   lambda p: changed(p, bn_shift=np.full(4, 16))),
    "segments": (r"layer 0: the activation's segments do not ascend",
                 lambda p: changed(p, starts=p.steps[0].starts[::-1].copy())),
    "pool": (r"layer 0: pool type 12 does not exist", lambda p: changed(p, pool=12)),
    "shape": (r"layer 0: a pool of stride 2 does not turn", lambda p: changed(p, pool=1)),
    "weights": (r"layer 0: weights float64 .* are not of a KPU layer",
                lambda p: changed(p, weights=p.steps[0].weights.astype(float))),
    "place": (r"'v1' with 4 channels cannot lie at channel 2 of 'w'",
              lambda p: replace(p, values=p.values | {"w": replace(p["v1"], name="w", shape=(1, 8, 4, 4)),
                                                      "v1": replace(p["v1"], parent="w", channel=2)})),
    "operator": (r"h: there is no host operator 'guess'",
                 lambda p: replace(p, steps=(*p.steps, HostStep("h", "guess", ("v1",), ("v1",))))),
    "attribute": (r"h: softmax lacks axis",
                  lambda p: replace(p, values=p.values | {"f": Value("f", (1, 4, 4, 4), "f4")},
                                    steps=(*p.steps, HostStep("h", "softmax", ("v1",), ("f",))))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_program_that_contradicts_itself_is_refused(name):
    message, break_it = FAULTS[name]
    _, program = one_layer(4, 4)
    program.check()
    with pytest.raises(CompileError, match=message):
        break_it(program).check()
