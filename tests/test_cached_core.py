# SPDX-License-Identifier: Apache-2.0
"""The core with its AI RAM behind a cache (configuration "board"): the same numbers, whatever the memory does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openkpu.devices.functional import FunctionalDevice
from openkpu.hw.configs import CORES, config_named
from openkpu.hw.fields import AIRAM_BASE, REGS_BASE, register
from openkpu.kmodel import load
from openkpu.runtime import Session
from openkpu.schedule.cached import Cache, traffic
from openkpu.schedule.plan import plan
from openkpu.schedule.rows import ALL_BYTES
from rtl import open_rtl

MODEL = Path(__file__).resolve().parents[1] / "examples" / "demo" / "shapes.kmodel"
BOARD = config_named("board")
CACHE = REGS_BASE + register("ext_cache").offset
pytestmark = pytest.mark.rtl


@pytest.mark.parametrize("options", [{}, {"stall_percent": 30, "seed": 7}, {"random_state": True, "latency": 90}])
def test_a_model_larger_than_the_cache_gives_the_same_numbers(options):
    model = load(MODEL)
    rng = np.random.default_rng(5)
    inputs = [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]
    expected = Session(model, FunctionalDevice(BOARD)).run(inputs)
    device = open_rtl("board", **options)
    outputs = Session(model, device).run(inputs)
    for mine, golden in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(mine, golden)
    misses = device.read64(REGS_BASE + register("ext_cache_misses").offset)
    assert misses > BOARD.airam_bytes // 64 // 16, "more rows than the cache has lines were in use"
    device.close()


def test_bus_debugger_and_flush_see_the_same_bytes():
    device = open_rtl("board")
    rng = np.random.default_rng(6)
    data = rng.integers(0, 256, 300_000).astype(np.uint8).tobytes()  # more than the cache holds
    device.write_memory(AIRAM_BASE + 1000, data)
    assert device.peek_memory(AIRAM_BASE + 1000, len(data)) == data
    assert device.read_memory(AIRAM_BASE + 1000, len(data)) == data
    device.write64(CACHE, 1)
    for _ in range(1000):
        if not device.read64(CACHE) >> 2 & 1:
            break
        device.step(1000)
    else:
        raise AssertionError("the flush does not end")
    evictions = device.read64(REGS_BASE + register("ext_cache_evictions").offset)
    device.write64(CACHE, 1)
    device.step(100_000)
    assert device.read64(REGS_BASE + register("ext_cache_evictions").offset) == evictions, "nothing left to write"
    device.write64(CACHE, 2)
    device.step(100_000)
    assert device.read_memory(AIRAM_BASE + 1000, len(data)) == data, "it all came back from the memory"
    device.close()


def test_lines_moved_are_as_predicted():
    """Fetches and write-backs within 5 %, with the upload of the input and the download of the output."""
    model = load(MODEL)
    rng = np.random.default_rng(5)
    inputs = [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in model.inputs]
    device = open_rtl("board")
    Session(model, device).run(inputs)
    fetched, written = (device.read64(REGS_BASE + register(f"ext_cache_{name}").offset)
                        for name in ("misses", "evictions"))
    device.close()
    core = CORES["board"]
    cache = Cache(core)
    layers = [layer.descriptor for layer in model.kpu_layers]
    source = layers[0].in_layout
    for row in range(source.base, source.end):
        cache.write(row, ALL_BYTES)
    traffic([plan(descriptor, core) for descriptor in layers], core, cache)
    target = layers[-1].out_layout
    for row in range(target.base, target.end):
        cache.read(row, ALL_BYTES)
    assert abs(cache.fetched / fetched - 1) < 0.05
    assert abs(cache.written / written - 1) < 0.05
